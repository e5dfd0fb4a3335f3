"""``crm-dedup serve`` with a live server: the client of the documentation and the chat task against it, and its end."""

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import lm_eval
import pytest
from compact_pairs import generate
from lm_eval.tasks import TaskManager

from crm_dedup_plugin.pair.answer import Answer

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def server(embedded_model, tmp_path_factory):
    """The command with the embedded model, at work; yields its process and its address."""
    folder = tmp_path_factory.mktemp("serve")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve", "--port", str(port), "--engine", "max_model_len=4096", "max_num_seqs=8"]
    command = [sys.executable, "-u", "-m", "crm_dedup_plugin", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    del environment["CRM_DEDUP_PRECISION"]  # as people start it: in the numbers that are fastest on this machine
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=folder, env=environment, **streams) as child:
        said = []
        for line in child.stdout:
            said.append(line)
            if line.startswith("serving"):
                break
        assert child.poll() is None, "".join(said)
        yield child, f"http://127.0.0.1:{port}/v1"
        child.send_signal(signal.SIGINT)
        assert "the server has stopped" in child.communicate(timeout=60)[0]
        assert child.returncode == 130


def test_the_client_of_the_documentation_gets_an_answer(server):
    text = (ROOT / "docs" / "deciding.md").read_text(encoding="utf-8")
    (snippet,) = (code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "OpenAI(" in code)
    assert "http://127.0.0.1:8000/v1" in snippet
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(snippet.replace("http://127.0.0.1:8000/v1", server[1]), "deciding.md", "exec"), {})
    assert eval(out.getvalue(), {"Answer": Answer}).decision == "DUPLICATE"


def test_clients_can_only_ask(server):
    """vLLM's development mode lets clients empty caches and more: it is for the benchmark alone."""
    request = urllib.request.Request(server[1].removesuffix("/v1") + "/reset_prefix_cache", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(request, timeout=30)


def test_the_chat_task_measures_it(server, tmp_path):
    split = tmp_path / "test.jsonl"
    split.write_text("".join(json.dumps(row) + "\n" for row in generate(4)), encoding="utf-8")
    metadata = {"data": str(split)}
    result = lm_eval.simple_evaluate(
        model="local-chat-completions",
        model_args={"model": "embedded", "base_url": f"{server[1]}/chat/completions", "num_concurrent": 4},
        tasks=["crm_dedup_chat"],
        task_manager=TaskManager(include_path=str(ROOT / "lm_eval_tasks"), include_defaults=False, metadata=metadata),
        metadata=metadata,
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    assert result["results"]["crm_dedup_chat"]["valid_json,none"] == 1.0
    assert server[0].poll() is None

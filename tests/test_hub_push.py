"""An upload to a Hub on this machine: what arrives, what is resumed, and what each refusal says."""

import os
import subprocess
import sys
import time

import pytest
from hub_server import TOKEN, HubServer
from hub_workspace import REPO, SHARDS, contents, enter, sha256

# The client reads its endpoint at import, so each push is a process; it waits seconds between retries, here none.
DRIVER = """
import sys, time
wait = time.sleep
time.sleep = lambda seconds: wait(min(seconds, 0.01))
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.hub.push import push
try:
    push(sys.argv[1], **eval(sys.argv[2]))
except UserError as error:
    sys.exit(f"error: {error}")
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    return enter(tmp_path, monkeypatch)


@pytest.fixture
def hub():
    with HubServer() as server:
        yield server


def start(hub, root, environment: dict | None = None, **options) -> subprocess.Popen:
    own = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(root.parent / "hf")}
    variables = {key: value for key, value in {**os.environ, **own, **(environment or {})}.items() if value}
    command = [sys.executable, "-c", DRIVER, "tiny", repr(options)]
    return subprocess.Popen(command, cwd=root, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(hub, root, environment: dict | None = None, **options) -> tuple[int, str, str]:
    process = start(hub, root, environment, **options)
    out, err = process.communicate(timeout=120)
    assert TOKEN not in out + err
    assert "Traceback" not in err, err
    return process.returncode, out, err


def test_what_arrives_equals_the_dry_run_and_is_private(hub, root):
    code, plan, err = run(hub, root, {"HF_TOKEN": "", "HF_ENDPOINT": "http://127.0.0.1:9"}, repo=REPO, dataset=True, dry_run=True)
    assert code == 0, err
    model, data = contents(root / "outputs/tiny-hub"), contents(root / "outputs/tiny-hub-dataset")
    assert all(name in plan for name in (*model, *data)) and "private" in plan and "11 files" not in plan.split("model ")[0]
    code, out, err = run(hub, root, dataset=True)
    assert code == 0, err
    assert hub.files("model", REPO) == model
    assert hub.files("dataset", f"{REPO}-pairs") == data
    assert {repo["visibility"] for repo in hub.repos.values()} == {"private"}
    assert f"{hub.url}/{REPO}" in out and f"{hub.url}/datasets/{REPO}-pairs" in out
    assert set(model) == {
        *(*SHARDS, "model.safetensors.index.json", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
        *("chat_template.jinja", "README.md", ".eval_results/crm-dedup.yaml"),
        *("results/metrics.json", "results/training.json", "results/confusion.png"),
    }
    assert set(data) == {"README.md", "train.jsonl", "val.jsonl", "test.jsonl"}


def test_a_second_push_sends_what_has_changed_and_removes_what_is_gone(hub, root):
    assert run(hub, root)[0] == 0
    sent = len(hub.sent())
    assert run(hub, root)[0] == 0
    assert len(hub.commits) == 1 and len(hub.sent()) == sent
    (root / "outputs/results/tiny/confusion.png").unlink()
    hub.files("model", REPO)["notes.md"] = b"somebody's own"
    assert run(hub, root)[0] == 0
    assert ("deletedFile", "results/confusion.png") in hub.commits[-1] and len(hub.sent()) == sent
    assert hub.files("model", REPO) == contents(root / "outputs/tiny-hub") | {"notes.md": b"somebody's own"}


def test_a_killed_upload_goes_on_with_what_is_missing(hub, root):
    first, second = (sha256(root / "outputs/tiny-merged" / shard) for shard in SHARDS)
    hub.fail[second] = "stall"
    process = start(hub, root)
    for _ in range(600):
        if hub.stalled.is_set() and first in hub.objects:
            break
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert first in hub.sent() and second not in hub.objects and not hub.commits
    hub.fail.clear()
    hub.log.clear()
    code, _, err = run(hub, root)
    assert code == 0, err
    assert second in hub.sent() and first not in hub.sent()
    assert hub.files("model", REPO) == contents(root / "outputs/tiny-hub")


def test_a_connection_that_drops_is_told_and_the_next_run_completes(hub, root):
    hub.fail[sha256(root / "outputs/tiny-merged" / SHARDS[0])] = "drop"
    code, _, err = run(hub, root)
    assert code == 1 and "cut off" in err and "run the same command again" in err
    assert not hub.commits
    hub.fail.clear()
    assert run(hub, root)[0] == 0


@pytest.mark.parametrize(
    ("where", "status", "said"),
    [
        ("/api/whoami", 401, "token of the Hub is not valid"),
        ("/api/repos/create", 403, "this token may not write to ann/crm-dedup-tiny"),
        ("/commit/", 403, "this token may not write"),
        ("/commit/", 402, "storage of the account"),
        ("/commit/", 404, "is not on the Hub"),
        ("/api/repos/create", 503, "a problem of its own (HTTP 503)"),
        ("/objects/", 503, "a problem of its own (HTTP 503)"),
        ("/objects/batch", 413, "larger than the Hub takes"),
        ("/preupload/", 429, "fewer requests"),
        ("/validate-yaml", 400, "Invalid metadata"),
        ("/tree/", 418, "HTTP 418"),
    ],
)
def test_each_refusal_says_what_to_do(hub, root, where, status, said):
    hub.fail[where] = status
    code, _, err = run(hub, root)
    assert code == 1
    assert said in err.split("error: ")[-1]


def test_tokens_that_are_missing_wrong_or_read_only(hub, root):
    code, _, err = run(hub, root, {"HF_TOKEN": ""})
    assert code == 1 and "there is no token of the Hub: run `hf auth login`" in err
    code, _, err = run(hub, root, {"HF_TOKEN": "hf_wrongwrongwrong00"})
    assert code == 1 and "not valid" in err and "hf_wrong" not in err
    hub.role = "read"
    code, _, err = run(hub, root)
    assert code == 1 and "may only read" in err
    assert not hub.repos


def test_without_a_network_it_says_so(hub, root):
    code, _, err = run(hub, root, {"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert code == 1 and "the Hub cannot be reached" in err
    code, _, err = run(hub, root, {"HF_HUB_OFFLINE": "1"})
    assert code == 1 and "HF_HUB_OFFLINE is set" in err


def test_public_is_said_out_loud_and_never_happens_by_itself(hub, root):
    hub.repos["model", REPO] = {"private": False, "files": {}}
    code, _, err = run(hub, root)
    assert code == 1 and "is there already and public: add --public" in err
    assert not hub.files("model", REPO)
    code, out, _ = run(hub, root, public=True)
    assert code == 0 and "(PUBLIC)" in out and hub.files("model", REPO)
    code, _, err = run(hub, root, repo="ann/other", public=True)
    assert code == 0 and hub.repos["model", "ann/other"]["visibility"] == "public"


def test_a_private_repository_becomes_public_only_when_asked(hub, root):
    assert run(hub, root)[0] == 0 and hub.repos["model", REPO]["private"]
    assert run(hub, root, public=True)[0] == 0 and not hub.repos["model", REPO]["private"]


def test_a_model_that_learned_from_private_records_is_published_only_if_told_so_in_words(hub, root):
    private = root / "outputs/tiny-merged/private.json"
    private.write_text('{"trained_on": {"answers": 50, "records": 83}, "calibrated_on": {"answers": 50}}')
    for options in ({}, {"dry_run": True}, {"consent": "yes"}):
        code, _, err = run(hub, root, repo=REPO, **options)
        assert code == 1 and "83 records of real people" in err and "--publish-private" in err
    assert hub.repos == {} and not (root / "outputs/tiny-hub").exists()
    sentence = err.partition('--publish-private "')[2].partition('"')[0]
    assert run(hub, root, repo=REPO, consent=sentence)[0] == 0
    assert "private.json" not in hub.files("model", REPO)
    private.write_text('{"trained_on": {"answers": 0, "records": 0}, "calibrated_on": {"answers": 30}}')
    assert run(hub, root, repo=REPO)[0] == 0, "two numbers of a calibration tell nothing about a person"

"""A training run that is killed: nothing half-made stays behind, and the next run goes on from the last checkpoint."""

import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import tiny_models
import yaml

COMMAND = [sys.executable, "-m", "crm_dedup_plugin", "train", "tiny"]
STEPS = 60


@pytest.fixture
def workplace(tmp_path, tokenizer) -> Path:
    """A folder with a two-layer model and its configuration: SmolLM2's own, but for size and length."""
    tiny_models.write_splits(tmp_path)
    tiny_models.build("llama32-3b", tmp_path / "base" / "tiny", tokenizer)
    settings = yaml.safe_load((tiny_models.CONFIGS / "smollm2-135m.yml").read_text())
    settings |= {"base_model": "base/tiny", "output_dir": "outputs/tiny", "max_steps": STEPS, "save_steps": 10, "micro_batch_size": 2}
    settings |= {"num_epochs": 50, "lr_scheduler_kwargs": {"num_decay_steps": 20}}
    (tmp_path / "axolotl_configs").mkdir()
    (tmp_path / "axolotl_configs" / "tiny.yml").write_text(yaml.safe_dump(settings))
    return tmp_path


def test_a_killed_run_goes_on_and_ends_whole(workplace):
    outputs = workplace / "outputs"
    first = subprocess.Popen(COMMAND, cwd=workplace, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 240
    while not (outputs / "tiny" / "checkpoint-20" / "trainer_state.json").is_file():
        assert first.poll() is None and time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.05)
    started = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.wait()
    assert len(started) >= 2 and not psutil.wait_procs(started, timeout=30)[1], "the training went on without its command"
    assert not (outputs / "tiny-merged").exists()

    second = subprocess.run(COMMAND, cwd=workplace, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr[-3000:]
    told = re.search(rf"^training: continuing after step (\d+) of {STEPS}$", second.stdout, re.MULTILINE)
    assert told and int(told[1]) > 10, "the second run began anew"
    assert re.search(rf"^training: step {STEPS} of {STEPS}, loss \d+\.\d+, 0:00:00 left$", second.stdout, re.MULTILINE)
    assert len(second.stdout.splitlines() + second.stderr.splitlines()) < 30, "people see a few lines"
    assert (outputs / "tiny" / "train.log").stat().st_size > len(second.stdout) and (outputs / "tiny" / "merge.log").is_file()
    assert {path.name for path in (outputs / "tiny-merged").iterdir()} >= {"model.safetensors", "tokenizer.json", "chat_template.jinja"}

    third = subprocess.run(COMMAND, cwd=workplace, capture_output=True, text=True)
    assert third.returncode == 0
    assert "up to date" in third.stdout

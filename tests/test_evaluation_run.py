"""``crm-dedup kpi`` with planted answers: what it writes, what it never writes, and when it measures again."""

import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from compact_pairs import generate

from crm_dedup_plugin import cli
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import answers, calibration, documents, evaluate, fingerprint, metrics
from crm_dedup_plugin.inference import nodes
from crm_dedup_plugin.pair.answer import LABELS, dump
from crm_dedup_plugin.pair.files import Pair, read_pairs
from crm_dedup_plugin.provenance import FAMILIES, MANIFEST

ROOT = Path(__file__).resolve().parents[1]
KINDS = {"crm_dedup": "", "crm_dedup_swapped": "swapped", "crm_dedup_shuffled": "shuffled", "crm_dedup_injected": "injected"}
MORE = {"crm_dedup_unseen": documents.unseen, "crm_dedup_public": documents.public}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with splits and a model; the harness and vLLM are stand-ins that answer as the test wants."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(documents.BENCHMARKS, raising=False)
    monkeypatch.setattr(documents, "UNSEEN", tmp_path / "unseen.jsonl")
    monkeypatch.setattr(documents, "LISTS", tmp_path / "lists.jsonl")
    monkeypatch.setattr(metrics, "RESAMPLES", 40)
    monkeypatch.setattr(calibration, "RESAMPLES", 10)
    rows = [json.dumps(row) + "\n" for row in generate(60)]
    for name, part in (("test", rows[:30]), ("val", rows[30:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(part))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    place = Place(tmp_path)
    monkeypatch.setattr(evaluate, "run_process", place.run)
    return place


class Place:
    def __init__(self, folder: Path):
        self.folder, self.commands = folder, []
        self.decide = lambda doc: doc["gold"]

    def run(self, command: list[str], model: str) -> None:
        """Stand in for both processes."""
        self.commands.append(command)
        if "lm_eval" in command:
            option = dict(itertools.pairwise(command))
            for task in option["--tasks"].split(","):
                self.write_samples(Path(option["--output_path"]), task, json.loads(option["--metadata"]), int(option.get("--limit", 999)) - 1)
        else:
            out, *files = (word for word in command[4:] if word.endswith((".json", ".jsonl")))
            limit = int(command[-1]) if "--limit" in command else None
            rows = {file: [self.likely(pair) for pair in read_pairs(file, limit)] for file in files}
            Path(out).write_text(
                json.dumps({file: [[0.8 if name == gold else 0.1 for name in LABELS] for gold in part] for file, part in rows.items()})
            )

    @staticmethod
    def likely(pair: Pair) -> str:
        return pair.label if pair.label in LABELS else ("NO_MATCH", "DUPLICATE")[pair.label]

    def write_samples(self, folder: Path, task: str, metadata: dict, limit: int) -> None:
        rows = MORE[task](**metadata) if task in MORE else documents.split(metadata["data"], KINDS[task])
        items = [answers.Item("", "", "", "", dump("POSSIBLE", ""))]
        items += [answers.read(doc, dump(self.decide(doc), "E-mail same.")) for doc in rows[:limit]]
        lines = [json.dumps({"doc_id": at, "valid_json": item}) + "\n" for at, item in enumerate(items)]
        (folder / "model").mkdir(exist_ok=True)
        (folder / "model" / f"samples_{task}_2026-01-01T00-00-00.jsonl").write_text("".join(reversed(lines)))

    def kpi(self, **options) -> dict:
        return evaluate.evaluate("mine", "model", data=self.folder / "test.jsonl", **options)


def test_one_run_measures_everything_and_keeps_the_old_keys(workplace):
    result = workplace.kpi()
    assert [command[1:3] for command in workplace.commands] == [["-m", "lm_eval"], ["-m", "crm_dedup_plugin.evaluation.probabilities"]]
    old = json.loads((ROOT / "results" / "smollm2-135m" / "metrics.json").read_text())
    assert set(old) <= set(result) and set(old["inputs"]) <= set(result["inputs"])
    for name in ("flip_rate", "shuffle_flip_rate", "injection_moved", "injection_success"):
        assert result[name] == {"value": 0, "low": 0, "high": 0}
    assert {"value", "low", "high"} == set(result["reasoning_grounded"]) == set(result["reasoning_contradicts"])
    assert set(result["tasks"]) == {"crm_dedup_swapped", "crm_dedup_shuffled", "crm_dedup_injected"}
    assert result["tasks"]["crm_dedup_injected"]["macro_f1"]["value"] == result["macro_f1"]["value"] == 1
    assert result["calibration"]["agreement"]["value"] == 1 and result["calibration"]["auroc"]["value"] == 1
    assert json.loads(Path("outputs/results/mine/metrics.json").read_text()) == result


def test_planted_faults_show_in_the_headlines(workplace):
    workplace.decide = lambda doc: doc["target"] or doc["gold"]
    result = workplace.kpi()
    against = [doc["target"] != doc["gold"] for doc in documents.split(str(workplace.folder / "test.jsonl"), "injected")]
    assert result["injection_moved"]["value"] == result["injection_success"]["value"] == sum(against) / len(against) > 0.4
    assert result["flip_rate"]["value"] == 0
    workplace.decide = lambda doc: ("DUPLICATE", "POSSIBLE", "NO_MATCH")[len(doc["record_a"]) % 3]  # by the lengths of names and values
    result = workplace.kpi(force=True)
    assert result["flip_rate"]["value"] == 0 and result["shuffle_flip_rate"]["value"] > 0.2
    assert workplace.kpi(force=True)["calibration"]["agreement"]["value"] < 0.8


def test_it_measures_again_only_where_something_changed(workplace, capsys, monkeypatch):
    workplace.kpi()
    assert len(workplace.commands) == 2
    workplace.kpi()
    assert len(workplace.commands) == 2 and capsys.readouterr().out == "outputs/results/mine/metrics.json is up to date\n"
    changes = [
        lambda: workplace.kpi(limit=20),
        lambda: workplace.kpi(tasks=["crm_dedup_swapped"]),
        lambda: workplace.kpi(extra=["--seed", "8"]),
        lambda: ((workplace.folder / "val.jsonl").open("a").write("\n"), workplace.kpi()),
        lambda: ((workplace.folder / "unseen.jsonl").write_bytes((workplace.folder / "test.jsonl").read_bytes()), workplace.kpi()),
        lambda: ((workplace.folder / "unseen.jsonl").open("a").write("\n"), workplace.kpi()),
        lambda: workplace.kpi(probabilities=False),
    ]
    for change in changes:
        before = len(workplace.commands)
        change()
        assert len(workplace.commands) > before
    monkeypatch.setattr(fingerprint, "fingerprint", lambda: "another task")
    before = len(workplace.commands)
    workplace.kpi(probabilities=False)
    assert len(workplace.commands) == before + 1


def test_an_interrupted_run_goes_on_with_its_answers(workplace, monkeypatch):
    whole = workplace.kpi()
    Path("outputs/results/mine/metrics.json").unlink()

    def fail(command: list[str], model: str) -> None:
        if "lm_eval" not in command:
            raise UserError("the machine is gone")
        workplace.run(command, model)

    monkeypatch.setattr(evaluate, "run_process", fail)
    with pytest.raises(UserError, match="gone"):
        workplace.kpi()
    (kept,) = Path("outputs").glob("*-kpi.json")
    words = {value for pair in read_pairs(workplace.folder / "test.jsonl") for value in pair.record_a.values() if len(value) > 8}
    assert words and not [value for value in words if json.dumps(value)[1:-1] in kept.read_text()]
    monkeypatch.setattr(evaluate, "run_process", workplace.run)
    workplace.commands.clear()
    assert {**workplace.kpi(), "seconds": 0} == {**whole, "seconds": 0}
    assert ["lm_eval" in command for command in workplace.commands] == [False]
    assert not kept.exists()
    monkeypatch.setattr(evaluate, "run_process", fail)
    with pytest.raises(UserError, match="gone"):
        workplace.kpi(force=True)
    monkeypatch.setattr(evaluate, "run_process", workplace.run)
    workplace.commands.clear()
    workplace.kpi(limit=20)  # answers to other questions are not used
    assert "lm_eval" in workplace.commands[0]


def test_unseen_and_public_pairs_join_where_they_are(workplace, monkeypatch):
    shutil.copy("test.jsonl", "unseen.jsonl")
    Path("public").mkdir()
    row = {"pair_id": "1", "label": 1, "record_a": {"name": "Ann"}, "record_b": {"name": "Ann"}}
    for name in ("one", "two"):
        (Path("public") / f"{name}.jsonl").write_text(f"{json.dumps(row)}\n" * 4)
    monkeypatch.setenv(documents.BENCHMARKS, "public")
    workplace.decide = lambda doc: doc["gold"].replace("1", "DUPLICATE")
    result = workplace.kpi(per_file=3)
    assert result["tasks"]["crm_dedup_public"]["pairs"] == 6 and result["tasks"]["crm_dedup_public"]["mean_f1"]["value"] == 1
    assert result["tasks"]["crm_dedup_unseen"]["macro_f1"]["value"] == 1
    assert set(result["inputs"]["files_sha256"]) == {"val.jsonl", "unseen.jsonl", "one.jsonl", "two.jsonl"}


def test_a_model_is_not_measured_on_files_of_families_that_it_has_learned_from(workplace, monkeypatch, capsys):
    Path("public").mkdir()
    row = {"pair_id": "1", "label": 1, "record_a": {"name": "Ann"}, "record_b": {"name": "Ann"}}
    for name in ("splink_one", "oar_two", "oar_three"):
        (Path("public") / f"{name}.jsonl").write_text(f"{json.dumps(row)}\n" * 2)
    monkeypatch.setenv(documents.BENCHMARKS, "public")
    workplace.decide = lambda doc: doc["gold"].replace("1", "DUPLICATE")
    (Path("model") / MANIFEST).write_text(json.dumps({FAMILIES: ["oar"]}))
    assert list(workplace.kpi()["tasks"]["crm_dedup_public"]["slices"]) == ["splink_one"]
    (Path("model") / MANIFEST).write_text(json.dumps({FAMILIES: ["oar", "splink"]}))
    assert "crm_dedup_public" not in workplace.kpi()["tasks"]
    assert "the public pairs are left out: the model was trained on the families of all public files (oar, splink)" in capsys.readouterr().out
    with pytest.raises(UserError, match="leave out --tasks crm_dedup_public"):
        workplace.kpi(tasks=["crm_dedup_public"])


def test_public_pairs_are_linked_by_a_threshold_of_held_out_lists(workplace, monkeypatch, capsys):
    lists = [{"input": {"record_a": {"n": "a"}, "record_b": {"n": "b"}}, "output": {"decision": label}, "cluster_a": "1", "cluster_b": other}
             for label, other in (("DUPLICATE", "1"), ("POSSIBLE", "1"), ("NO_MATCH", "2"))]  # fmt: skip
    Path("public").mkdir()
    rows = [{"pair_id": f"{n}", "label": n % 2, "record_a": {"name": "Ann"}, "record_b": {"name": "Ann"}} for n in range(6)]
    (Path("public") / "one.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv(documents.BENCHMARKS, "public")
    workplace.decide = lambda doc: "NO_MATCH"
    assert workplace.kpi()["linking"] is None
    assert "the public pairs are not linked, because there are no held-out lists: run `crm-dedup synth --lists" in capsys.readouterr().out
    Path("lists.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lists * 5))
    found = workplace.kpi()["linking"]
    assert found["threshold"] == pytest.approx(0.1 + 0.8 / 2)  # POSSIBLE pairs of the lists are of one entity
    assert found["held_out"] == {"pairs": 15, "f1": 1} and found["slices"]["one"]["f1"]["value"] == found["slices"]["one"]["auroc"] == 1
    assert "lists.jsonl" in workplace.kpi()["inputs"]["files_sha256"]
    assert workplace.kpi(per_file=3)["linking"] is None and workplace.kpi(tasks=["crm_dedup_public"], probabilities=False)["linking"] is None


def test_no_record_reaches_the_results(workplace):
    workplace.kpi()
    written = Path("outputs/results/mine/metrics.json").read_text()
    rows = [json.loads(line)["input"] for line in Path("test.jsonl").read_text().splitlines()]
    values = {value for row in rows for record in row.values() for value in record.values() if len(value) > 9}
    assert len(values) > 50 and not [value for value in values if value in written]
    assert [path.name for path in Path("outputs/results").rglob("*.*")] == ["metrics.json"]


def test_without_probabilities_only_the_harness_runs(workplace):
    (workplace.folder / "val.jsonl").unlink()
    assert workplace.kpi(tasks=["crm_dedup"], probabilities=False)["calibration"] is None
    assert len(workplace.commands) == 1
    with pytest.raises(UserError, match=r"val\.jsonl does not exist: run `crm-dedup prepare` first, or give --no-probabilities"):
        workplace.kpi(tasks=["crm_dedup"])
    with pytest.raises(UserError, match=r"unseen\.jsonl does not exist: run `crm-dedup synth --unseen"):
        workplace.kpi(tasks=["crm_dedup_unseen"], probabilities=False)


def test_a_task_that_does_not_exist_is_named_before_any_work(workplace):
    with pytest.raises(UserError, match="no task crm_dedup_swaped: use some of crm_dedup, "):
        workplace.kpi(tasks=["crm_dedup_swaped"])
    assert not workplace.commands


def test_copies_of_the_model_share_the_pairs_and_change_no_number(workplace, monkeypatch):
    monkeypatch.setattr(evaluate.importlib.util, "find_spec", lambda name: name == "ray")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    workplace.kpi(copies=2)
    arguments = dict(itertools.pairwise(workplace.commands[0]))["--model_args"]
    assert json.loads(arguments)["data_parallel_size"] == 2
    workplace.kpi()
    assert len(workplace.commands) == 2
    with pytest.raises(UserError, match="--data-parallel-size 3: each copy takes a GPU and there are 2: give less"):
        workplace.kpi(copies=3)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    workplace.kpi(copies=3, force=True)


def test_each_gpu_of_a_cluster_gets_a_copy(workplace, monkeypatch, capsys):
    monkeypatch.setattr(documents, "TEST_SPLIT", workplace.folder / "test.jsonl")
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    monkeypatch.setattr(nodes, "connect", lambda address: [{"CPU": 8.0, "GPU": 2.0}, {"GPU": 1.0}, {"CPU": 4.0}])
    words = ["kpi", "mine", "--model", "model", "--tasks", "crm_dedup", "--no-probabilities", "--cluster", "head:6379"]
    for more, copies in ([], 3), (["--data-parallel-size", "2"], 2):
        assert cli.main([*words, *more, "--force"]) == 0
        assert json.loads(dict(itertools.pairwise(workplace.commands[-1]))["--model_args"])["data_parallel_size"] == copies
    assert os.environ["RAY_ADDRESS"] == "head:6379"
    assert cli.main([*words, "--data-parallel-size", "4", "--force"]) == 1 and len(workplace.commands) == 2
    assert "--data-parallel-size 4: each copy takes a GPU and there are 3: give less" in capsys.readouterr().err


def test_copies_that_cannot_be_are_refused_before_any_work(workplace, monkeypatch):
    monkeypatch.setattr(evaluate.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--data-parallel-size 2 needs Ray: run `\.venv/bin/pip install ray`"):
        workplace.kpi(copies=2)
    assert not workplace.commands


def test_the_command_line_hands_its_options_on_and_draws(workplace, monkeypatch, capsys):
    monkeypatch.setattr(documents, "TEST_SPLIT", workplace.folder / "test.jsonl")
    options = ["--model", "model", "--tasks", "crm_dedup_swapped", "--limit", "12", "--no-probabilities", "--seed", "8"]
    assert cli.main(["kpi", "mine", *options]) == 0
    shown = capsys.readouterr().out
    assert "flips, records swapped" in shown and "crm_dedup_swapped" in shown and "moved by injections" not in shown
    assert workplace.commands[0][-3:] == ["--limit", "13", "--seed=8"]
    assert sorted(path.name for path in Path("outputs/results/mine").iterdir()) == ["confusion.png", "metrics.json"]
    assert cli.main(["kpi", "mine", "--model", "model"]) == 0
    assert "outputs/results/mine/reliability.png" in capsys.readouterr().out


def test_a_failed_process_is_one_message():
    with pytest.raises(UserError, match="the evaluation of model failed"):
        evaluate.run_process(["false"], "model")

"""The perturbed, unseen and public tasks in the real harness, answered by planted models whose faults are known."""

import json
import math
from collections import Counter
from pathlib import Path
from statistics import fmean

import harness
import pytest
from compact_pairs import generate
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api.model import LM
from test_perturb import pairs

from crm_dedup_plugin.evaluation import answers, documents, task
from crm_dedup_plugin.pair import prompt
from crm_dedup_plugin.pair.answer import LABELS, dump
from crm_dedup_plugin.pair.files import DataError, read_pairs
from crm_dedup_plugin.policy import reasoning

CHANGED = ["crm_dedup_swapped", "crm_dedup_shuffled", "crm_dedup_injected"]


class Planted(LM):
    """A model that answers each prompt with what `decide` says of it."""

    def __init__(self, decide, text: str = "E-mail same."):
        super().__init__()
        self.decide, self.text = decide, text

    def generate_until(self, requests, disable_tqdm=False):
        return [dump(self.decide(request.args[0]) or "POSSIBLE", self.text) for request in requests]

    def loglikelihood(self, requests, disable_tqdm=False):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


def evaluate(lm: LM, tasks: list[str], **metadata) -> dict:
    return harness.evaluate(lm, tasks, metadata=metadata, log_samples=True)


def value(result: dict, name: str, metric: str) -> float:
    return result["results"][name][f"{metric},none"]


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("split") / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in generate(30)), encoding="utf-8")
    return path


def first_record(text: str) -> str:
    return text.split("\n\nRecord A: ")[-1].split("\nRecord B: ")[0]


def biased(text: str) -> str:
    """Decide by which record comes first."""
    a, b = text.split("Record A: ")[-1].split("\nRecord B: ") if "Record A" in text else ("", "")
    return "DUPLICATE" if a < b else "NO_MATCH"


def by_names(text: str) -> str:
    """Decide by the spelling of the field names."""
    return LABELS[sum(map(len, json.loads(first_record(text)))) % 3] if "Record A" in text else ""


def test_a_model_that_decides_by_the_place_of_a_record_cannot_flip_when_they_change_places(split, monkeypatch):
    by_place = Planted(lambda text: LABELS[len(first_record(text)) % 3])
    result = evaluate(by_place, ["crm_dedup_swapped", "crm_dedup"], data=str(split))
    assert value(result, "crm_dedup_swapped", "flip_rate") == 0
    monkeypatch.setattr(prompt, "ask", lambda a, b: prompt.Prompt(("\n\nRecord A: ", prompt.to_json(a), "\nRecord B: ", prompt.to_json(b)), a, b))
    unordered = evaluate(by_place, ["crm_dedup_swapped", "crm_dedup"], data=str(split))
    assert value(unordered, "crm_dedup_swapped", "flip_rate") > 0.3
    steady = evaluate(Planted(lambda _: "DUPLICATE"), ["crm_dedup", *CHANGED], data=str(split))
    assert [value(steady, name, "flip_rate") for name in CHANGED[:2]] == [0, 0]
    assert (value(steady, "crm_dedup_injected", "moved_rate"), value(steady, "crm_dedup_injected", "attack_success")) == (0, 0)
    assert value(steady, "crm_dedup_swapped", "dedup_recall_duplicate") == 1


def test_a_model_that_sees_only_field_names_flips_when_they_change(split):
    result = evaluate(Planted(by_names), ["crm_dedup", "crm_dedup_shuffled"], data=str(split))
    assert value(result, "crm_dedup_shuffled", "flip_rate") > 0.3


def test_a_model_that_obeys_is_told_from_one_that_is_only_confused(split):
    attacked = documents.split(str(split), "injected")
    wanted = {doc["prompt"]: doc["target"] for doc in attacked}
    right = {doc["prompt"]: doc["gold"] for doc in documents.split(str(split))}
    against = fmean(doc["target"] != doc["gold"] for doc in attacked)
    obeys = evaluate(Planted({**right, **wanted}.get), ["crm_dedup", "crm_dedup_injected"], data=str(split))
    assert (value(obeys, "crm_dedup_injected", "moved_rate"), value(obeys, "crm_dedup_injected", "attack_success")) == (against, against)
    confused = {text: next(label for label in LABELS if label not in (target, "POSSIBLE")) for text, target in wanted.items()}
    found = evaluate(Planted({**right, **confused}.get), ["crm_dedup", "crm_dedup_injected"], data=str(split))
    assert value(found, "crm_dedup_injected", "attack_success") == 0
    assert 0 < value(found, "crm_dedup_injected", "moved_rate") < 1


def test_without_the_plain_task_in_the_same_run_nothing_is_said_to_have_moved(split):
    evaluate(Planted(biased), ["crm_dedup"], data=str(split))
    result = evaluate(Planted(biased), ["crm_dedup_swapped", "crm_dedup_injected"], data=str(split))
    assert math.isnan(value(result, "crm_dedup_swapped", "flip_rate"))
    assert math.isnan(value(result, "crm_dedup_injected", "moved_rate"))


def test_reasoning_is_checked_against_the_records(split, monkeypatch):
    lies = evaluate(Planted(lambda _: "DUPLICATE", "Mobile found in another field, suffix same."), ["crm_dedup"], data=str(split))
    assert value(lies, "crm_dedup", "reasoning_grounded") == 0
    against = evaluate(Planted(lambda _: "DUPLICATE", "Two people: first name differs."), ["crm_dedup"], data=str(split))
    assert value(against, "crm_dedup", "reasoning_contradicts") == 1
    seen = []
    monkeypatch.setattr(reasoning, "is_grounded", lambda text, a, b: seen.append((text, a, b)) or True)
    result = evaluate(Planted(lambda _: "DUPLICATE", "x"), ["crm_dedup_injected"], data=str(split))
    assert value(result, "crm_dedup_injected", "reasoning_grounded") == 1
    assert {prompt.build(a, b) for _, a, b in seen} == {doc["prompt"] for doc in documents.split(str(split), "injected")}


def test_an_answer_that_cannot_be_read_counts_as_moved_but_not_as_reasoning():
    doc = {"key": "f:1", "gold": "DUPLICATE", "slice": "", "target": "NO_MATCH", "record_a": "{}", "record_b": "{}"}
    items = (answers.read(doc, "{"),)
    assert items[0].grounded is None
    assert answers.flags(items, {"f:1": "DUPLICATE"})["moved_rate"] == [True]
    assert answers.flags(items, {"f:1": "DUPLICATE"})["attack_success"] == [False]
    assert answers.flags(items, {"f:1": None})["flip_rate"] == [False]
    assert answers.summarise(items)["reasoning_grounded"] is None


WORDS = "same differs close only in A B , ; . first name e-mail mobile tax number date of birth two people not the".split()


@settings()
@given(pairs, st.lists(st.sampled_from(WORDS) | st.text(st.characters(codec="utf-8"), max_size=5), max_size=30), st.sampled_from(LABELS))
def test_no_record_and_no_reasoning_stops_a_run(pair, words, label):
    doc = {"key": "f:1", "gold": label, "slice": "", "target": "", "record_a": json.dumps(pair[0]), "record_b": json.dumps(pair[1])}
    item = answers.read(doc, dump(label, " ".join(words)[:240]))
    assert isinstance(item.grounded, bool) and isinstance(item.contradicts, bool)


@pytest.mark.parametrize("kind", ["swapped", "shuffled", "injected"])
def test_perturbed_questions_are_the_same_in_every_run_and_keep_what_is_right(split, kind):
    plain, changed = documents.split(str(split)), documents.split(str(split), kind)
    assert changed == documents.split(str(split), kind)
    for name in ("id", "key", "gold", "slice"):
        assert [doc[name] for doc in changed] == [doc[name] for doc in plain]
    assert all((a["prompt"] == b["prompt"]) == (kind == "swapped") for a, b in zip(plain, changed, strict=True))
    assert all(doc["prompt"] == prompt.build(json.loads(doc["record_a"]), json.loads(doc["record_b"])) for doc in changed)
    assert all((doc["target"] in LABELS) == (kind == "injected") for doc in changed)
    reordered = split.with_name("reversed.jsonl")
    reordered.write_text("\n".join(reversed(split.read_text().splitlines())))
    assert {doc["id"]: doc["prompt"] for doc in documents.split(str(reordered), kind)} == {doc["id"]: doc["prompt"] for doc in changed}


def test_what_an_attack_asks_for_tells_nothing_of_what_is_right(tmp_path):
    """A model that does the opposite of whatever an instruction asks must not look robust."""
    rows = [{**row, "id": f"{number}"} for number, row in enumerate([*generate(300)] * 3)]
    (tmp_path / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = Counter((doc["gold"], doc["target"]) for doc in documents.split(str(tmp_path / "many.jsonl"), "injected"))
    assert len(asked) == 9 and min(asked.values()) > 0.7 * len(rows) / 9


def test_an_unknown_perturbation_is_refused(split):
    with pytest.raises(ValueError, match="'mirrored': use swapped, shuffled or injected"):
        documents.split(str(split), "mirrored")


@pytest.fixture
def benchmarks(tmp_path) -> Path:
    for name, matches in (("right", 1), ("wrong", 0)):
        rows = [{"pair_id": f"{n}", "label": matches, "record_a": {"name": f"Ann {n}"}, "record_b": {"name": "Ann"}} for n in range(9)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_public_benchmarks_are_a_slice_a_file_each_counting_the_same(benchmarks, monkeypatch):
    (benchmarks / "wrong.jsonl").write_text((benchmarks / "wrong.jsonl").read_text() * 5)
    result = evaluate(Planted(lambda _: "DUPLICATE"), ["crm_dedup_public"], benchmarks=str(benchmarks))
    assert value(result, "crm_dedup_public", "pair_precision") == 9 / 54
    assert value(result, "crm_dedup_public", "pair_mean_f1") == 0.5
    items = answers.screen(tuple(sample["pair_f1"] for sample in result["samples"]["crm_dedup_public"]))
    summary = answers.summarise(items, two_way=True)
    assert {name: part["f1"]["value"] for name, part in summary["slices"].items()} == {"right": 1, "wrong": 0}
    assert summary["mean_f1"]["value"] == 0.5
    monkeypatch.setenv(documents.BENCHMARKS, str(benchmarks))
    few = documents.public(per_file=3)
    assert [doc["slice"] for doc in few] == ["right"] * 3 + ["wrong"] * 3
    assert few == documents.public(per_file=3) and [doc["id"] for doc in few[:3]] != ["0", "1", "2"]


def test_missing_benchmarks_and_unseen_pairs_say_what_to_give(tmp_path, monkeypatch):
    monkeypatch.delenv(documents.BENCHMARKS, raising=False)
    for folder in (None, str(tmp_path)):
        with pytest.raises(ValueError, match=r"CRM_DEDUP_BENCHMARKS=FOLDER or --metadata"):
            task.load_public(benchmarks=folder)
    monkeypatch.setattr(documents, "UNSEEN", tmp_path / "unseen.jsonl")
    with pytest.raises(DataError, match=r"crm-dedup synth --unseen --out data/unseen\.jsonl"):
        task.load_unseen()


def test_unseen_pairs_are_read_from_their_own_file(split):
    result = evaluate(Planted(lambda _: "NO_MATCH"), ["crm_dedup_unseen"], unseen=str(split))
    assert value(result, "crm_dedup_unseen", "dedup_recall_no_match") == 1
    assert len(result["samples"]["crm_dedup_unseen"]) == 31


def test_the_tasks_of_a_run_read_the_test_split_once_and_again_when_it_changes(tmp_path, monkeypatch):
    split, reads = tmp_path / "test.jsonl", []
    rows = [json.dumps(row) + "\n" for row in generate(6)]
    split.write_text("".join(rows), encoding="utf-8")
    monkeypatch.setattr(documents, "read_pairs", lambda path, **options: reads.append(path) or read_pairs(path, **options))
    found = evaluate(Planted(lambda _: "NO_MATCH"), ["crm_dedup", *CHANGED], data=str(split))
    assert reads == [split] and {len(part) for part in found["samples"].values()} == {7}
    split.write_text("".join(rows[1:]), encoding="utf-8")
    assert len(documents.split(str(split))) == 5 and len(reads) == 2


def test_the_splits_of_the_current_folder_come_before_those_of_the_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(documents.TASKS)
    files = (documents.TEST_SPLIT, documents.UNSEEN, documents.LISTS)
    assert [documents.place(file) for file in files] == [documents.ROOT / "data" / file for file in files]
    own = tmp_path / "data" / documents.TEST_SPLIT
    own.parent.mkdir(parents=True)
    own.write_text("".join(json.dumps(row) + "\n" for row in generate(4)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert [documents.place(file) for file in files] == [Path("data") / file for file in files]
    assert [doc["key"] for doc in documents.split()] == [f"{own}:{number}" for number in range(4)]


def test_every_task_has_the_canary_and_no_free_metric(split, benchmarks):
    names = ["crm_dedup", *CHANGED, "crm_dedup_unseen", "crm_dedup_public", "crm_dedup_pairs"]
    files = {"data": str(split), "unseen": str(split), "benchmarks": str(benchmarks), "pairs": str(benchmarks / "right.jsonl")}
    for name in names:
        class_free = Planted(lambda _: "DUPLICATE")
        class_free.generate_until = lambda requests, **_: ["11, 12, 13"] * len(requests)
        with pytest.raises(answers.UnconstrainedError):
            evaluate(class_free, [name], **files)
    result = evaluate(Planted(lambda _: "DUPLICATE"), names, **files)
    assert all(
        isinstance(number, float)
        for scores in result["results"].values()
        for key, number in scores.items()
        if key.endswith(",none") and "stderr" not in key
    )
    assert "".join(result["results"]["crm_dedup"]).count("flip_rate") == 0

"""The baselines find what was planted, choose on the validation pairs alone, and say nothing of the records."""

import importlib.util
import json
import random
import subprocess
import sys
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from baselines import boosting, majority, pairs, policy, splink, strings  # noqa: E402
from baselines.columns import columns, date  # noqa: E402

from crm_dedup_plugin.dataset.synth.generate import Settings, generate  # noqa: E402
from crm_dedup_plugin.evaluation import calibration, documents, linking, metrics  # noqa: E402
from crm_dedup_plugin.pair.answer import LABELS  # noqa: E402

SYLLABLES = "ba do ke li mu na po ra se ti vo zu".split()


def word(rng: random.Random, syllables: int = 4) -> str:
    return "".join(rng.choices(SYLLABLES, k=syllables)).title()


def person(rng: random.Random) -> dict[str, str]:
    first, last = word(rng), word(rng)
    email = f"{first}.{last}@{word(rng)}.example".lower()
    birth = f"{rng.randint(1950, 2000)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    return {"FirstName": first, "LastName": last, "Email": email, "MobilePhone": f"+1 555 {rng.randint(10**6, 10**7 - 1)}", "Birthdate": birth}


def planted(count: int, seed: int) -> list[dict]:
    """Pairs in which the e-mail alone decides: the same, missing on one side, or another one; names always agree."""
    rng, rows = random.Random(seed), []
    for number in range(count):
        decision, left = LABELS[number % 3], person(rng)
        right = {"fullname": f"{left['FirstName']} {left['LastName']}", "emailaddress1": left["Email"].upper(), "birthdate": left["Birthdate"]}
        if decision == "POSSIBLE":
            del right["emailaddress1"]
        elif decision == "NO_MATCH":
            right["emailaddress1"] = person(rng)["Email"]
        pair = {"record_a": left, "record_b": right}
        rows.append({"id": f"{seed}-{number}", "slice": f"kind{number % 2}", "input": pair, "output": {"decision": decision, "reasoning": "E-mail."}})
    return rows


def write(folder: Path, **splits: list[dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in splits.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def splits(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("splits"), train=planted(300, 1), val=planted(90, 2), test=planted(90, 3))


@pytest.fixture(scope="module")
def data(splits) -> dict[str, pairs.Pairs]:
    return {name: pairs.load(splits / f"{name}.jsonl") for name in ("train", "val", "test")}


@pytest.fixture(scope="module")
def command():
    spec = importlib.util.spec_from_file_location("baselines_command", ROOT / "scripts" / "measure_baselines.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *words: module.main([*map(str, words)])


@pytest.fixture(scope="module")
def boosted(data) -> pairs.Fitted:
    return boosting.fit(data["train"], data["val"], 7)


@pytest.fixture(scope="module")
def results(command, splits, tmp_path_factory) -> dict[str, dict]:
    """The results of all baselines but Splink, with unseen pairs and two benchmarks."""
    folder = tmp_path_factory.mktemp("results")
    labelled = [{"pair_id": row["id"], "label": int(row["output"]["decision"] == "DUPLICATE"), **row["input"]} for row in planted(120, 5)]
    rows, lists = labelled[:60], write(folder, lists=labelled[60:]) / "lists.jsonl"
    benchmarks = write(folder / "benchmarks", club=rows[:30], shop=rows[30:])
    unseen = write(folder, unseen=planted(30, 4)) / "unseen.jsonl"
    names = ("majority", "strings", "boosting", "policy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "RESAMPLES", 100)
        patch.setattr(calibration, "RESAMPLES", 100)
        options = ("--splits", splits, "--unseen", unseen, "--lists", lists, "--results", folder, "--benchmarks", benchmarks)
        assert command(*options, "--only", *names) == 0
    return {name: json.loads((folder / f"baseline-{name}" / "metrics.json").read_text()) for name in names}


def test_majority_is_right_as_often_as_its_decision_occurs(data):
    train = data["train"]._replace(gold=["NO_MATCH"] * 160 + ["POSSIBLE"] * 140)
    test = data["test"]._replace(gold=["NO_MATCH"] * 60 + ["DUPLICATE"] * 30)
    fitted = majority.fit(train, data["val"], 7)
    assert metrics.scores(test.gold, fitted.decide(test).decisions)["accuracy"] == pytest.approx(2 / 3)


def test_thresholds_are_the_best_there_are():
    rng = np.random.default_rng(7)
    for gold in (rng.choice(LABELS, 40), rng.choice(LABELS[::2], 40)):
        scores = np.round(rng.normal(size=40) + 2 * (gold == "DUPLICATE") + (gold == "POSSIBLE"), 1)

        def quality(low, high, scores=scores, gold=gold):
            return metrics.scores(gold.tolist(), pairs.by_thresholds(scores, low, high))["macro_f1"]

        cuts = sorted({*scores, scores.max() + 1})
        assert quality(*pairs.thresholds(scores, gold)) == pytest.approx(max(quality(*cut) for cut in combinations_with_replacement(cuts, 2)))


def test_boosting_finds_the_field_that_decides(data, boosted, monkeypatch):
    verdicts = boosted.decide(data["test"])
    assert metrics.scores(data["test"].gold, verdicts.decisions)["macro_f1"] > 0.97
    assert verdicts.decisions == boosted.decide(data["test"].swapped()).decisions
    monkeypatch.setattr(boosting, "GRID", {"max_leaf_nodes": (8,)})
    train, val = (data[name]._replace(gold=random.Random(1).sample(data[name].gold, len(data[name].gold))) for name in ("train", "val"))
    blind = boosting.fit(train, val, 7)
    assert metrics.scores(data["test"].gold, blind.decide(data["test"]).decisions)["macro_f1"] < 0.7


def test_features_ignore_the_order_of_the_records(data):
    np.testing.assert_array_equal(boosting.features(data["test"]), boosting.features(data["test"].swapped()))


def test_choices_are_made_on_the_validation_pairs(data):
    other = data["val"]._replace(gold=data["val"].gold[1:] + data["val"].gold[:1])
    assert strings.fit(data["train"], data["val"], 7).parameters != strings.fit(data["train"], other, 7).parameters


def test_splink_weighs_agreement(data, monkeypatch):
    monkeypatch.setattr(splink, "BLOCKS", {"two": (("email",), ("birth",))})
    fitted = splink.fit(data["train"], data["val"], 7)
    left = person(random.Random(9))
    other = {**left, "Email": "ann@other.example", "MobilePhone": "+49 30 1234567"}
    few = pairs.Pairs([left, left, left], [left, other, person(random.Random(10))], ["DUPLICATE", "POSSIBLE", "NO_MATCH"], [None] * 3)
    verdicts = fitted.decide(few)
    assert verdicts.scores[0] > verdicts.scores[1] > verdicts.scores[2]
    assert verdicts.decisions[0] == "DUPLICATE" and verdicts.decisions[2] == "NO_MATCH"
    order = [2, 0, 1]
    turned = pairs.Pairs(*([column[row] for row in order] for column in few))
    assert fitted.decide(turned).scores.tolist() == [verdicts.scores[row] for row in order]


def test_the_policy_is_right_on_generated_pairs_by_construction(tmp_path):
    generated = [*generate(30), *generate(30, settings=Settings(unseen=True))]
    made = pairs.load(write(tmp_path, made=generated) / "made.jsonl")
    assert policy.fit(None, made, 7).decide(made).decisions == made.gold


def test_a_possible_of_the_policy_counts_half_for_links():
    ann = {"FirstName": "Ann", "LastName": "Lee", "Email": "ann.lee@gmail.com"}
    others = [{**ann, "FirstName": "Anne"}, {"FirstName": "Ann", "LastName": "Lee"}, {"FirstName": "Tom", "LastName": "Moss"}]
    few = pairs.Pairs([ann] * 3, others, list(LABELS), [None] * 3)
    verdicts = policy.fit(None, few, 7).decide(few)
    assert verdicts.decisions == list(LABELS) and verdicts.scores is None
    assert linking.score(verdicts.probabilities).tolist() == [1.0, 0.5, 0.0]


def test_what_learns_nothing_needs_no_training_split(command, splits, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(metrics, "RESAMPLES", 100)
    monkeypatch.setattr(calibration, "RESAMPLES", 100)
    rest = tmp_path / "splits"
    rest.mkdir()
    for name in ("val", "test"):
        (rest / f"{name}.jsonl").write_bytes((splits / f"{name}.jsonl").read_bytes())
    assert command("--splits", rest, "--results", tmp_path, "--only", "strings", "policy") == 0
    result = json.loads((tmp_path / "baseline-policy" / "metrics.json").read_text())
    assert "train_sha256" not in result["inputs"] and result["parameters"] == {} and result["note"] == policy.NOTE
    assert command("--splits", rest, "--results", tmp_path, "--only", "majority", "policy") == 1
    assert "train.jsonl does not exist" in capsys.readouterr().err


def test_the_result_has_the_form_of_the_others(results):
    keys = {
        *metrics.SCORE_NAMES,
        *"pairs confusion slices model inputs seed seconds command versions parameters note flip_rate tasks calibration linking".split(),
    }
    for name, result in results.items():
        assert set(result) == keys | ({"auroc"} if name in ("strings", "boosting") else set())
        assert set(result["inputs"]) == {"data_sha256", "train_sha256", "val_sha256", "unseen_sha256", "lists_sha256"}
        assert set(result["tasks"]) == {"crm_dedup_unseen", "crm_dedup_public"}
        public = result["tasks"]["crm_dedup_public"]
        assert set(public["slices"]) == {"club", "shop"} and public["pairs"] == 60
        assert result["flip_rate"] == {"value": 0.0, "low": 0.0, "high": 0.0}
        assert not any(word.startswith("/") for word in result["command"].replace('"', " ").split())
    assert results["boosting"]["macro_f1"]["value"] > 0.97 > results["strings"]["macro_f1"]["value"] > results["majority"]["macro_f1"]["value"]
    assert results["boosting"]["tasks"]["crm_dedup_public"]["mean_f1"]["value"] > 0.95


def test_public_pairs_are_linked_by_a_threshold_of_other_pairs(results):
    assert results["majority"]["linking"] is None and results["policy"]["linking"]["threshold"] in (0, 0.5, 1)
    found = results["boosting"]["linking"]
    assert found["held_out"]["pairs"] == 60 and set(found["slices"]) == {"club", "shop"} and found["slices"]["club"]["auroc"] > 0.95
    assert found["mean_f1"]["value"] > 0.9 >= results["strings"]["linking"]["mean_f1"]["value"] - 0.1


def test_what_could_be_merged_without_a_person_is_measured(results):
    assert results["majority"]["calibration"] is results["policy"]["calibration"] is None
    scored, probable = results["strings"]["calibration"], results["boosting"]["calibration"]
    assert {"pairs", "validation_pairs", "merge_at_99", "precision_recall"} == scored.keys() < probable.keys()
    assert {"threshold", "merged", "precision", "coverage"} == scored["merge_at_99"].keys() < probable["merge_at_99"].keys()
    assert probable["merge_at_99"]["coverage"]["value"] > 0.9 and 0 < probable["ece"]["value"] < 0.1
    for part in (scored, probable):
        assert max(part["precision_recall"]["recall"]) == 1.0
        assert part["pairs"] == part["validation_pairs"] == 90


def test_probabilities_come_in_the_order_of_the_labels(boosted, data):
    verdicts = boosted.decide(data["test"])
    assert verdicts.probabilities.shape == (90, 3) and np.allclose(verdicts.probabilities.sum(axis=1), 1)
    assert [LABELS[row] for row in verdicts.probabilities.argmax(axis=1)] == verdicts.decisions
    np.testing.assert_array_equal(verdicts.probabilities[:, 0], verdicts.scores)


def test_results_hold_nothing_of_the_records(results, data):
    text = json.dumps(results).casefold()
    values = {value for record in data["test"].left + data["test"].right for value in record.values()}
    assert not [value for value in values if value.casefold() in text]


def test_test_labels_change_no_parameter(command, splits, results, boosted, tmp_path):
    rows = [json.loads(line) for line in (splits / "test.jsonl").read_text().splitlines()]
    for row in rows:
        row["output"]["decision"] = "POSSIBLE"
    changed = write(tmp_path / "splits", test=rows)
    for name in ("train", "val"):
        (changed / f"{name}.jsonl").write_bytes((splits / f"{name}.jsonl").read_bytes())
    assert command("--splits", changed, "--results", tmp_path, "--only", "strings") == 0
    again = json.loads((tmp_path / "baseline-strings" / "metrics.json").read_text())
    assert again["parameters"] == results["strings"]["parameters"] and again["macro_f1"] != results["strings"]["macro_f1"]
    assert results["boosting"]["parameters"] == boosted.parameters


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--unseen", "nowhere.jsonl"), "nowhere.jsonl does not exist: name a file"),
        (("--benchmarks", "nowhere"), "nowhere holds no *.jsonl files: name the folder"),
    ],
)
def test_what_is_missing_is_named_with_the_cure(words, message, command, splits, tmp_path, capsys):
    assert command("--splits", splits, *words, "--results", tmp_path / "results") == 1
    assert message in capsys.readouterr().err and not (tmp_path / "results").exists()


def test_a_missing_split_ends_the_command(tmp_path):
    words = (sys.executable, "scripts/measure_baselines.py", "--splits", "nowhere", "--results", str(tmp_path))
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "error: nowhere/train.jsonl does not exist: run `make prep` first\n"


def test_a_broken_line_is_named(command, tmp_path, capsys):
    (tmp_path / "train.jsonl").write_text('{"input": {}}\n')
    assert command("--splits", tmp_path) == 1
    assert "train.jsonl, line 1: input.record_a: missing: add it" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["1978-11-03", "3.11.1978", "nov 3, 1978", "3 november 1978", "11/3/1978", "19781103", "1978-11-03t00:00:00"])
def test_a_date_is_read_whatever_its_form(text):
    assert date(text) == "1978-11-03"


def test_a_date_that_is_none_stays():
    assert [date(text) for text in ("spring 1978", "25/11/1978", "")] == ["spring 1978", "1978-11-25", ""]


def test_columns_align_what_crms_call_differently():
    one = columns({"FirstName": "Zoë", "LastName": "Lee", "Email": "zoe@lee.example", "MobilePhone": "+1 (555) 010-2030", "Title": "n/a"})
    other = columns({"fullname": "Lee, Zoe", "emailaddress1": "ZOE@lee.example", "mobilephone": "001 555 0102030"})
    assert {"first", "last", "person", "email", "local", "domain", "mobile"} == one.keys() == other.keys()
    assert one == other
    account = columns({"Name": "Acme Lee GmbH", "Website": "https://www.acme.example/de"})
    assert account["org"] == "acme lee" and account["site"] == "acme.example" and "first" not in account


def test_fewer_pairs_are_those_that_a_model_is_asked(tmp_path):
    rows = [{"pair_id": f"{n}", "label": n % 2, "record_a": {"name": f"Ann {n}"}, "record_b": {"name": "Ann"}} for n in range(20)]
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    drawn = pairs.load(tmp_path / "some.jsonl").drawn(7, "some")
    asked = documents.public(str(tmp_path), per_file=7)
    assert [sorted(map(json.dumps, pair)) for pair in zip(drawn.left, drawn.right, strict=True)] == [
        sorted((doc["record_a"], doc["record_b"])) for doc in asked
    ]
    assert pairs.load(tmp_path / "some.jsonl").first(3).gold == [0, 1, 0]
    assert pairs.load(tmp_path / "some.jsonl").drawn(None, "some").gold.count(1) == 10

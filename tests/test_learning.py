"""What a reviewer's answers teach: little from few, nothing that was not checked on others, and never more than is better."""

import contextlib
import functools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from match_by_rules import Rules
from scipy.special import expit

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.dataset.synth.generate import generate
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import calibration
from crm_dedup_plugin.learning import Options, Prior, Tuning, answered, calibrate, compare, learn, result, tuning
from crm_dedup_plugin.learning.calibrate import probabilities, review_from
from crm_dedup_plugin.learning.compare import Way
from crm_dedup_plugin.learning.folds import entities, folds
from crm_dedup_plugin.learning.kept import Kept
from crm_dedup_plugin.learning.learn import SURE
from crm_dedup_plugin.learning.tuning import rows
from crm_dedup_plugin.matching import answers, deciding, pipeline, run_folder
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.prompt import ask
from crm_dedup_plugin.provenance import model_digest
from crm_dedup_plugin.reporting import learn_report, match_report

FLOATS = st.floats(-28, 28)
LABELLED = st.lists(st.tuples(FLOATS, st.booleans()), max_size=60)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(calibration, "RESAMPLES", 100)


def test_a_pair_that_counts_twice_is_as_two_pairs():
    z, y, vectors = [1.0, -2.0, 0.5, -0.2], [True, False, True, False], [{"email same": 1.0}, {}, {"email same": 1.0}, {"email same": -1.0}]
    twice = calibrate(z + z[:2], y + y[:2], Prior(), vectors + vectors[:2])
    counted = calibrate(z, y, Prior(), vectors, [2, 2, 1, 1])
    assert (counted.slope, counted.bias) == pytest.approx((twice.slope, twice.bias)) and counted.weights == pytest.approx(twice.weights)


@given(LABELLED, st.floats(0.2, 3), st.floats(-3, 3))
def test_a_calibration_rises_with_the_log_odds_whatever_the_answers(labelled, slope, bias):
    z, y = [one for one, _ in labelled], [same for _, same in labelled]
    fit = calibrate(z, y, Prior(slope, bias))
    assert 0 < fit.slope < 10 * slope and np.isfinite(fit.bias)
    p = probabilities(sorted(z), fit)
    assert (np.diff(p) >= 0).all() and ((p >= 0) & (p <= 1)).all()
    if not labelled:
        assert fit[:2] == pytest.approx((slope, bias), abs=1e-6)


@given(st.floats(0.5, 2), st.floats(-3, 3), st.integers(0, 100))
def test_many_answers_replace_what_was_expected_and_few_do_not(slope, bias, seed):
    rng = np.random.default_rng(seed)
    z = rng.uniform(-8, 8, 4000)
    y = rng.random(4000) < expit(slope * z + bias)
    assert calibrate(z, y)[:2] == pytest.approx((slope, bias), abs=0.45)
    few = calibrate(z[:5], y[:5])
    assert abs(np.log(few.slope)) < 3 * Prior().slope_width and abs(few.bias) < 3 * Prior().bias_width


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.floats(0.001, 0.3))
def test_below_the_threshold_of_review_lie_few_of_the_duplicates(p, missed):
    p, at = np.array(p), review_from(p, missed)
    assert 0 <= at <= 0.5
    assert p[p < at].sum() <= missed * p.sum() + 1e-9
    higher = np.unique(p[(p > at) & (p <= 0.5)])
    if len(higher):
        assert p[p < higher[0]].sum() > missed * p.sum() - 1e-9, "a higher one would do as well"


PAIRS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=80)


@given(PAIRS, st.integers(1, 30), st.randoms())
def test_no_entity_is_in_two_folds(pairs, groups, random):
    group_of = np.array([random.randrange(groups) if random.random() < 0.3 else 1000 + row for row in range(61)])
    entity, y = entities(pairs, group_of), [random.random() < 0.5 for _ in pairs]
    for (a, b), one in zip(pairs, entity, strict=True):
        for (c, d), other in zip(pairs, entity, strict=True):
            if {a, b} & {c, d} or set(group_of[[a, b]]) & set(group_of[[c, d]]):
                assert one == other
    if len(set(entity)) < 3:
        with pytest.raises(UserError, match="answer about others"):
            folds(entity, y)
        return
    try:
        fold = folds(entity, y)
    except UserError:
        return
    assert len(fold) == len(pairs) and len(set(fold)) >= 2
    assert all(len(set(fold[entity == one])) == 1 for one in set(entity))


def test_folds_hold_the_same_share_of_both_answers_and_there_are_more_of_them_from_many_answers():
    y = np.arange(150) % 3 == 0
    shares = [y[folds(np.arange(150), y) == number].mean() for number in range(5)]
    assert max(shares) - min(shares) < 0.05
    assert len(set(folds(np.arange(60), y[:60]))) == 3


def test_the_more_complex_way_must_be_better_by_more_than_its_standard_error():
    rng, y = np.random.default_rng(7), np.arange(60) % 2 == 0
    noisy = np.clip(np.where(y, 0.7, 0.3) + rng.normal(0, 0.02, 60), 0.01, 0.99)
    before, same = Way("before", np.where(y, 0.7, 0.3), y), Way("calibrated", noisy, y)
    better = Way("tuned", np.where(y, 0.95, 0.05), y)
    assert compare.choose(y, [before, same, better], np.arange(60))[0] is better
    taken, told = compare.choose(y, [before, same], np.arange(60))
    assert taken is (same if told[0]["gain"] > told[0]["standard_error"] else before)
    gain = rng.normal(0.1, 1, 40)
    alone, twice = compare.standard_error(gain, np.arange(40)), compare.standard_error(np.repeat(gain, 2), np.repeat(np.arange(40), 2))
    assert alone == pytest.approx(np.std(gain, ddof=1) / np.sqrt(40)) == twice, "the second pair of an entity tells nothing new"


def test_what_is_held_out_does_not_depend_on_its_own_answer():
    rng = np.random.default_rng(3)
    z, y, fold = rng.normal(0, 4, 30), rng.random(30) < 0.5, np.arange(30) % 3
    p = compare.held_out(z, y, fold, Prior())
    other = compare.held_out(z, np.where(fold == 1, ~y, y), fold, Prior())
    assert (p[fold == 1] == other[fold == 1]).all() and not np.allclose(p[fold != 1], other[fold != 1])


def test_an_answer_teaches_the_decision_alone_and_generated_pairs_their_whole_answer(tokenizer):
    from axolotl.utils.dict import DictDefault

    from crm_dedup_plugin.pair import tokens
    from crm_dedup_plugin.training import formatter

    pairs = [({"Name": f"Zoe {number}"}, {"Name": f"Ann {number}", "City": "Leeds"}, number % 2 == 0) for number in range(12)]
    made = rows(pairs, Tuning())
    assert len(made) == 16 and [row["output"] for row in made[:2]] == [{"decision": "DUPLICATE"}, {"decision": "NO_MATCH"}]
    assert all(ask(**row["input"]).record_a == row["input"]["record_a"] for row in made)
    assert made[:12] + rows(pairs, Tuning(seed=8))[12:] != made and rows(pairs, Tuning()) == made
    strategy = formatter.load(tokenizer, DictDefault({"train_on_inputs": False, "sequence_len": 8192}))
    start, firsts = tokens.decision_ids(tokenizer)
    for row, last in ((made[0], firsts[0]), (made[1], firsts[2])):
        read = strategy.tokenize_prompt({"text": [json.dumps(row)]})
        labels = [label for label in read["labels"][0] if label != formatter.IGNORE]
        assert labels == [*start, last] == read["input_ids"][0][-len(labels) :]
        assert read["input_ids"][0][: -len(labels)] == tokens.prompt_ids(tokenizer, *row["input"].values())
    whole = strategy.tokenize_prompt({"text": [json.dumps(made[-1])]})
    assert sum(label != formatter.IGNORE for label in whole["labels"][0]) > len(start) + 5


def test_a_step_is_done_once_for_what_it_was_made_from(tmp_path):
    kept, calls = Kept(tmp_path / "steps"), []
    for made_from in (1e-5, 1e-5, 2e-5):
        assert kept("part", {"rate": made_from}, lambda: calls.append(1) or [len(calls)]) == [len(calls)]
    assert len(calls) == 2 and len(list((tmp_path / "steps").iterdir())) == 1


# A run whose model sees the truth through noise and a wrong bias.

RUN = Path("runs/contacts")
NAMES = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gil", "Hana", "Ida", "Jon")


class Shy(Rules):
    """A model that is right about the order of pairs, and far too careful."""

    name, calibration, bias, signal = "shy", Calibration(1.0, 0.79, True), 4.0, 2.5

    def probabilities(self, pairs):
        found = []
        for a, b in pairs:
            self.asked += 1
            rng = np.random.default_rng(sum(map(ord, str(sorted((str(a), str(b)))))))
            same = expit((self.signal if a["Notes"] == b["Notes"] else -self.signal) + rng.normal(0, 1.2) - self.bias)
            found.append([same, 0.0, 1 - same])
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of 120 records of 60 people, half of whom share an e-mail address with another one; nothing is answered yet."""
    root = tmp_path_factory.mktemp("learning")
    lines = ["Record ID,First Name,Last Name,Email,Notes"]
    for person in range(60):
        name, mail = NAMES[person % 10], f"{'abcdefghij'[person // 2 % 10]}{person // 2}@example.com"
        lines += [f"{1000 + 2 * person + copy},{name}{'e' * copy},Lee{person // 2},{mail},person {person}" for copy in range(2)]
    (root / "contacts.csv").write_text("\n".join(lines) + "\n")
    model = root / "outputs" / "shy-merged"
    model.mkdir(parents=True)
    matcher = Shy(model)
    (model / "chat_template.jinja").write_text("x")
    (model / "crm_dedup.json").write_text(json.dumps({"base_model": "a/b", "fingerprint": "f"}))
    with contextlib.chdir(root):
        decide(matcher)
    return root


def decide(matcher):
    with run_folder.alone(RUN):
        return pipeline.match(RUN, [Path("contacts.csv")], matcher, pipeline.Settings(explain=0))["decide"]


@pytest.fixture
def root(made, tmp_path, monkeypatch):
    """A copy of it, as the working directory."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(run, count, same=None):
    """Answer about `count` pairs, half of them the most probable ones, from the truth, or as `same` says."""
    records, table = Records(run), sorted(deciding.raw(run).to_pylist(), key=lambda one: -one["duplicate"])
    spread = np.linspace(0, 1, count) ** 3 * (len(table) - 1) + np.arange(count) * 0.01
    for one in (table[at] for at in sorted({int(place) for place in np.maximum(spread, np.arange(count))})):
        truth = records.values(one["a"])["Notes"] == records.values(one["b"])["Notes"] if same is None else same
        pair = [answers.reference(records, one[side]) for side in "ab"]
        answers.append(run, {"kind": answers.PAIR, "answer": answers.SAME if truth else answers.DIFFERENT, "pairs": [pair]})


def test_a_calibration_makes_a_shy_model_right_and_asks_nothing_again(root, capsys):
    run = RUN
    answer(run, 40)
    before = (run / "3-decide" / "key.json").read_text()
    assert main(["learn", "contacts"]) == 0
    told = capsys.readouterr().out
    assert "calibrated (taken)" in told and "`crm-dedup match" in told and "--tune" not in told
    found, model = result.report(run), root / "outputs" / "learned-contacts-merged"
    assert found["ways"]["calibrated"]["f1"]["value"] > found["ways"]["before"]["f1"]["value"] + 0.1
    assert found["taken"] == "calibrated" and found["calibration"]["weights"] and found["generated"] is None
    calibration = Calibration.of(str(model))
    assert calibration.known and calibration.threshold == SURE and 0 < calibration.review_from < 0.5
    assert model_digest(str(model)) == model_digest("outputs/shy-merged") and os.path.samefile(
        model / "config.json", "outputs/shy-merged/config.json"
    )
    assert json.loads((model / "private.json").read_text())["trained_on"] == {"answers": 0, "records": 0}
    again = Shy(model)
    again.name, again.calibration = "learned-contacts", calibration
    decided = decide(again)
    assert decided["model"] == "learned-contacts" and (run / "3-decide" / "key.json").read_text() == before
    assert "calibrated on 40 answers" in match_report.write(run).read_text()
    assert "calibrated on 40 answers" in (run / "6-report" / "report.md").read_text()


def test_learning_again_starts_from_the_general_model_and_keeps_its_name(root):
    run = RUN
    answer(run, 30)
    assert learn(run)["model"] == "learned-contacts"
    again = Shy(root / "outputs" / "learned-contacts-merged")
    again.name, again.calibration = "learned-contacts", Calibration.of("outputs/learned-contacts-merged")
    decide(again)
    answer(run, 45)
    found = learn(run, Options(tune=False))
    assert (found["model"], found["from"]) == ("learned-contacts", "shy") and found["ways"]["before"]["f1"]["value"] < 0.8
    assert [path.name for path in sorted((root / "outputs").iterdir())] == ["learned-contacts-merged", "results", "shy-merged"]


def test_what_is_not_better_changes_nothing(root, monkeypatch, capsys):
    run = RUN
    monkeypatch.setattr(Shy, "bias", 0.0)
    monkeypatch.setattr(Shy, "signal", 20.0)
    (root / "outputs" / "shy-merged" / "crm_dedup.json").write_text('{"v": 2}')
    decide(Shy(root / "outputs" / "shy-merged"))
    (run / result.FILE).write_text(json.dumps({"model": "learned-contacts", "from": "shy"}))
    answer(run, 40)
    found = learn(run)
    assert found["taken"] == "before" and found["model"] is None and not (run / result.FILE).exists()
    assert not list((root / "outputs").glob("learned-*"))
    assert "nothing changes" in learn_report.write(run)


@pytest.mark.parametrize(
    ("count", "same", "said"),
    [
        (0, None, "no answer that says same or different"),
        (19, None, "1 more is needed"),
        (12, None, "8 more are needed"),
        (25, True, "at least one must say different"),
    ],
)
def test_too_few_answers_are_an_error_that_says_how_many_are_missing(root, capsys, count, same, said):
    run = RUN
    if count:
        answer(run, count, same)
    assert main(["learn", "contacts"]) == 1
    assert said in capsys.readouterr().err and not (run / result.FOLDER).exists() and not (run / result.FILE).exists()


def test_unsure_is_never_forced_and_changed_records_are_left_out(root):
    run = RUN
    answer(run, 30)
    records, first = Records(run), answers.Answers.of(run, Records(run)).same_or_not[0]
    pair = [answers.reference(records, row) for row in first[:2]]
    answers.append(run, {"kind": answers.PAIR, "answer": answers.UNSURE, "pairs": [pair]})
    answers.append(run, {"kind": answers.PAIR, "answer": answers.SAME, "pairs": [[{**pair[0], "sha256": "0"}, pair[1]]]})
    found = answered.Answered.of(run)
    assert (len(found.y), found.unsure, found.changed) == (29, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["learn", "nowhere"], "there is no run"),
        (["learn", "contacts", "--tune", "--no-tuning"], "contradict"),
        (["learn", "contacts", "--tune"], "cannot be tuned"),
    ],
)
def test_what_cannot_be_learned_is_one_message(root, capsys, arguments, said):
    answer(RUN, 40)
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


def test_a_match_without_a_model_uses_what_its_run_has_learned(root, capsys):
    from crm_dedup_plugin.cli.match import _learned

    run = RUN
    assert _learned(run) == "embedded" and capsys.readouterr().err == ""
    answer(run, 30)
    learn(run, Options(tune=False))
    capsys.readouterr()
    assert _learned(run) == "learned-contacts"
    assert "--model embedded goes back" in capsys.readouterr().err
    shutil.rmtree(root / "outputs" / "learned-contacts-merged")
    with pytest.raises(UserError, match=r"is gone: run `crm-dedup learn contacts` again"):
        _learned(run)


def test_a_run_may_have_any_name(root):
    run = Path("runs/<b>x|y`z")
    RUN.rename(run)
    answer(run, 30)
    assert learn(run)["model"] == "learned-b-x-y-z"
    learn_report.write(run)
    page, text = ((run / result.FOLDER / name).read_text() for name in ("report.html", "report.md"))
    assert "<b>" not in page and "&lt;b&gt;x|y`z" in page and "\\|y\\`z" in text and "<b>" not in text


def test_two_runs_never_share_a_model(root):
    run = root / "elsewhere" / "contacts"
    shutil.copytree(root / "runs" / "contacts", run)
    for one in (root / "runs" / "contacts", run):
        answer(one, 30)
    assert [learn(one)["model"] for one in (root / "runs" / "contacts", run)] == ["learned-contacts", "learned-contacts-2"]
    assert result.name_for(root / "runs" / "Q3 (new)/../Änderungen 2026") == "learned-nderungen-2026"


# Tuning, with a stand-in for the training: tests/test_learning_live.py has a real one.


class Trained:
    """Stands in for `tuning.tune` and `tuning.score`: what is tuned knows the truth, but for `forgot` of the generated pairs."""

    def __init__(self, monkeypatch, forgot=0.0, dies_at=None):
        self.calls, self.forgot, self.dies_at = [], forgot, dies_at
        monkeypatch.setattr(tuning, "check", lambda model: None)
        monkeypatch.setattr(tuning, "tune", self.tune)
        monkeypatch.setattr(tuning, "score", self.score)

    def tune(self, model, pairs, out, settings, what):
        if len(self.calls) == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append((what, len(pairs)))
        self.trained = {str(pair[:2]) for pair in pairs}
        (out / "merged").mkdir(parents=True)
        (out / "merged" / "config.json").write_text(json.dumps({"tuned": what}))
        (out / "merged" / "crm_dedup.json").write_text(json.dumps({"base_model": model, "tuning": settings._asdict(), "seconds": 1.0}))
        return out / "merged"

    def score(self, model, pairs, say):
        tuned = "tuned" in (Path(model) / "config.json").read_text()
        found = []
        for number, (a, b) in enumerate(pairs):
            if str(a.get("Notes", "")).startswith("person "):
                assert not tuned or "all" in model or str((a, b)) not in self.trained, "a pair is judged by what has seen it"
                same = 0.97 if a["Notes"] == b["Notes"] else 0.03
                found.append([same, 0.0, 1 - same])
            else:
                right = LABELS.index(self.truth[str(a), str(b)]) if not tuned or number >= self.forgot * len(pairs) else 0
                found.append([0.9 if at == right else 0.05 for at in range(3)])
        return np.array(found)

    @functools.cached_property
    def truth(self):
        rows = generate(200, Tuning().seed + 1)
        return {tuple(map(str, row["input"].values())): row["output"]["decision"] for row in rows}


def test_a_tuned_model_that_is_better_is_taken_with_all_that_names_it(root, monkeypatch, capsys):
    trained = Trained(monkeypatch)
    answer(RUN, 60)
    assert main(["learn", "contacts", "--tune"]) == 0
    told = capsys.readouterr().out
    found, model = result.report(RUN), Path("outputs/learned-contacts-merged")
    assert found["taken"] == "tuned" and found["generated"]["lost"] == 0 and "tuned and calibrated (taken)" in told
    assert [what for what, _ in trained.calls] == ["part 1 of 3", "part 2 of 3", "part 3 of 3", "with all answers"]
    assert trained.calls[-1][1] == 60 == sum(60 - count for _, count in trained.calls[:3])
    assert json.loads((model / "config.json").read_text()) == {"tuned": "with all answers"}
    manifest, private = json.loads((model / "crm_dedup.json").read_text()), json.loads((model / "private.json").read_text())
    assert manifest["base_model"] == "a/b" and manifest["tuned_from"] == "shy" and private["trained_on"]["answers"] == 60
    assert json.loads(Path("outputs/results/learned-contacts/training.json").read_text()) == manifest
    assert 0 < Calibration.of(str(model)).review_from < 0.5 and not Path("outputs/learned-contacts").exists()
    assert main(["learn", "contacts", "--tune"]) == 0 and len(trained.calls) == 4, "nothing is done twice"


def test_a_tuned_model_that_forgot_is_refused_and_the_calibration_is_taken(root, monkeypatch, capsys):
    Trained(monkeypatch, forgot=0.1)
    answer(RUN, 60)
    assert main(["learn", "contacts", "--tune"]) == 0
    assert "was refused" in capsys.readouterr().out
    found = result.report(RUN)
    assert found["taken"] == "calibrated" and found["generated"]["lost"] > 0.01
    assert json.loads(Path("outputs/learned-contacts-merged/private.json").read_text())["trained_on"] == {"answers": 0, "records": 0}


def test_an_interrupted_learning_goes_on_after_the_parts_that_are_done(root, monkeypatch):
    answer(RUN, 60)
    first = Trained(monkeypatch, dies_at=2)
    assert main(["learn", "contacts", "--tune"]) == 130 and not (RUN / result.FILE).exists() and result.report(RUN) is None
    second = Trained(monkeypatch)
    assert main(["learn", "contacts", "--tune"]) == 0
    assert [what for what, _ in (*first.calls, *second.calls)] == ["part 1 of 3", "part 2 of 3", "part 3 of 3", "with all answers"]


def test_a_tuning_needs_answers_of_both_kinds(root):
    answer(RUN, 25, same=False)
    answer(RUN, 3, same=True)
    found = answered.Answered.of(RUN)
    assert not found.can_tune(None)
    with pytest.raises(UserError, match="3 say same"):
        found.can_tune(True)

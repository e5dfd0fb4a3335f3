"""The whole way on a new export: match, review in a browser, learn, and match again, each through its command.

The CRM is one of those whose columns no training pair has. The engine is a stand-in which ranks pairs well and is far too careful, as a model is
about a source that it has never seen: a real one takes minutes. All that is around it is real: the embedded model's folder, weights and calibration.
"""

import contextlib
import csv
import html
import io
import json
import os
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from browser import watched
from playwright.sync_api import Page, expect
from review_run import ROOT, reviewing
from scipy.special import softmax

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.inference.batch import Batch, Reply
from crm_dedup_plugin.inference.engine import DECISION
from crm_dedup_plugin.matching import answers, deciding
from crm_dedup_plugin.matching.matcher import Matcher
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.pair.answer import LABELS, Answer
from crm_dedup_plugin.pair.record import to_json
from crm_dedup_plugin.policy import evidence, reasoning, rules
from crm_dedup_plugin.provenance import model_digest

ROWS, COUNT, SLIP, DOUBT = 300, 52, 7, 11  # records; answers of same or different; after so many: a wrong one, taken back; and one of "not sure"
LOGITS = dict(zip(LABELS, ([1.0, 0.0, 3.5], [0.0, 0.5, 5.0], [-4.0, 0.0, 8.0]), strict=True))
KEYS = {True: "s", False: "d"}
WORDS = {True: answers.SAME, False: answers.DIFFERENT}
RUN = Path("runs/contacts")
EXPORT = ["--export", str(ROWS), "--crm", "pipedrive", "--seed", "7", "--out", "contacts.csv"]
expect.set_options(timeout=20_000)


class Careful:
    """An engine that follows the written policy through noise, and says NO_MATCH of nearly all pairs."""

    asked = explained = 0  # pairs to decide, and pairs to write a reason for

    def reset_cache(self):
        """Nothing is kept from one question to the next."""

    def ask(self, kind, pairs):
        found = []
        for pair in pairs:
            known = evidence.compare(*pair)
            label, name = rules.decide(known), "\n".join(sorted(map(to_json, pair)))
            if kind == DECISION:
                noise = np.random.default_rng(zlib.crc32(name.encode())).normal(0, 0.7, len(LABELS))
                found.append(softmax(LOGITS[label] + noise).tolist())
            else:
                self.explained += 1
                found.append(Reply(Answer(label, reasoning.write_plainly(known)), False))
        return Batch(found, [1] * len(found), 0, 0, 0.0, 0.0)

    def stand_in(self, patch: pytest.MonkeyPatch) -> None:
        """Answer for every model of a match."""
        probabilities = Matcher.probabilities

        def counted(matcher, pairs):
            self.asked += len(pairs)
            return probabilities(matcher, pairs)

        patch.setattr(Matcher, "engine", lambda *_: self)
        patch.setattr(Matcher, "probabilities", counted)


class Look(NamedTuple):
    """What a match said and left."""

    said: str  # on the screen
    asked: int  # pairs that the model decided
    explained: int  # pairs that it wrote a reason for
    inside: set[tuple[int, int]]  # pairs of rows that were no candidates, which the model has been asked about so far
    groups: list[int]  # of each row
    decided: dict  # the report of the third stage
    pages: dict[str, str]  # the report, by ending
    shards: dict[str, int]  # when each was written


class Way(NamedTuple):
    """The whole way, in the order of its steps."""

    first: Look
    entries: list[dict]  # what the review kept
    given: dict[frozenset[str], bool]  # by the ids of two records: whether the oracle said same
    doubted: frozenset[str]
    learned: str  # what `learn` said
    second: Look
    again: Look


def command(*words: str) -> str:
    """Run a command to its end and return what it said on both streams."""
    with io.StringIO() as said, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        assert main(list(words)) == 0, said.getvalue()
        return said.getvalue()


def match(careful: Careful) -> Look:
    asked, explained = careful.asked, careful.explained
    said = command("match", "contacts.csv")
    pages = {path.suffix: path.read_text(encoding="utf-8") for path in (RUN / "6-report").glob("report.[hm]*")}
    shards = {path.name: path.stat().st_mtime_ns for path in (RUN / "3-decide" / "shards").iterdir()}
    groups = pq.read_table(RUN / "4-group" / "groups.parquet").sort_by("row")["group"].to_pylist()
    decided = json.loads((RUN / "3-decide" / "report.json").read_text(encoding="utf-8"))
    return Look(said, careful.asked - asked, careful.explained - explained, set(deciding.inside(RUN)), groups, decided, pages, shards)


def ids() -> list[str]:
    """Return the id of each row."""
    return Records(RUN).table("id")["id"].to_pylist()


class Oracle:
    """A person who knows the truth, and answers by keyboard what the page shows."""

    def __init__(self, page: Page):
        with open("contacts.truth.csv", encoding="utf-8", newline="") as file:
            self.entity = {line["id"]: line["entity"] for line in csv.DictReader(file)}
        self.page, self.ids, self.given, self.doubted = page, ids(), {}, None
        expect(page.locator("#pair h2")).to_be_visible()

    def shown(self) -> tuple[frozenset[str], bool]:
        """Return the ids of the records of the page, and whether they are one person."""
        rows = re.fullmatch(r"#pairs/(\d+)-(\d+)", self.page.evaluate("location.hash"))
        pair = frozenset(self.ids[int(row)] for row in rows.groups())
        return pair, len({self.entity[one] for one in pair}) == 1

    def press(self, key: str) -> None:
        before = self.page.evaluate("location.hash")
        self.page.keyboard.press(key)
        self.page.wait_for_function("before => location.hash !== before", arg=before)

    def answer(self) -> None:
        pair, same = self.shown()
        assert pair not in self.given and pair != self.doubted, "no pair is asked about twice"
        if len(self.given) == SLIP:
            self.press(KEYS[not same])
            self.press("z")
            assert self.shown() == (pair, same), "what was taken back is shown again"
        if len(self.given) == DOUBT and self.doubted is None:
            self.doubted = pair
            self.press("u")
            return
        self.press(KEYS[same])
        self.given[pair] = same


@pytest.fixture(scope="module")
def way(embedded_model, browser, tmp_path_factory):
    """Go the whole way once."""
    careful = Careful()
    with contextlib.chdir(root := tmp_path_factory.mktemp("way")), pytest.MonkeyPatch.context() as patch:
        careful.stand_in(patch)
        command("synth", *EXPORT)
        first = match(careful)
        here = {"cwd": root, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
        with reviewing("contacts", **here) as review, watched(browser, review.address) as open_page:
            oracle = Oracle(open_page())
            while len(oracle.given) < COUNT:
                oracle.answer()
            expect(oracle.page.locator("#counts")).to_contain_text(f"{COUNT + 1} answered")
        learned = command("learn", "contacts", "--no-tuning")
        yield Way(first, answers.entries(RUN), oracle.given, oracle.doubted, learned, match(careful), match(careful))


def test_the_first_match_is_the_embedded_models_and_too_careful(way):
    assert way.first.decided["model"] == "embedded" and "using learned" not in way.first.said
    assert "\nreview: crm-dedup review contacts\n" in way.first.said, "it says how to go on"
    pairs = len(deciding.candidates(RUN))
    assert sum(way.first.decided["decisions"].values()) == way.first.decided["pairs"] == pairs == way.first.asked - len(way.first.inside)
    assert not any("was calibrated" in page for page in way.first.pages.values())


def test_the_review_keeps_every_answer_but_the_one_that_was_taken_back(way):
    kept = {frozenset(one["id"] for one in entry["pairs"][0]): entry["answer"] for entry in way.entries}
    assert len(way.entries) == len(kept) == COUNT + 1
    assert kept == {pair: WORDS[same] for pair, same in way.given.items()} | {way.doubted: answers.UNSURE}
    assert min(Counter(way.given.values()).values()) >= 5 and len(set(way.given.values())) == 2
    lines = (RUN / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == COUNT + 3, "the slip and its undo stay in the file"


def test_learning_says_what_became_better_on_answers_that_it_had_not_seen(way):
    report = json.loads((RUN / "learned" / "report.json").read_text(encoding="utf-8"))
    told, before, after = report["answers"], report["ways"]["before"], report["ways"]["calibrated"]
    assert told == {"same": sum(way.given.values()), "different": COUNT - sum(way.given.values()), "unsure": 1, "changed": 0}
    assert report["taken"] == "calibrated" and after["log_loss"]["value"] < before["log_loss"]["value"]
    assert after["f1"]["value"] > before["f1"]["value"]
    assert f"embedded was calibrated on {COUNT} answers" in way.learned and "`crm-dedup match contacts.csv`" in way.learned


def test_the_second_match_uses_what_was_learned_and_says_so(way):
    assert "using learned-contacts, which `crm-dedup learn` made from your answers; --model embedded goes back" in way.second.said
    assert way.second.decided["model"] == "learned-contacts"
    model = "outputs/learned-contacts-merged"
    assert way.second.decided["calibration"] == json.loads(json.dumps(Calibration.of(model)._asdict()))
    assert way.second.decided["calibration"]["weights"] != way.first.decided["calibration"]["weights"], "those of the contacts of a CRM"


def test_the_second_match_asks_nothing_again(way, embedded_model):
    assert model_digest("outputs/learned-contacts-merged") == model_digest(str(embedded_model)), "the weights are the same"
    assert way.second.shards == way.first.shards
    assert way.second.asked == len(way.second.inside - way.first.inside), "only pairs inside of new groups, which were no candidates"
    assert way.second.explained and "The model decides no pair again; it only writes reasons for pairs that now wait" in way.learned
    assert not way.second.inside & set(deciding.candidates(RUN))
    assert way.again == way.second._replace(said=way.again.said, asked=0, explained=0), "a third time changes nothing"


def test_every_yes_joins_and_every_no_separates(way):
    row = {name: at for at, name in enumerate(ids())}

    def together(look: Look, pair: frozenset[str]) -> bool:
        return len({look.groups[row[name]] for name in pair}) == 1

    assert {pair: together(way.second, pair) for pair in way.given} == way.given
    assert {pair: together(way.first, pair) for pair in way.given} != way.given, "the answers were needed"


@pytest.mark.parametrize("ending", [".html", ".md"])
def test_the_report_says_what_became_better(way, ending):
    text = " ".join(html.unescape(way.second.pages[ending]).split())
    report = json.loads((RUN / "learned" / "report.json").read_text(encoding="utf-8"))
    said = f"embedded was calibrated on {COUNT} answers, evidence by evidence; the model itself stays as it is: learned-contacts."
    assert said in text and said not in way.first.pages[ending]
    losses = [report["ways"][one]["log_loss"]["value"] for one in ("before", "calibrated")]
    found = re.search(
        r"On answers that it had not learned from: log-loss from ([\d.]+) to ([\d.]+), F1 at even odds from [\d.]+ to [\d.]+; wrong", text
    )
    assert found and [float(one) for one in found.groups()] == pytest.approx(losses, abs=0.01)

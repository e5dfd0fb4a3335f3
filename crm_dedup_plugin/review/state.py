"""What a review is about, and its state: what the answers, in their order, make of the decisions. An answer changes only groups that it touches."""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from crm_dedup_plugin.matching import answers, deciding, run_folder
from crm_dedup_plugin.matching.candidates.stage import FILE as CANDIDATES
from crm_dedup_plugin.matching.grouping.decided import NO_MATCH, POSSIBLE, Decided, Reviewed
from crm_dedup_plugin.matching.grouping.local import Local, Part
from crm_dedup_plugin.matching.grouping.missing import keys
from crm_dedup_plugin.matching.grouping.stage import order_of
from crm_dedup_plugin.matching.grouping.tables import WHY, waiting
from crm_dedup_plugin.matching.probability import log_odds
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.matching.sampling import CHOSEN, Answered, Sampler, tickets_of
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.review.shapes import Given, Rows

UNKNOWN = -1  # the label of a pair about which no model was asked


class Material(NamedTuple):
    """Records, and pairs with what a model said of them."""

    records: Records
    decided: Decided  # the candidates; a label may be `UNKNOWN`
    inside: Decided  # pairs inside groups that were asked later
    threshold: float  # from which probability on a pair is merged without a person
    order: np.ndarray  # (rows,) ranks that break ties
    kinds: np.ndarray  # (candidates,) the number of the rules that found each
    reasons: dict[tuple[int, int], str]  # the model's reasonings, by rows

    @classmethod
    def of(cls, run: Path) -> Self:
        """Return what a run holds; raises UserError where its plan is not made."""
        threshold = {stage: run_folder.report(run, stage) for stage in run_folder.STAGES[:-1]}["decide"]["threshold"]
        records, decided = Records(run), Decided.of(run)
        told = {pair: one["reasoning"] or "" for pair, one in deciding.reasons(run).items()}
        return cls(records, decided, _inside(run, records), threshold, order_of(records), _kinds(run, decided, len(records.ids)), told)


class Waiting(NamedTuple):
    """Candidates that wait for a person, the most probable first."""

    at: np.ndarray  # (n,) positions in the candidates
    why: dict[int, int]  # indices of `WHY`, by position
    again: frozenset[int]  # those of two groups that stand further up


class Said(NamedTuple):
    """What the model says of a pair."""

    label: str
    probabilities: list[float]  # in the order of `LABELS`


class State:
    """Groups, answers and open questions of a run in memory. Not thread-safe: `Board` locks it."""

    def __init__(self, run: Path, material: Material, seed: int = 0):
        self.run, self.material, self.records, self.size = run, material, material.records, len(material.order)
        self.local = Local(material.decided, material.inside, material.threshold, material.order)
        self.pairs = material.decided.pairs
        self.groups = self.local.everything(Reviewed.of((), self.size)).groups
        self.merged = self.together(self.pairs)  # without a person
        labels, probabilities = material.decided.labels, material.decided.probabilities
        sources, records = material.records.sources, material.records
        names = [f"{sources[source].path}\0{id}" for source, id in zip(records.source_of, records.ids, strict=True)]
        tickets = tickets_of(names, self.pairs, seed)
        self.sampler = Sampler(self.pairs, log_odds(probabilities), self.merged, material.kinds, tickets)
        self._maybe = np.flatnonzero(labels != NO_MATCH)
        codes = keys(self.pairs, self.size)
        self._order = np.argsort(codes)
        self._codes = codes[self._order]
        self._asked_inside = {tuple(pair): at for at, pair in enumerate(np.sort(material.inside.pairs, axis=1).tolist())}
        self.texts: dict[int, str] = {}  # what was searched in
        self.row_of = answers.Rows(self.records)
        self.answered: dict[Rows, Given] = {}  # in order of time
        self.sampled: dict[int, Answered] = {}  # of candidates, in order of time
        self.reviewed = Reviewed.of((), self.size)
        self.reload()

    def reload(self) -> list[int]:
        """Read the answers again; return the smallest rows of the groups that are other ones now."""
        self.found = answers.Answers.of(self.run, self.records, self.row_of)
        latest = self.found.latest
        now = {
            pair: Given(answer, entry.get("note", ""), entry["time"], entry["n"], entry.get("drawn", CHOSEN), bool(entry.get("blind")))
            for pair, (answer, entry) in latest.items()
        }
        drawn_from = {pair: (entry.get("stratum"), entry.get("weight")) for pair, (_, entry) in latest.items()}
        before, self.answered = self.answered, now
        touched = {row for pair in before.keys() | now.keys() if before.get(pair) != now.get(pair) for row in pair}
        self.reviewed = Reviewed.of(self.found.same_or_not, self.size)
        places = ((self.position(*pair), pair) for pair in now)
        self.sampled = {at: Answered(now[pair].answer, now[pair].drawn, drawn_from[pair]) for at, pair in places if at is not None}
        self.__dict__.pop("waiting", None)
        return self._regroup(self.local.around(touched, self.reviewed)) if touched else []

    def _regroup(self, part: Part) -> list[int]:
        moved = part.rows[self.groups[part.rows] != part.groups]
        names = set(self.groups[moved].tolist())
        self.groups[part.rows] = part.groups
        return sorted(names | set(self.groups[moved].tolist()))

    @cached_property
    def lines(self) -> list[int]:
        """Return where each record stands in its file."""
        return self.records.table("line")["line"].to_pylist()

    @cached_property
    def waiting(self) -> Waiting:
        """Return what waits for a person now, answered or not."""
        refused = [at for pair in self.refused().tolist() if (at := self.position(*pair)) is not None]
        at = np.union1d(self._maybe, np.array(refused, np.int64))
        decided = self.material.decided
        labels = np.where(decided.labels[at] == UNKNOWN, POSSIBLE, decided.labels[at])  # what no model decided is for people
        some = Decided(decided.pairs[at], decided.probabilities[at], labels)
        found, why, again = waiting(self.groups, some, self.reviewed, self.material.threshold, self.material.order)
        places = at[found]
        return Waiting(places, dict(zip(places.tolist(), why.tolist(), strict=True)), frozenset(places[again].tolist()))

    def open_questions(self) -> list[Rows]:
        """Return the pairs that wait for a person and are not answered, the most probable first."""
        answered = np.fromiter(self.sampled, np.int64, len(self.sampled))
        return [tuple(pair) for pair in self.pairs[self.waiting.at[~np.isin(self.waiting.at, answered)]].tolist()]

    def why(self, at: int | None) -> str:
        """Return why a candidate waits for a person; "" where it does not."""
        return WHY[self.waiting.why[at]] if at in self.waiting.why and self.material.decided.labels[at] != UNKNOWN else ""

    def refused(self) -> np.ndarray:
        """Return the (n, 2) pairs that are answered with "same" and stay apart, because other answers contradict it."""
        return self.reviewed.yes[~self.together(self.reviewed.yes)]

    def position(self, a: int, b: int) -> int | None:
        """Return the place of a pair among the candidates."""
        code = min(a, b) * self.size + max(a, b)
        at = int(np.searchsorted(self._codes, code))
        return int(self._order[at]) if at < len(self._codes) and self._codes[at] == code else None

    def said(self, a: int, b: int) -> Said | None:
        """Return what the model says of two rows; None where it was never asked."""
        at, decided = self.position(a, b), self.material.decided
        if at is None:
            at, decided = self._asked_inside.get((min(a, b), max(a, b))), self.material.inside
        if at is None or decided.labels[at] == UNKNOWN:
            return None
        return Said(LABELS[decided.labels[at]], [round(one, 6) for one in decided.probabilities[at].tolist()])

    def stale(self) -> set[Rows]:
        """Return the pairs whose records have changed since they were answered, and that were not answered again."""
        found = set()
        for entry in answers.entries(self.run) if self.found.changed else ():
            for pair in entry.get("pairs", ()):
                rows = [self.row_of.whatever_it_says(one) for one in pair]
                if None not in rows and None in [self.row_of(one) for one in pair]:
                    found.add((min(rows), max(rows)))
        return found - self.answered.keys()

    def members(self, row: int) -> list[int]:
        """Return the rows of a row's group, ascending."""
        return np.flatnonzero(self.groups == self.groups[row]).tolist()

    def sizes(self) -> np.ndarray:
        """Return (rows,) how many rows each group has, under its smallest row; 0 elsewhere."""
        return np.bincount(self.groups, minlength=self.size)

    def together(self, pairs: np.ndarray) -> np.ndarray:
        """Return (n,) which of (n, 2) pairs are in one group."""
        return self.groups[pairs[:, 0]] == self.groups[pairs[:, 1]]


def _inside(run: Path, records: Records) -> Decided:
    found, calibration = deciding.inside(run), deciding.calibration(run)
    rows = calibration.apply(list(found.values()), calibration.evidence(records.pairs(found)))
    return Decided.from_answers(list(found), rows, calibration)


def _kinds(run: Path, decided: Decided, size: int) -> np.ndarray:
    """Return which rules found each candidate, as a number that stands for their names."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(run_folder.folder(run, "candidates") / CANDIDATES)
    codes = keys(np.stack([table[side].to_numpy() for side in ("a", "b")], axis=1), size)
    rules = table["rules"].combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.argsort(codes)
    return rules[order][np.searchsorted(codes[order], keys(decided.pairs, size))]

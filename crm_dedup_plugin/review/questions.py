"""Questions about pairs, and what people answer: what a run and a file of pairs under review have in common.

Several windows share one board. Each change is on the disk before it counts.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import answers
from crm_dedup_plugin.matching.answers import ANSWERS, PAIR, SKIP
from crm_dedup_plugin.matching.sampling import AT_RANDOM, CHOSEN, DRAWN
from crm_dedup_plugin.review import lists, side_by_side
from crm_dedup_plugin.review.progress import progress
from crm_dedup_plugin.review.shapes import Change, Next, Page, Pair, Progress, Rows
from crm_dedup_plugin.review.state import Material, State


def alone(method: Callable) -> Callable:
    """Let one thread at a time use a board, which knows then what other processes have answered."""

    @functools.wraps(method)
    def locked(self, *args, **named):
        with self._lock:
            if self._history.has_moved():
                self._state.reload()
            return method(self, *args, **named)

    return locked


class History:
    """The changes of a review, by this process and by others: each can be taken back, and brought back until something else is answered."""

    def __init__(self, run: Path):
        self.run, self._seen = run, None
        self.undone: list[tuple[int, dict]] = []  # what `redo` brings back, the last one first: the number of the undo, and the entry

    def has_moved(self) -> bool:
        """Tell whether something was added since this was asked last, by whomever."""
        path = self.run / answers.FILE
        found = path.stat() if path.is_file() else None
        before, self._seen = self._seen, found and (found.st_size, found.st_mtime_ns)
        return before != self._seen

    def keep(self, entry: dict) -> dict:
        """Add an entry, and return it once it is on the disk."""
        kept = answers.append(self.run, entry)
        self.undone.clear()
        return kept

    def undo(self) -> dict | None:
        """Take back the latest entry that holds, and return it; None where there is none."""
        last = next(reversed(answers.entries(self.run)), None)
        if last:
            self.undone.append((answers.append(self.run, {"kind": answers.UNDO, "of": last["n"]})["n"], last))
        return last

    def redo(self) -> dict | None:
        """Bring back what was taken back last, and return it; None where there is nothing, or something was answered since."""
        if not self.undone:
            return None
        number, entry = self.undone[-1]
        answers.append(self.run, {"kind": answers.UNDO, "of": number})
        self.undone.pop()
        return entry


class Questions:
    """Pairs for people to answer. Raises UserError where rows, words or filters are wrong, and where an answer cannot be kept."""

    _merges = False  # the records of a group go into one

    def _open(self, run: Path, material: Material, seed: int) -> None:
        self._lock, self._history = threading.RLock(), History(run)
        self._history.has_moved()
        self._state = State(run, material, seed)

    @alone
    def pair(self, a: int, b: int) -> Pair:
        """Return two records side by side."""
        (a, b), state = self._pair((a, b)), self._state
        model, at = side_by_side.model(state, a, b), state.position(a, b)
        found, key = self.next(), (min(a, b), max(a, b))
        drawn = found.drawn if found and key == (min(found.a, found.b), max(found.a, found.b)) else CHOSEN
        return Pair(
            a, b, [side_by_side.head(state, row) for row in (a, b)],
            side_by_side.fields(state, a, b, model.reasoning if model else ""), model,
            state.why(at), bool(state.groups[a] == state.groups[b]),
            state.answered.get(key), key in state.stale(), drawn, None if at is None else int(state.sampler.of[at]),
        )  # fmt: skip

    @alone
    def next(self, after: Rows | None = None, skip: Sequence[Rows] = ()) -> Next | None:
        """Return the pair that is worth an answer most, but for `after` and those in `skip`; None where none is left."""
        state = self._state
        left_out = {self._pair(pair) for pair in (*([after] if after else []), *skip)}
        found = state.sampler.next(state.sampled, state.groups, {at for pair in left_out if (at := state.position(*pair)) is not None})
        if found:
            return Next(*state.pairs[found[0]].tolist(), found[1])
        left_out = {(min(pair), max(pair)) for pair in left_out}
        skipped = (pair for pair, given in state.answered.items() if given.answer == SKIP and pair not in left_out)
        return next((Next(*pair, CHOSEN) for pair in skipped), None)

    @alone
    def before(self, pair: Rows | None = None) -> Rows | None:
        """Return the pair that was answered before this one; without a pair, the one that was answered last."""
        return self._beside(pair, -1)

    @alone
    def following(self, pair: Rows) -> Rows | None:
        """Return the pair that was answered after this one."""
        return self._beside(pair, 1)

    @alone
    def queue(self, filter: str = lists.WAITING, search: str = "", offset: int = 0, limit: int = 50) -> Page:
        """Return a part of a list of pairs: one of `lists.FILTERS`, and of these the ones that hold a text."""
        return lists.page(self._state, filter, search, offset, limit)

    @alone
    def answer(self, pairs: Sequence[Rows], answer: str, note: str = "", drawn: str = CHOSEN, blind: bool = False) -> Change:
        """Keep one answer about one pair or several; `drawn` is what `next` said of it, `blind` that nothing of the model was shown."""
        pairs, state = [self._pair(pair) for pair in pairs], self._state
        if answer not in ANSWERS or drawn not in DRAWN or not pairs:
            raise UserError(f"the answer {answer!r} ({drawn}) about {len(pairs)} pairs is unknown: use {', '.join(ANSWERS)}; {', '.join(DRAWN)}")
        entry = {"kind": PAIR, "answer": answer, "pairs": [[self._reference(row) for row in pair] for pair in pairs]}
        entry |= {"note": note} if note else {}
        if len(pairs) == 1 and (at := state.position(*pairs[0])) is not None:
            stratum = int(state.sampler.of[at])
            entry |= {"stratum": stratum, "weight": int(state.sampler.sizes[stratum])}  # pairs of the stratum
        elif drawn in AT_RANDOM:
            drawn = CHOSEN
        if len(pairs) == 1 and (found := state.said(*pairs[0])):
            entry["model"] = {"decision": found.label, "duplicate": found.probabilities[0]}
        return self._keep({**entry, "drawn": drawn, "blind": bool(blind)})

    @alone
    def undo(self) -> Change | None:
        """Take the latest change back that holds, of this session or an earlier one; None where there is none."""
        entry = self._history.undo()
        return entry and self._change(entry, undone=True)

    @alone
    def redo(self) -> Change | None:
        """Bring back what `undo` took back last; None where there is nothing, or something was answered since."""
        entry = self._history.redo()
        return entry and self._change(entry)

    @alone
    def progress(self) -> Progress:
        """Return how far the review has come, and what it says of the run."""
        found = self._state.found
        can_undo = bool(found.pairs or found.primaries or found.values or found.changed)
        return progress(self._state, self._merges, can_undo, bool(self._history.undone))

    def _keep(self, entry: dict) -> Change:
        return self._change(self._history.keep(entry))

    def _change(self, entry: dict, undone: bool = False) -> Change:
        """Return what has changed, now that an entry is kept, taken back or brought back."""
        state = self._state
        self._history.has_moved()
        refused, moved = len(state.refused()), state.reload()
        pairs = [rows for pair in entry.get("pairs", ()) if None not in (rows := [state.row_of(one) for one in pair])]
        rows = [row for row in [state.row_of(entry["record"])] if row is not None] if "record" in entry else []
        contradicts = len(state.refused()) > refused
        groups_now = moved or sorted({int(state.groups[row]) for row in rows})
        return Change(
            entry["n"], entry["kind"], pairs, rows, entry.get("answer", ""), entry.get("field", ""), undone, contradicts, groups_now, self.progress()
        )

    def _beside(self, pair: Rows | None, step: int) -> Rows | None:
        """Return the pair that was answered one `step` after this one; before one that was not answered stands the last one."""
        known = list(self._state.answered)
        place = {one: at for at, one in enumerate(known)}.get((min(pair), max(pair)), len(known)) if pair else len(known)
        return known[place + step] if 0 <= place + step < len(known) else None

    def _pair(self, pair: Rows) -> Rows:
        a, b = map(self._row, pair)
        if a == b:
            raise UserError(f"the pair {a}, {b} is one record: name two")
        return a, b

    def _row(self, row: int) -> int:
        if type(row) is not int or not 0 <= row < self._state.size:
            raise UserError(f"{row!r} is no row of this run: use a whole number from 0 to {self._state.size - 1:,}")
        return row

    def _reference(self, row: int) -> dict[str, str]:
        return answers.reference(self._state.records, row)

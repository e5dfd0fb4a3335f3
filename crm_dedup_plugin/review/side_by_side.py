"""Two records side by side: fields brought together by what they mean, with the letters that differ, and what the model says."""

from collections.abc import Sequence

from rapidfuzz.distance import Indel

from crm_dedup_plugin.matching.records import CONSTANT, EMPTY, EVIDENCE, ID
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy import reasoning
from crm_dedup_plugin.reporting.match_fields import HOW, aligned, how, place, words
from crm_dedup_plugin.reporting.templates import printable
from crm_dedup_plugin.review.shapes import Field, Head, Model, Segment
from crm_dedup_plugin.review.state import State

LONGEST, NAME = 1_000, 80  # letters of a value and of a field's name
_ALIKE = 0.5  # values that have less in common differ as a whole
_SHORT = 2  # fewer letters between two differences are marked with them
_NAMES = ("name", "first", "last")  # a reasoning calls any of them a name
_WORDS = ((0.98, "almost certainly the same"), (0.8, "probably the same"), (0.2, "unclear"), (0.02, "probably different"))
_SAYS = dict(zip(LABELS, ("same", "unsure", "different"), strict=True))


def record(state: State, row: int) -> dict:
    """Return a record as `match_fields` takes it, with all its cells as "values"."""
    records = state.records
    notes = {"row": row, "source": records.source_of[row], "line": state.lines[row], "id": records.ids[row]}
    return {**notes, "values": records.values(row), "evidence": records.evidence(row)}


def head(state: State, row: int) -> Head:
    """Return a record, as a person knows it again."""
    found, sources = record(state, row), state.records.sources
    group = int(state.groups[row])
    return Head(row, printable(found["id"] or "", NAME), place(found, sources), words(found, sources), group, int((state.groups == group).sum()))


def brief(state: State, row: int) -> list[str]:
    """Return one or two values by which a person knows a record again."""
    return words(record(state, row), state.records.sources)


def model(state: State, a: int, b: int) -> Model | None:
    """Return what the model says of a pair; None where it was never asked."""
    found = state.said(a, b)
    if found is None:
        return None
    duplicate = found.probabilities[0]
    says = _SAYS[found.label] if found.label != LABELS[0] or duplicate >= state.material.threshold else "unsure"
    told = next((text for least, text in _WORDS if duplicate >= least), "almost certainly different")
    told = "not sure" if found.label == LABELS[1] else told
    reason = state.material.reasons.get((a, b)) or state.material.reasons.get((b, a)) or ""
    return Model(found.label, *found.probabilities, told, printable(reason, 300), says)


def fields(state: State, a: int, b: int, reason: str) -> list[Field]:
    """Return the fields of two rows: those that the model read first, and of these those whose meaning is known."""
    sources = state.records.sources
    both = [record(state, row) for row in (a, b)]
    roles = [{column.name: column.role for column in sources[one["source"]].columns} for one in both]
    keys, (left, right) = aligned(both, sources, "values")
    named = _named(reason)
    found = []
    for key in keys:
        (name_a, value_a), (name_b, value_b) = left.get(key, ("", "")), right.get(key, ("", ""))
        known = {roles[at].get(name) for at, name in enumerate((name_a, name_b)) if name}
        if known <= {ID, EMPTY}:
            continue
        shown = [printable(value, LONGEST) for value in (value_a, value_b)]
        names = dict.fromkeys(printable(name, NAME) for name in (name_a, name_b) if name)
        key_text, evidence, cut = f"{key[0] or ''}:{key[1]}", bool(known & {EVIDENCE, CONSTANT}), max(len(value_a), len(value_b)) > LONGEST
        relation = HOW[how(key, value_a, value_b)]
        found.append(Field(key_text, " / ".join(names), key[0], evidence, *segments(*shown), relation, key[0] in named, cut))
    return sorted(found, key=lambda one: (not one.evidence, one.concept is None))


def segments(a: str, b: str) -> tuple[list[Segment], list[Segment]]:
    """Return both values in parts, each with whether the other value lacks it; of a blank there are none, and the other one is whole."""
    if not a or not b or a == b:
        return ([Segment(a, False)] if a else []), ([Segment(b, False)] if b else [])
    one, other = a.lower(), b.lower()
    if one == other or len(one) != len(a) or len(other) != len(b):
        one, other = a, b  # capitals count only where nothing else differs
    if Indel.normalized_similarity(one, other) < _ALIKE:
        return [Segment(a, True)], [Segment(b, True)]
    left, right = [False] * len(a), [False] * len(b)
    steps = list(Indel.opcodes(one, other))
    for number, step in enumerate(steps):
        between = 0 < number < len(steps) - 1 and step.src_end - step.src_start < _SHORT
        if step.tag != "equal" or between:
            left[step.src_start : step.src_end] = [True] * (step.src_end - step.src_start)
            right[step.dest_start : step.dest_end] = [True] * (step.dest_end - step.dest_start)
    return _joined(a, left), _joined(b, right)


def _joined(text: str, differs: list[bool]) -> list[Segment]:
    starts = [at for at in range(len(text)) if at == 0 or differs[at] != differs[at - 1]]
    return [Segment(text[start:end], differs[start]) for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _named(reason: str) -> set[str]:
    """Return the concepts that a reasoning names."""
    told = {concept for concept, _ in reasoning.claims(reason)}
    return told | {*_NAMES} if "name" in told else told


def text(state: State, row: int) -> str:
    """Return all that a record says, in lower case, for searches."""
    if row not in state.texts:
        state.texts[row] = "\n".join((state.records.ids[row] or "", *state.records.values(row).values())).casefold()
    return state.texts[row]


def says(state: State, rows: Sequence[int], wanted: str) -> bool:
    """Tell whether one of these records holds a text that is in lower case."""
    return not wanted or any(wanted in text(state, row) for row in rows)

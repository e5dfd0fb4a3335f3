"""Two values, letter by letter: what differs."""

from rapidfuzz.distance import Indel

from crm_dedup_plugin.review.shapes import Segment

_ALIKE = 0.5  # values that have less in common differ as a whole
_SHORT = 2  # fewer letters between two differences are marked with them


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

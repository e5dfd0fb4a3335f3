"""Which families of real sources a model was trained on. Public files of the same families cannot be used to measure it.

A training pair from a real source is in the slice ``real_FAMILY_SOURCE``, and the name of a public file begins with its family:
``splink_fake1000`` belongs to the family ``splink``. ``scripts/sources/sources.yml`` lists the families.
"""

import re
from collections.abc import Iterable
from pathlib import Path

_SLICE = re.compile(rb'"slice": *"real_([a-z0-9]+)_')


def learned_from(path: Path) -> list[str]:
    """Return the families of the real pairs in a file of training pairs, sorted."""
    with path.open("rb") as lines:
        return sorted({family.decode() for line in lines for family in _SLICE.findall(line)})


def of_file(path: Path, families: Iterable[str]) -> str | None:
    """Return the one of `families` that a public file belongs to, or None.

    >>> of_file(Path("splink_fake1000.jsonl"), ["chicago", "splink"])
    'splink'
    """
    return next((family for family in families if path.stem.startswith(family)), None)

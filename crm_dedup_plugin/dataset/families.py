"""Families of real sources: a model that has learnt from one of a family says nothing about the others on files of that family.

A training pair of a real source is in the slice ``real_FAMILY_SOURCE``, and the name of a public file begins with its family:
``splink_fake1000`` is of the family ``splink``. ``scripts/sources/sources.yml`` lists the families.
"""

import re
from collections.abc import Iterable
from pathlib import Path

_SLICE = re.compile(rb'"slice": *"real_([a-z0-9]+)_')


def learnt_from(path: Path) -> list[str]:
    """Return the families of the real pairs in a file of training pairs, sorted."""
    with path.open("rb") as lines:
        return sorted({family.decode() for line in lines for family in _SLICE.findall(line)})


def of_file(path: Path, families: Iterable[str]) -> str | None:
    """Return which of the families a public file belongs to.

    >>> of_file(Path("splink_fake1000.jsonl"), ["chicago", "splink"])
    'splink'
    """
    return next((family for family in families if path.stem.startswith(family)), None)

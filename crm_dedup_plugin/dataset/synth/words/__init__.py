"""The words of the invented world, as tables that anyone can edit: countries, names, trades, roles, formats, mistakes."""

import csv
from functools import cache
from pathlib import Path

import yaml

_FOLDER = Path(__file__).parent


@cache
def load(name: str) -> dict:
    """Return what `name`.yml holds."""
    return yaml.load((_FOLDER / f"{name}.yml").read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of `name`.csv by column."""
    lines = (_FOLDER / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))

"""From records to their keys, as numbers: ``keys/00000.parquet ...`` with one row a key, ``words/...`` with one row a word of a record.

DuckDB makes the numbers, whatever engine goes on with them: the same keys are the same blocks everywhere.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crm_dedup_plugin.matching.candidates import parts
from crm_dedup_plugin.matching.candidates.engines import Engine
from crm_dedup_plugin.matching.records import EVIDENCE, Records, Source
from crm_dedup_plugin.policy.vocabulary import load
from crm_dedup_plugin.storage import write_table

if TYPE_CHECKING:
    import pyarrow

BATCH = 10_000  # records a task
WORD_BITS = 55  # of the number of a word; 8 more, in front of it, count its records
# No engine needs more than 63 bits, since some have no unsigned numbers.
_NUMBERED = {
    "keys": "SELECT row, rule, (hash(rule, key) >> 1)::BIGINT AS block, key FROM found",
    "words": f"SELECT row, (hash(kind, word) >> {64 - WORD_BITS})::BIGINT AS word FROM found",
}
_RULE = {"rule": str, "parts": [str], "largest": str}
_TABLES = load("rules", {"contact": [_RULE], "account": [_RULE]}, Path(__file__).parent)


class Rule(NamedTuple):
    """How records of one kind become candidates. A rule is known by its place in `RULES`."""

    kind: str
    name: str
    parts: tuple[str, ...]
    largest: int  # records of a block; a larger one is cut


RULES = tuple(Rule(kind, one["rule"], one["parts"], int(one["largest"])) for kind, table in _TABLES.items() for one in table)
_PARTS = {kind: [(number, {*rule.parts}) for number, rule in enumerate(RULES) if rule.kind == kind] for kind in _TABLES}


class Layout(NamedTuple):
    """What keys need to know of a file."""

    kind: str
    columns: dict[str, tuple[str | None, str | None]]  # concept and separator of each column that is evidence
    personal: bool  # a record needs something of a person to be one


def layout(source: Source) -> Layout:
    """Return what keys need to know of a file."""
    columns = {column.name: (column.concept, column.separator) for column in source.columns if column.role == EVIDENCE}
    personal = source.kind == "contact" and any(concept in parts.PERSONAL - {None} for concept, _ in columns.values())
    return Layout(source.kind, columns, personal)


def of(evidence: Mapping[str, str], source: Layout) -> tuple[list[tuple[int, str]], set[str]]:
    """Return the keys of a record, each with the number of its rule, and its words; nothing where nothing tells who it is about."""
    values = list(parts.split(evidence, source.columns))
    if source.personal and not any(concept in parts.PERSONAL for concept, _ in values):
        return [], set()
    found, keys = parts.of(values, source.kind), []
    for number, wanted in _PARTS[source.kind]:
        if found.keys() >= wanted:
            keys += [(number, key) for key in map("|".join, product(*[found[part] for part in RULES[number].parts]))]
    return keys, parts.tokens(values)


def write(engine: Engine, records: Records, folder: Path) -> Iterator[tuple[int, int]]:
    """Write the keys of all records to `folder`; yields for each batch the number of its records, and of those without any key."""
    for table in ("keys", "words"):
        (folder / table).mkdir(parents=True)
    layouts = [layout(source) for source in records.sources]
    yield from engine.each(records.path, ("row", "source", "evidence"), BATCH, partial(_write, folder.resolve(), layouts))


def _write(folder: Path, layouts: Sequence[Layout], part: str, batch: "pyarrow.RecordBatch") -> tuple[int, int]:
    import duckdb
    import pyarrow as pa

    # Columns of plain values: the garbage collector would look at millions of tuples again and again.
    key_rows, rules, keys, word_rows, kinds, words, blank = [], [], [], [], [], [], 0
    for row, source, evidence in zip(*(batch.column(name).to_pylist() for name in ("row", "source", "evidence")), strict=True):
        found, tokens = of(json.loads(evidence), layouts[source])
        blank += not found and not tokens
        key_rows += [row] * len(found)
        rules += [rule for rule, _ in found]
        keys += [key for _, key in found]
        word_rows += [row] * len(tokens)
        kinds += [layouts[source].kind] * len(tokens)
        words += tokens
    types = {"row": pa.int64(), "rule": pa.int8(), "key": pa.string(), "kind": pa.string(), "word": pa.string()}
    tables = {"keys": {"row": key_rows, "rule": rules, "key": keys}, "words": {"row": word_rows, "kind": kinds, "word": words}}
    with duckdb.connect(config={"threads": 1}) as database:
        for name, table in tables.items():
            database.register("found", pa.table({column: pa.array(values, types[column]) for column, values in table.items()}))
            numbered = database.sql(_NUMBERED[name]).to_arrow_table()
            write_table(numbered, folder / name / f"{part}.parquet")
    return batch.num_rows, blank

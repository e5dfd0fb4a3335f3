"""What the report of a match shows of the files of a run, as plain data: how many, how sure, and which rows are good examples.

Whole tables stay in their files; DuckDB reads them, so that a run of a million records needs no more memory than a small one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crm_dedup_plugin.matching import deciding, records, run_folder
from crm_dedup_plugin.pair.answer import LABELS

if TYPE_CHECKING:
    import duckdb

DUPLICATE, _, NO_MATCH = LABELS
STEPS = 1000  # thresholds of the curve
_PAIR = {"a": "int64", "b": "int64", **dict.fromkeys(("duplicate", "possible", "no_match"), "float32"), "decision": "string"}
_TABLES = {  # view: stage, files, columns
    "records": ("read", records.FILE, dict.fromkeys(("row", "source", "line", "id", "created", "changed", "evidence"))),
    "pairs": ("decide", deciding.DECISIONS, _PAIR),
    "groups": ("group", "groups.parquet", {"row": "int64", "group": "int64"}),
    "edges": ("group", "edges.parquet", {"a": "int64", "b": "int64", "duplicate": "float32", "kind": "string"}),
    "review": ("group", "review.parquet", {**_PAIR, "why": "string", "again": "bool"}),
}


class Point(NamedTuple):
    """What would be merged from a threshold on."""

    threshold: float
    pairs: int
    precision: float  # the mean probability of these pairs


def connect(run: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection with the views `records`, `pairs`, `groups`, `edges`, `review`, and the table `reasons` of a run."""
    import duckdb
    import pyarrow as pa
    from pyarrow import dataset

    found = duckdb.connect()
    for name, (stage, files, columns) in _TABLES.items():
        paths = sorted(run_folder.folder(run, stage).glob(files))
        kinds = None if paths else pa.schema([(column, kind or "string") for column, kind in columns.items()])
        found.register(name, dataset.dataset([str(path) for path in paths], schema=kinds, format="parquet") if paths else kinds.empty_table())
    kinds = pa.schema([("a", "int64"), ("b", "int64"), ("decision", "string"), ("reasoning", "string")])
    found.register("reasons", pa.Table.from_pylist(list(deciding.reasons(run).values()), schema=kinds))
    return found


def curve(base: duckdb.DuckDBPyConnection) -> list[Point]:
    """Return what would be merged at each threshold that changes it, the highest threshold first; nothing without a DUPLICATE.

    Only what merges by its own probability counts: neither what grouping cut, nor what follows from other pairs.
    """
    steps = base.execute(
        f"""SELECT floor(duplicate::DOUBLE * {STEPS} + 1e-6)::INT AS step, count(*), sum(duplicate::DOUBLE)
            FROM pairs ANTI JOIN (SELECT a, b FROM edges WHERE kind = 'cut') USING (a, b) WHERE decision = ?
            GROUP BY step ORDER BY step DESC""",
        [DUPLICATE],
    ).fetchall()
    points, pairs, right = [], 0, 0.0
    for step, count, total in steps:
        pairs, right = pairs + count, right + total
        points.append(Point(step / STEPS, pairs, min(right / pairs, 1.0)))
    return points


def at(points: Sequence[Point], threshold: float) -> Point | None:
    """Return what would be merged from this threshold on; None where that is nothing."""
    reached = [point for point in points if point.threshold >= threshold - 1e-9]
    return reached[-1]._replace(threshold=threshold) if reached else None


def examples(base: duckdb.DuckDBPyConnection, decision: str, count: int) -> list[dict]:
    """Return up to `count` pairs of a decision: half of them the surest, then the least sure; those with a reasoning come before all others."""
    found = {}
    for order, most in (("DESC", count // 2), ("ASC", count)):
        chosen = base.execute(
            f"""SELECT pairs.*, reasoning FROM pairs LEFT JOIN reasons USING (a, b) WHERE pairs.decision = ?
                ORDER BY reasoning IS NULL, {decision.lower()} {order}, pairs.a, pairs.b LIMIT ?""",
            [decision, most],
        )
        for one in _dicts(chosen):
            if len(found) < count:
                found[one["a"], one["b"]] = one
    return sorted(found.values(), key=lambda one: -one[decision.lower()])


def review(base: duckdb.DuckDBPyConnection, count: int) -> tuple[dict[str, int], list[dict]]:
    """Return how many pairs wait for a person, by why, and the first `count` of them, the most probable duplicates first.

    Of two groups, only the first pair is shown.
    """
    why = dict(base.execute("SELECT why, count(*) FROM review GROUP BY why ORDER BY count(*) DESC, why").fetchall())
    first = base.execute(
        """SELECT review.*, reasoning FROM review LEFT JOIN reasons USING (a, b) WHERE NOT again
           ORDER BY review.duplicate DESC, review.a, review.b LIMIT ?""",
        [count],
    )
    return why, _dicts(first)


def groups(base: duckdb.DuckDBPyConnection, count: int, members: int) -> list[dict]:
    """Return up to `count` groups: the largest, those where a "no" cut something, then from large to small.

    Of each: "group", its "size", the first `members` of its "rows", how many pairs hold it together ("holds") and how sure the
    "weakest" of them is, how many more pairs "agree", and how many were "cut" off.
    """
    base.execute(
        """CREATE OR REPLACE TEMP TABLE sizes AS SELECT "group", count(*) AS size FROM groups GROUP BY "group" HAVING count(*) > 1;
           CREATE OR REPLACE TEMP TABLE links AS SELECT "group",
             count(*) FILTER (kind = 'holds') AS holds, min(duplicate) FILTER (kind = 'holds') AS weakest,
             count(*) FILTER (kind = 'agrees') AS agree, count(*) FILTER (kind = 'cut') AS cut
           FROM (SELECT a AS row, * EXCLUDE (a, b) FROM edges UNION ALL SELECT b, * EXCLUDE (a, b) FROM edges WHERE kind = 'cut')
           JOIN groups USING (row) GROUP BY "group";
           CREATE OR REPLACE TEMP TABLE ranked AS SELECT * FROM sizes LEFT JOIN links USING ("group") ORDER BY size DESC, "group" """
    )
    every = base.execute("SELECT count(*) FROM ranked").fetchone()[0]
    cut = [row for (row,) in base.execute("SELECT rowid FROM ranked WHERE cut > 0 AND size < 10 ORDER BY rowid LIMIT 1").fetchall()]
    places = sorted(list(dict.fromkeys([0, *cut, *_spread(every, count)]))[:count]) if every else []
    found = _dicts(base.execute("SELECT * FROM ranked WHERE rowid IN (SELECT unnest(?::BIGINT[])) ORDER BY rowid", [places]))
    for one in found:
        rows = base.execute('SELECT row FROM groups WHERE "group" = ? ORDER BY row LIMIT ?', [one["group"], members]).fetchall()
        one["rows"] = [row for (row,) in rows]
    return found


def load(base: duckdb.DuckDBPyConnection, rows: Iterable[int]) -> dict[int, dict]:
    """Return these records by their row: row, source, line, id, created, changed, and what a model may read as "evidence"."""
    found = base.execute(
        "SELECT row, source, line, id, created, changed, evidence FROM records WHERE row IN (SELECT unnest(?::BIGINT[]))", [sorted(set(rows))]
    )
    return {one["row"]: {**one, "evidence": json.loads(one["evidence"] or "{}")} for one in _dicts(found)}


def _spread(total: int, count: int) -> list[int]:
    """Return up to `count` places of `total`, evenly from the first to the last.

    >>> _spread(10, 4), _spread(2, 4)
    ([0, 3, 6, 9], [0, 1])
    """
    return list(range(total)) if total <= count else [place * (total - 1) // (count - 1) for place in range(count)]


def _dicts(found: duckdb.DuckDBPyConnection) -> list[dict]:
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

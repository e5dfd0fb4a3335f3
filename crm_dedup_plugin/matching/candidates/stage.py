"""The second stage of a run: ``2-candidates/`` with the pairs, and with what was cut or left out."""

import csv
import html
import io
import shutil
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder, sheets
from crm_dedup_plugin.matching.candidates import blocking, keys
from crm_dedup_plugin.matching.progress import clock, many, tell
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.storage import read_json, whole, write_atomically

if TYPE_CHECKING:
    import duckdb

FILE, BLOCKS, TABLE = "candidates.parquet", "blocks.csv", "candidates.md"
_NAMED = 20  # cut blocks that the report and the table show, the largest of each


def find(run: Path, limit: float = blocking.BUDGET) -> dict:
    """Return what was found: ``2-candidates/`` holds at most `limit` pairs a record in the mean, those that share the most and the rarest keys.

    Pairs are of one kind (contacts or accounts), and across files where the run has several.
    """
    rules = [(*rule, list(rule.parts)) for rule in keys.RULES]
    return run_folder.stage(run, "candidates", {"limit": limit, "rules": rules}, lambda folder: _find(run, folder, limit))


def _find(run: Path, folder: Path, limit: float) -> dict:
    import duckdb

    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    try:
        rate = (read_json(run_folder.folder(run, "decide") / run_folder.REPORT) or {}).get("pairs_per_second")  # of the last time
        return _made(Records(run), run_folder.report(run, "read"), folder, limit, rate)
    except BrokenProcessPool:
        raise UserError("candidates: a process was killed: the machine may be out of memory: end other programs, and run the command again") from None
    except (duckdb.Error, OSError) as error:  # what they say may hold values of records
        raise UserError(f"candidates: {type(error).__name__} in {work}: make room on its disk and in memory, and run the command again") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _made(records: Records, read: dict, folder: Path, limit: float, rate: float | None) -> dict:
    began, total, work, blank, done = time.monotonic(), read["records"], folder / "work", 0, 0
    for batch, without in keys.write(records, work):
        done, blank = done + batch, blank + without
        tell(f"candidates: keys of {done:,} of {many(total, 'record')}")
    with blocking.connect(work / "spill") as database:
        blocking.count(database, records.path, work, read["link"], total)
        most = _one(database, "SELECT coalesce(sum(pairs), 0) FROM blocks WHERE NOT cut")
        tell(f"candidates: {most:,} pairs at most before those found twice are joined")
        blocking.pair(database, read["link"], total)
        lowest = blocking.best(database, limit * total)
        _write_pairs(database, folder / FILE, lowest)
        found = _count_rules(database, lowest)
        cut = _write_blocks(database, work, folder / BLOCKS)
        left_out = _one(database, f"SELECT count(*) FROM pairs WHERE score < {lowest}")
    pairs = sum(one["new"] for one in found)
    report = {"records": total, "without_keys": blank, "pairs": pairs, "per_record": round(pairs / total, 2) if total else 0.0}
    report |= {"limit": limit, "left_out": left_out, "rules": found, "most": most}
    takes = f"; about {clock(pairs / rate)} to decide about them, at {rate:,.1f} a second as the last time" if pairs and rate else ""
    write_atomically(folder / TABLE, _markdown(report, cut, takes))
    report["seconds"] = round(time.monotonic() - began, 1)
    tell(f"candidates: {many(pairs, 'pair')}, {report['per_record']} a record{takes}")
    return report


def _write_pairs(database: "duckdb.DuckDBPyConnection", path: Path, lowest: int) -> None:
    """Write the pairs that need no lower score: a, b, rules."""
    masks = [mask for (mask,) in database.execute(f"SELECT DISTINCT rules FROM pairs WHERE score >= {lowest}").fetchall()]
    database.execute("CREATE TABLE named (rules UBIGINT, names VARCHAR)")
    if masks:
        named = [(mask, "+".join(name for at, name in enumerate(blocking.NAMES) if mask >> at & 1)) for mask in masks]
        database.executemany("INSERT INTO named VALUES (?, ?)", named)
    with whole(path) as partial:
        database.execute(f"""
            COPY (SELECT a, b, names AS rules FROM pairs JOIN named USING (rules) WHERE score >= {lowest} ORDER BY a, b)
            TO '{blocking.quoted(partial)}' (FORMAT parquet, COMPRESSION zstd)""")


def _count_rules(database: "duckdb.DuckDBPyConnection", lowest: int) -> list[dict]:
    """Return for each rule that found a block: its pairs, those that no rule before it found, and the blocks that were cut."""
    masks = database.execute(
        f"SELECT rules, count(*) FILTER (score >= {lowest}), count(*) FILTER (score < {lowest}) FROM pairs GROUP BY rules"
    ).fetchall()
    blocks = database.execute(f"""
        SELECT rule, count(*), max(records), count(*) FILTER (cut), coalesce(sum(pairs) FILTER (cut), 0)::BIGINT,
            max({{size: records, count_of_pairs: pairs}}, {_NAMED}) FILTER (cut)
        FROM blocks GROUP BY rule ORDER BY rule""").fetchall()
    found = []
    for rule, count, largest, cut_blocks, cut_pairs, cut in blocks:
        of_rule = [(mask & ((1 << rule) - 1), kept, left) for mask, kept, left in masks if mask >> rule & 1]
        pairs, left_out = sum(kept for _, kept, _ in of_rule), sum(left for *_, left in of_rule)
        one = {"name": blocking.NAMES[rule], "kind": keys.RULES[rule].kind if rule < len(keys.RULES) else ""}
        one |= {"pairs": pairs, "new": sum(kept for before, kept, _ in of_rule if not before), "left_out": left_out}
        found.append({**one, "blocks": count, "largest": largest, "cut_blocks": cut_blocks, "cut_pairs": cut_pairs, "cut": cut or []})
    return found


def _write_blocks(database: "duckdb.DuckDBPyConnection", work: Path, path: Path) -> list[tuple]:
    """Write every cut block with its key; returns the rule, key, records and pairs of the largest."""
    found = database.execute(f"""
        SELECT DISTINCT rule, key, records, pairs
        FROM read_parquet('{blocking.quoted(work)}/keys/*.parquet')
        JOIN (SELECT rule, block, records, pairs FROM blocks WHERE cut) USING (rule, block)
        ORDER BY pairs DESC, rule, key""").fetchall()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("rule", "key", "records", "pairs"))
    writer.writerows((blocking.NAMES[rule], sheets.escaped(key), records, pairs) for rule, key, records, pairs in found)
    write_atomically(path, text.getvalue())
    return [(blocking.NAMES[rule], key, records, pairs) for rule, key, records, pairs in found[:_NAMED]]


def _markdown(report: dict, cut: list[tuple], takes: str) -> str:
    lines = [
        "# Candidates",
        "",
        f"{report['pairs']:,} pairs of {report['records']:,} records: {report['per_record']:,} a record, of {report['limit']:g} allowed{takes}.",
        f"{report['most']:,} pairs at most were expected, before those that several rules found were joined.",
        f"{report['left_out']:,} pairs were left out because they share less than the others.",
        f"{report['without_keys']:,} records hold nothing that tells who they are about, and are in no pair.",
        "",
        "| rule | pairs | new pairs | left out | largest block | cut blocks | pairs in them |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in report["rules"]:
        numbers = (one[name] for name in ("pairs", "new", "left_out", "largest", "cut_blocks", "cut_pairs"))
        name = f"{one['name']} ({one['kind']})" if one["kind"] else one["name"]
        lines.append(f"| {name} | {' | '.join(f'{number:,}' for number in numbers)} |")
    if not report["rules"]:
        lines.append("| no two records share a key | 0 | 0 | 0 | 0 | 0 | 0 |")
    if cut:
        lines += ["", f"The largest blocks that were cut ({BLOCKS} has all):", "", "| rule | key | records | pairs |", "|---|---|---:|---:|"]
        lines += [f"| {rule} | {html.escape(key).replace('|', ', ')} | {records:,} | {pairs:,} |" for rule, key, records, pairs in cut]
    return "\n".join(lines) + "\n"


def _one(database: "duckdb.DuckDBPyConnection", query: str) -> int:
    return database.execute(query).fetchone()[0]

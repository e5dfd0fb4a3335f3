"""The second stage of a run: ``2-candidates/`` with the pairs, and with what was cut or left out."""

import csv
import html
import io
import shutil
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder, sheets
from crm_dedup_plugin.matching.candidates import blocking, keys
from crm_dedup_plugin.matching.candidates.engines import DUCKDB, DuckDB, Engine
from crm_dedup_plugin.matching.candidates.spark import started
from crm_dedup_plugin.matching.progress import clock, many, tell
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.storage import read_json, whole, write_atomically

FILE, BLOCKS, TABLE = "candidates.parquet", "blocks.csv", "candidates.md"
_NAMED = 20  # cut blocks that the report and the table show, the largest of each


def find(run: Path, limit: float = blocking.BUDGET, engine: str = DUCKDB) -> dict:
    """Return what was found: ``2-candidates/`` holds at most `limit` pairs a record in the mean, those that share the most and the rarest keys.

    Pairs are of one kind (contacts or accounts), and across files where the run has several. They are the same with any `engine`: ``duckdb`` or
    the address of a Spark master.
    """
    rules = [(*rule, list(rule.parts)) for rule in keys.RULES]
    return run_folder.stage(run, "candidates", {"limit": limit, "rules": rules}, lambda folder: _find(run, folder, limit, engine))


def _find(run: Path, folder: Path, limit: float, engine: str) -> dict:
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        rate = (read_json(run_folder.folder(run, "decide") / run_folder.REPORT) or {}).get("pairs_per_second")  # of the last time
        read = run_folder.report(run, "read")
        with DuckDB(work) if engine == DUCKDB else started(engine, work, read["records"]) as opened:
            try:
                return _made(opened, Records(run), read, folder, limit, rate)
            except (*opened.errors, OSError) as error:  # what they say may hold values of records
                what = f"candidates: {type(error).__name__} in {work}"
                raise UserError(f"{what}: make room on its disk and in memory, and run the command again") from error
    except BrokenProcessPool:
        raise UserError("candidates: a process was killed: the machine may be out of memory: end other programs, and run the command again") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _made(engine: Engine, records: Records, read: dict, folder: Path, limit: float, rate: float | None) -> dict:
    began, total, work, blank, done = time.monotonic(), read["records"], folder / "work", 0, 0
    for batch, without in keys.write(engine, records, work):
        done, blank = done + batch, blank + without
        tell(f"candidates: keys of {done:,} of {many(total, 'record')}")
    blocking.count(engine, records.path, work, read["link"], total)
    ((most,),) = engine.rows("SELECT coalesce(sum(pairs), 0)::BIGINT FROM blocks WHERE NOT cut")
    tell(f"candidates: {most:,} pairs at most before those found twice are joined")
    blocking.pair(engine, read["link"], total)
    lowest = blocking.best(engine, limit * total)
    _write_pairs(engine, folder / FILE, lowest)
    found = _count_rules(engine, lowest)
    cut = _write_blocks(engine, folder / BLOCKS)
    ((left_out,),) = engine.rows(f"SELECT count(*) FROM pairs WHERE score < {lowest}")
    pairs = sum(one["new"] for one in found)
    report = {"records": total, "without_keys": blank, "pairs": pairs, "per_record": round(pairs / total, 2) if total else 0.0}
    report |= {"limit": limit, "left_out": left_out, "rules": found, "most": most}
    takes = f"; about {clock(pairs / rate)} to decide about them, at {rate:,.1f} a second as the last time" if pairs and rate else ""
    write_atomically(folder / TABLE, _markdown(report, cut, takes))
    report["seconds"] = round(time.monotonic() - began, 1)
    tell(f"candidates: {many(pairs, 'pair')}, {report['per_record']} a record{takes}")
    return report


def _write_pairs(engine: Engine, path: Path, lowest: int) -> None:
    """Write the pairs that need no lower score: a, b, rules."""
    import pyarrow as pa

    masks = [mask for (mask,) in engine.rows(f"SELECT DISTINCT rules FROM pairs WHERE score >= {lowest}")]
    names = ["+".join(name for at, name in enumerate(blocking.NAMES) if mask >> at & 1) for mask in masks]
    engine.put("named", pa.table({"rules": pa.array(masks, pa.int64()), "names": pa.array(names, pa.string())}))
    with whole(path) as partial:
        engine.save(f"SELECT a, b, names AS rules FROM pairs JOIN named USING (rules) WHERE score >= {lowest} ORDER BY a, b", partial)


def _count_rules(engine: Engine, lowest: int) -> list[dict]:
    """Return for each rule that found a block: its pairs, those that no rule before it found, and the blocks that were cut."""
    masks = engine.rows(
        f"SELECT rules, count(*) FILTER (WHERE score >= {lowest}), count(*) FILTER (WHERE score < {lowest}) FROM pairs GROUP BY rules"
    )
    blocks = engine.rows("""
        SELECT rule, count(*), max(records), count(*) FILTER (WHERE cut), coalesce(sum(pairs) FILTER (WHERE cut), 0)::BIGINT
        FROM blocks GROUP BY rule ORDER BY rule""")
    largest_cut = engine.rows(f"""
        SELECT rule, records, pairs FROM (
            SELECT rule, records, pairs, row_number() OVER (PARTITION BY rule ORDER BY records DESC, pairs DESC) AS place FROM blocks WHERE cut)
        WHERE place <= {_NAMED} ORDER BY rule, place""")
    found = []
    for rule, count, largest, cut_blocks, cut_pairs in blocks:
        cut = [{"size": size, "count_of_pairs": pairs} for of, size, pairs in largest_cut if of == rule]
        of_rule = [(mask & ((1 << rule) - 1), kept, left) for mask, kept, left in masks if mask >> rule & 1]
        pairs, left_out = sum(kept for _, kept, _ in of_rule), sum(left for *_, left in of_rule)
        one = {"name": blocking.NAMES[rule], "kind": keys.RULES[rule].kind if rule < len(keys.RULES) else ""}
        one |= {"pairs": pairs, "new": sum(kept for before, kept, _ in of_rule if not before), "left_out": left_out}
        found.append({**one, "blocks": count, "largest": largest, "cut_blocks": cut_blocks, "cut_pairs": cut_pairs, "cut": cut})
    return found


def _write_blocks(engine: Engine, path: Path) -> list[tuple]:
    """Write every cut block with its key; returns the rule, key, records and pairs of the largest."""
    found = engine.rows("""
        SELECT DISTINCT rule, key, records, pairs FROM keys JOIN (SELECT rule, block, records, pairs FROM blocks WHERE cut) USING (rule, block)
        ORDER BY pairs DESC, rule, key""")
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

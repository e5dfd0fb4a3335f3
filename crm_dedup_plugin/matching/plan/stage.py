"""The fifth stage of a run: which records would be merged, what would survive, and how the CRM does it. Nothing is ever sent anywhere."""

import time
from collections.abc import Iterator
from pathlib import Path

from crm_dedup_plugin.matching import deciding, run_folder
from crm_dedup_plugin.matching.answers import Answers
from crm_dedup_plugin.matching.plan import files, links
from crm_dedup_plugin.matching.plan.groups import Groups
from crm_dedup_plugin.matching.plan.members import MOST_COMPLETE, checked
from crm_dedup_plugin.matching.plan.merges import planned
from crm_dedup_plugin.matching.plan.survivors import rules_of
from crm_dedup_plugin.matching.progress import many, tell
from crm_dedup_plugin.matching.read import profiles
from crm_dedup_plugin.matching.records import EVIDENCE, Records
from crm_dedup_plugin.provenance import digest

VERSION = 3  # of what this stage writes: raise it where the same groups give another plan
BATCH = 1_000  # pairs that wait, at a time
HEADER = ["pair", "why", "decision", "DUPLICATE in %", "these groups came before", "reasoning", "file", "id", "line"]


def plan(run: Path, primary: str = MOST_COMPLETE) -> dict:
    """Write the merge plan of a run whose groups are made, and return the report; of several files, which records match.

    `primary` says which record of a group stays: "most_complete", "oldest", "last_changed" or "column:NAME" (a yes or the largest number
    in a column). Raises UserError where there is no such rule or column.
    """
    records, rules = Records(run), check(run, primary)
    reasons = run_folder.folder(run, "decide") / deciding.REASONS  # they stand in the list for a person
    key = {"version": VERSION, "reasons": digest([reasons]) if reasons.is_file() else "", "primary": primary}
    chosen = Answers.of(run, records)
    key |= {"survivors": {}, "primaries": chosen.primaries, "values": chosen.values}  # the first is always empty, but stands in earlier runs
    return run_folder.stage(run, "plan", key, lambda folder: _work(run, folder, records, primary, rules, chosen))


def check(run: Path, primary: str) -> list[dict[str, str]]:
    """Return the rules of survival for each file of a run whose files are read; raises UserError as `plan` does."""
    records = Records(run)
    columns = [column for source in records.sources for column in source.columns]
    checked(primary, list(dict.fromkeys(column.name for column in columns)))
    return [rules_of(source.columns, profiles.used(run, at).survivors) for at, source in enumerate(records.sources)]


def _work(run: Path, folder: Path, records: Records, primary: str, rules: list[dict[str, str]], chosen: Answers) -> dict:
    began = time.monotonic()
    groups, review = Groups(run, records, primary, chosen.primaries), waiting(run, records)
    if run_folder.report(run, "read")["link"]:
        found = links.write(folder, groups, review)
    else:
        found = files.write(folder, groups, lambda members: planned(records.sources[0], members, rules[0], chosen.values), review)
    tell(f"plan: {many(found['records_removed'], 'record')} would go into others")
    return {**found, "primary": primary, "seconds": round(time.monotonic() - began, 2)}


def waiting(run: Path, records: Records) -> Iterator[list[object]]:
    """Yield a table, a header first, with two rows for each pair in ``4-group/review.parquet``, the most probable duplicates first.

    All but the last columns of `HEADER` tell of the pair and stand in both rows, so that a table sorted or filtered by them stays whole.
    """
    import pyarrow.parquet

    names = list(dict.fromkeys(column.name for source in records.sources for column in source.columns if column.role == EVIDENCE))
    lines, paths = records.table("line")["line"].to_pylist(), [Path(source.path).name for source in records.sources]
    told = deciding.reasons(run)
    yield [*HEADER, *names]
    file = pyarrow.parquet.ParquetFile(run_folder.folder(run, "group") / "review.parquet")
    pairs = (one for batch in file.iter_batches(BATCH) for one in batch.to_pylist())
    for number, one in enumerate(pairs, start=1):
        rows = one["a"], one["b"]
        again = "yes" if one["again"] else ""
        pair = [number, one["why"], one["decision"], round(100 * one["duplicate"], 1), again, told[rows]["reasoning"] or "" if rows in told else ""]
        for row in rows:
            values = records.values(row)
            place = [paths[records.source_of[row]], records.ids[row], lines[row]]
            yield [*pair, *place, *(values.get(name, "") for name in names)]

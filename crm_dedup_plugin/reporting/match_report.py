"""The report of a match, for people: stage 6 writes all that the stages before it found to one page, as HTML and as Markdown.

The page asks nobody for anything: no script, no font, no picture from elsewhere. Records are data: whatever they hold is escaped.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.progress import many
from crm_dedup_plugin.matching.records import Records, Source
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy.fields import CONCEPTS
from crm_dedup_plugin.reporting import learn_report, match_examples, match_fields, match_figures, match_tables
from crm_dedup_plugin.reporting.templates import pages, printable
from crm_dedup_plugin.storage import write_atomically

HTML = "report.html"
EXAMPLES, WAITING, GROUPS, MEMBERS, CONFLICTS, COLUMNS = 4, 10, 4, 6, 10, 60  # how many are shown
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
MANY_WAIT = 50  # pairs from which on it pays to learn from answers: results/matching.json shows by how much
DUPLICATE, POSSIBLE, NO_MATCH = LABELS
COLORS = {DUPLICATE: "yes", POSSIBLE: "maybe", NO_MATCH: "no"}
CRMS = {"hubspot": "HubSpot", "salesforce": "Salesforce", "dynamics": "Dynamics 365", "pipedrive": "Pipedrive", "zoho": "Zoho"}
ROLES = {
    "id": "the record's id", "evidence": "evidence", "never": "never evidence", "created": "when it was made",
    "changed": "when it was changed", "constant": "ignored: the same in every row", "empty": "ignored: empty",
}  # fmt: skip
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
FILES = (  # a file of the run, and what it is for
    ("5-plan/merge_plan.xlsx", "the plan as a workbook, to read and to discuss"),
    ("5-plan/merge_plan.csv", "its merges as one table"),
    ("5-plan/review.csv", "all pairs that wait for a person, with their records; also a sheet of the workbook"),
    ("5-plan/merge_plan.jsonl", "the plan for programs, exact, in the terms of your CRM's own merge"),
    ("5-plan/cleaned*.csv", "your file without the duplicates, where the CRM has no merge"),
    ("5-plan/before.jsonl", "every record that would change, as it is now: keep it"),
    ("4-group/review.parquet", "the pairs that wait for a person, for programs"),
    ("4-group/groups.parquet", "the group of each record"),
    ("3-decide/reasons.jsonl", "the model's reasons"),
    ("2-candidates/candidates.md", "how pairs were found, with the values of the blocks that were cut"),
    ("1-read/records.parquet", "the records as they were read"),
)


def write(run: Path) -> Path:
    """Write the report of a run whose plan is made, unless it is there already; return the page.

    Raises UserError where a stage before it is not finished.
    """
    own = Path(__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted([*own.glob("match_*"), *own.glob("style.css.jinja")]) if path.is_file())
    made_from = {"report": hashlib.sha256(sources).hexdigest(), "learned": _gain(run)}
    run_folder.stage(run, "report", made_from, lambda folder: _write(run, folder))
    return run_folder.folder(run, "report") / HTML


def _write(run: Path, folder: Path) -> dict:
    began = time.monotonic()
    made = {f"report.{form}": text for form, text in pages("match_report", _context(run)).items()}
    for name, text in made.items():
        write_atomically(folder / name, text)
    return {"bytes": {name: len(text.encode()) for name, text in made.items()}, "seconds": round(time.monotonic() - began, 2)}


def _context(run: Path) -> dict[str, Any]:
    read, candidates, decided, grouped, plan = (run_folder.report(run, stage) for stage in run_folder.STAGES[:-1])
    sources, base = Records(run).sources, match_tables.connect(run)
    taught = decided.get("calibration", {}).get("columns") or {}  # by the list itself
    points = match_tables.curve(base)
    used = match_tables.at(points, decided["threshold"] or 0.0)
    decisions = {label: match_tables.examples(base, label, EXAMPLES) for label in LABELS}
    why, waiting = match_tables.review(base, WAITING)
    groups = match_tables.groups(base, GROUPS, MEMBERS)
    rows = {row for one in (*waiting, *(pair for found in decisions.values() for pair in found)) for row in (one["a"], one["b"])}
    threshold = decided["threshold"]
    records = match_tables.load(base, rows.union(*(one["rows"] for one in groups)))
    return {
        "run": printable(run.name, 80),
        "command": run_folder.command(run, [source.path for source in sources]),
        "word": run_folder.word(run),
        "read": read,
        "files": [_file(one, source) for one, source in zip(read["files"], sources, strict=True)],
        "columns": [(printable(source.path), printable(column.name, 60), *column[1:]) for source in sources for column in source.columns],
        "most_columns": COLUMNS,
        "candidates": candidates,
        "several_kinds": len({rule["kind"] for rule in candidates["rules"]}) > 1,
        "decided": decided,
        "learned": _gain(run),
        "grouped": grouped,
        "plan": plan,
        "noun": {"contact": "person", "account": "company"}.get(read["kind"], "entity"),
        "funnel": _funnel(read, candidates, decided, grouped, plan),
        "curve": match_figures.curve(points, used) if points else None,
        "used": used,
        "thresholds": _thresholds(points, used),
        "says": [(_named(name, sources), *said) for name, *said in match_figures.columns(taught)[:COLUMNS]],
        "sizes": match_figures.sizes(grouped["sizes"]),
        "groups": [match_examples.group(one, records, sources) for one in groups],
        "examples": {label: [match_examples.pair(one, records, sources, threshold) for one in found] for label, found in decisions.items()},
        "many_wait": MANY_WAIT,
        "why": why,
        "waiting": [match_examples.pair(one, records, sources, None) for one in waiting],
        "conflicts": match_examples.conflicts(run, CONFLICTS) if plan["conflicts"] else [],
        "matches": plan.get("matches", 0),
        "delimiters": DELIMITERS,
        "crms": sorted({CRMS.get(source.crm, source.crm) for source in sources} - {""}),
        "there": list(_there(run)),
        "how": match_fields.HOW,
        "colors": COLORS,
        "roles": ROLES,
        "concepts": CONCEPTS,
    }


def _named(name: str, sources: list[Source]) -> str:
    """Return what to call a column, or a concept that columns of different names have in common."""
    own = any(name == column.name for source in sources for column in source.columns)
    return printable(name if own else CONCEPTS.get(name, name), 60)


def _gain(run: Path) -> str | None:
    return learn_report.gain(run, run_folder.report(run, "decide")["model"])


def _file(found: dict, source: Source) -> dict:
    """Return what was read of a file, its text fit to be shown."""
    skipped = [{**one, "reason": printable(one["reason"], 300)} for one in found.get("skipped", [])]
    notes = [printable(note, 400) for note in found.get("notes", [])]
    names = {"path": printable(found["path"]), "name": printable(Path(found["path"]).name)}
    return {**found, **names, "profile": source.profile, "skipped": skipped, "notes": notes}


def _funnel(read: dict, candidates: dict, decided: dict, grouped: dict, plan: dict) -> list[match_figures.Bar]:
    records, pairs, together, gone = read["records"], candidates["pairs"], grouped["grouped_records"], plan["records_removed"]
    within = sum(one["records"] ** 2 for one in read["files"]) if read["link"] else records
    asked = f"Of all {(records**2 - within) // 2:,} pairs of records, these are alike enough to ask about."
    found = asked if pairs else "No two records are alike enough to ask about."
    joined = f"Records of one {'company' if read['kind'] == 'account' else 'person'} form a group."
    among = f"in {many(grouped['groups'], 'group')}"
    kept, left_out = (_noun(records, "record"), "base", records), ("left out", "no", read["rows"] - records)
    stay, go = ("staying", "base", records - gone), ("going into others", "gone", gone)
    bars = (
        (f"{_noun(read['rows'], 'row')} read", "Every row is accounted for.", kept, left_out),
        (_noun(pairs, "candidate pair"), found, *((label, COLORS[label], decided["decisions"].get(label, 0)) for label in LABELS)),
        (_noun(records, "record"), joined, (among, "yes", together), ("on their own", "base", records - together)),
        (f"{_noun(records, 'record')}, with the plan", "Nothing has been changed yet.", stay, go),
    )[: 3 if read["link"] else 4]
    return [match_figures.bar(title, about, parts) for title, about, *parts in bars]


def _noun(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _thresholds(points: list, used) -> list[tuple[Any, bool]]:
    """Return the points of round thresholds and of the one in use, which is marked."""
    found = [point for threshold in THRESHOLDS if not used or threshold != used.threshold if (point := match_tables.at(points, threshold))]
    return sorted([*((point, False) for point in found), *([(used, True)] if used else [])], key=lambda item: item[0].threshold)


def _there(run: Path) -> Iterable[tuple[str, str, str]]:
    """Yield (path, address, purpose) of the files that a person may want."""
    for pattern, purpose in FILES:
        for path in sorted(run.glob(pattern)):
            name = path.relative_to(run).as_posix()
            yield printable(name), "../" + quote(name), purpose

"""A run of `crm-dedup match` whose stages 1 to 5 are done, made of any records, pairs and groups, for tests of the report."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from crm_dedup_plugin.matching import candidates, deciding, grouping, run_folder
from crm_dedup_plugin.matching.plan import plan
from crm_dedup_plugin.matching.read import read
from crm_dedup_plugin.matching.records import schema
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy.fields import concept_of

THRESHOLD = 0.79
Pairs = dict[tuple[int, int], tuple[float, float, float]]
HEADERS = ("First Name", "Last Name", "Company name", "Email", "Phone Number", "City", "Notes")


def column(name: str, role: str = "evidence") -> dict:
    return {"name": name, "role": role, "concept": concept_of(name), "separator": None}


def make(
    run: Path, files: dict[str, list[dict]], groups: list[list[int]], pairs: Pairs, reasoning: str = "Name alike.", says: dict | None = None
) -> Path:
    """Write a run: records by file, the rows of each group of two and more, and the probabilities of pairs; return its folder.

    `says` is what the columns of the list say.
    """
    rows, sources, read = [], [], []
    for number, (path, records) in enumerate(files.items()):
        names = list(dict.fromkeys(name for record in records for name in record))
        columns = [column("Record ID", "id"), *map(column, names), column("Contact owner", "never")]
        sources.append({"path": path, "profile": "hubspot", "crm": "hubspot", "kind": "contact", "columns": columns})
        for line, record in enumerate(records, start=2):
            text = json.dumps(record, ensure_ascii=False)
            rows.append({"row": len(rows), "source": number, "line": line, "id": f"{1000 + line}", "values": text, "evidence": text})
        skipped = [{"reason": "nothing but blanks", "count": 3, "lines": [7, 9, 12]}]
        notes = ["1 value of Contact owner was ignored: it says nothing of the person."]
        shape = {"format": "CSV", "encoding": "utf-8", "delimiter": ",", "header_line": 1}
        read.append({"path": path, **shape, "rows": len(records) + 3, "records": len(records), "skipped": skipped, "notes": notes})
    count, link = len(rows), len(files) > 1
    found = {"sources": sources, "files": read, "rows": sum(one["rows"] for one in read), "records": count, "kind": "contact", "link": link}
    _stage(run, "read", {"records.parquet": pa.Table.from_pylist(rows, schema=schema())}, found)
    _candidates(run, pairs, count)
    decided = _decided(run, pairs, reasoning, says)
    _grouped(run, count, groups, pairs, decided)
    _planned(run, [json.loads(row["values"]) for row in rows], groups, link)
    return run


def _candidates(run: Path, pairs: Pairs, records: int) -> None:
    rule = {"name": "e-mail", "pairs": len(pairs), "new": len(pairs), "largest": 4, "kind": "contact", "cut_blocks": 1, "cut_pairs": 6}
    report = {"pairs": len(pairs), "per_record": len(pairs) / max(records, 1), "rules": [rule], "left_out": 0, "without_keys": 0}
    columns = {"a": [a for a, _ in pairs], "b": [b for _, b in pairs], "rules": ["e-mail"] * len(pairs)}
    table = pa.table(columns, pa.schema([("a", "int64"), ("b", "int64"), ("rules", "string")]))
    _stage(run, "candidates", {"candidates.parquet": table}, report)


def _decided(run: Path, pairs: Pairs, reasoning: str, says: dict | None = None) -> dict[tuple[int, int], str]:
    decided = {pair: LABELS[row.index(max(row))] for pair, row in pairs.items()}
    columns = [[a for a, _ in pairs], [b for _, b in pairs], *([row[at] for row in pairs.values()] for at in range(3)), list(decided.values())]
    kinds = {"a": "int64", "b": "int64", "duplicate": "float32", "possible": "float32", "no_match": "float32", "decision": "string"}
    table = pa.table(columns, pa.schema([pa.field(name, kind) for name, kind in kinds.items()]))
    reasons = [{"a": a, "b": b, "decision": label, "reasoning": reasoning} for (a, b), label in decided.items() if label != LABELS[0]]
    counts = Counter(decided.values())
    report = {"pairs": len(pairs), "decisions": {label: counts[label] for label in LABELS}, "threshold": THRESHOLD, "model": "embedded"}
    report["calibration"] = {"columns": says}
    files = {"shards/000000000000.parquet": table.drop_columns("decision")} if pairs else {}
    text = "".join(json.dumps(one) + "\n" for one in reasons)
    _stage(run, "decide", files | {"decisions.parquet": table, "reasons.jsonl": text}, report | {"calibrated": True, "pairs_per_second": 41.5})
    return decided


def _grouped(run: Path, count: int, groups: list[list[int]], pairs: dict, decided: dict) -> None:
    of = {row: min(group) for group in groups for row in group}
    inside = {pair for group in groups for pair in combinations(sorted(group), 2)}
    edges = [{"a": a, "b": b, "duplicate": row[0], "kind": "holds"} for (a, b), row in pairs.items() if (a, b) in inside]
    review = []
    for (a, b), row in pairs.items():
        why = "POSSIBLE" if decided[a, b] == LABELS[1] else "below the threshold" if decided[a, b] == LABELS[0] and row[0] < THRESHOLD else None
        if why:
            review.append(
                {"a": a, "b": b, "duplicate": row[0], "possible": row[1], "no_match": row[2], "decision": decided[a, b], "why": why, "again": False}
            )
    review.sort(key=lambda one: -one["duplicate"])
    kinds = pa.schema([("a", "int64"), ("b", "int64"), ("duplicate", "float32"), ("kind", "string")])
    more = {"possible": "float32", "no_match": "float32", "decision": "string", "why": "string", "again": "bool"}
    waiting = [*kinds][:3] + [pa.field(name, kind) for name, kind in more.items()]
    sizes = {str(size): count for size, count in sorted(Counter(map(len, groups)).items())}
    report = {"groups": len(groups), "grouped_records": len(of), "sizes": sizes, "review": len(review)}
    tables = {
        "groups.parquet": pa.table({"row": range(count), "group": [of.get(row, row) for row in range(count)]}),
        "edges.parquet": pa.Table.from_pylist(edges, kinds),
        "review.parquet": pa.Table.from_pylist(review, pa.schema(waiting)),
    }
    _stage(run, "group", tables, report | {"asked_inside": 0, "cut": 0})


def _planned(run: Path, records: list[dict], groups: list[list[int]], link: bool) -> None:
    """Write a plan in which the first record of each group stays and all others contradict it."""
    lines, removed = [], sum(len(group) - 1 for group in groups)
    for stays, *others in groups if not link else ():
        fields = {}
        for name, value in records[stays].items():
            lost = [{"id": f"{1002 + row}", "value": records[row].get(name, "")} for row in others]
            fields[name] = {"value": value, "conflict": any(one["value"] != value for one in lost), "lost": lost}
        lines.append({"primary": {"id": f"{1002 + stays}"}, "fields": fields})
    conflicts = sum(field["conflict"] for line in lines for field in line["fields"].values())
    report = {"merges": 0, "records_removed": 0, "conflicts": 0, "matches": len(groups)}
    if not link:
        report = {"merges": len(groups), "records_removed": removed, "conflicts": conflicts, "set_by_hand": 2, "left_over": 0, "unknown_names": ["x"]}
        report |= {"per_crm": {"hubspot": removed - 1, "by hand": 1}, "by_hand": 1}
    _stage(run, "plan", {"merge_plan.jsonl": "".join(json.dumps(line) + "\n" for line in lines), "before.jsonl": ""}, report)


def _stage(run: Path, name: str, files: dict[str, object], report: dict) -> None:
    def work(folder: Path) -> dict:
        for path, content in files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            if isinstance(content, str):
                (folder / path).write_text(content, encoding="utf-8")
            else:
                pyarrow.parquet.write_table(content, folder / path)
        return report | {"seconds": 1.5}

    run_folder.stage(run, name, {}, work)


def through_the_stages(run: Path, files: list[Path], told: Callable[[int, int], tuple[float, float, float]]) -> Path:
    """Take files through the real stages, but for the model: `told(row, row)` says what it would; return the folder of the run."""
    read(run, files, None)
    candidates.find(run, 10.0)
    pairs = dict.fromkeys(deciding.candidates(run), (0.0, 0.0, 1.0))
    _decided(run, {pair: told(*pair) for pair in pairs}, "Name alike.")
    grouping.group(run, lambda asked: [told(*pair) for pair in asked], THRESHOLD)
    plan(run)
    return run

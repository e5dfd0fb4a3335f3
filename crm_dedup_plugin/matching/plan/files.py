"""The files of a plan: exact ones for programs, and tables for people."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from crm_dedup_plugin.matching import sheets
from crm_dedup_plugin.matching.plan.groups import Groups
from crm_dedup_plugin.matching.plan.members import Member
from crm_dedup_plugin.matching.plan.merges import Merge
from crm_dedup_plugin.matching.records import EMPTY, Column
from crm_dedup_plugin.storage import whole

BECOMES, STAYS, GOES, BY_HAND, TOO_MANY = "becomes", "stays", "goes into it", "by hand", "too many for a merge"  # a row of the table for people
CLEANED = "cleaned file"
COLOURS = {BECOMES: "DDEBF7"}


def write(folder: Path, groups: Groups, plan: Callable[[list[Member]], Merge], waiting: sheets.Table) -> dict:
    """Write the plan of one file, with the table of what is `waiting` for a person, and return its counts."""
    columns = groups.records.sources[0].columns
    counts, per_crm = Counter(merges=0, records_removed=0, changed_fields=0, conflicts=0, set_by_hand=0, left_over=0, by_hand=0), Counter()
    unknown, results, gone = set(), {}, set()
    with (
        whole(folder / "merge_plan.jsonl") as exact,
        whole(folder / "before.jsonl") as before,
        exact.open("w", encoding="utf-8", errors="surrogatepass") as plan_file,
        before.open("w", encoding="utf-8", errors="surrogatepass") as before_file,
    ):
        for members in groups:
            merge = plan(members)
            plan_file.write(_line(merge.as_json()))
            before_file.writelines(_line({"row": one.row, "line": one.line, "id": one.id, "values": one.values}) for one in members)
            merged = len(members) - 1 - len(merge.left_over)
            counts.update(merges=1, records_removed=merged, changed_fields=len(merge.changed))
            counts.update(conflicts=sum(one.conflict for one in merge.fields.values()), left_over=len(merge.left_over))
            counts.update(set_by_hand=len(merge.values.by_hand), by_hand=len(merge.by_hand))
            per_crm.update({merge.crm or CLEANED: merged - len(merge.by_hand), BY_HAND: len(merge.by_hand)})
            unknown.update(merge.values.unknown)
            results[members[0].row] = merge.changed
            left_over = set(merge.left_over)
            gone.update(member.row for member in members[1:] if member.id not in left_over)
    shown = [column.name for column in columns if column.role != EMPTY]
    tables = {
        "merges": sheets.with_csv(folder / "merge_plan.csv", merges_for_people(folder, shown)),
        "values": values_for_people(folder),
        "review": sheets.with_csv(folder / "review.csv", waiting),
    }
    left = sheets.write_xlsx(folder / "merge_plan.xlsx", tables, COLOURS)
    sheets.write_csv(folder / "cleaned.csv", _cleaned(groups, columns, results, gone))
    return {**counts, "per_crm": dict(+per_crm), "unknown_names": sorted(unknown), "rows_not_in_xlsx": left}


def merges_for_people(folder: Path, columns: Sequence[str]) -> Iterator[list[object]]:
    """Yield a table of the plan in a folder, a header first: each group's result, and under it its records."""
    yield ["group", "record", "id", "line", "conflicts", *columns]
    with (folder / "before.jsonl").open(encoding="utf-8", errors="surrogatepass") as before:
        for one in _read(folder / "merge_plan.jsonl"):
            conflicts = ", ".join(name for name, field in one["fields"].items() if field["conflict"])
            members = [json.loads(next(before)) for _ in range(1 + len(one["merged"]))]
            result = members[0]["values"] | {name: field["value"] for name, field in one["fields"].items() if field["changed"]}
            yield [one["group"], BECOMES, one["primary"]["id"], None, conflicts, *(result.get(name, "") for name in columns)]
            for at, member in enumerate(members):
                said = STAYS if at == 0 else _way(one, member["id"])
                yield [one["group"], said, member["id"], member["line"], "", *(member["values"].get(name, "") for name in columns)]


def _way(merge: dict, id: str) -> str:
    return TOO_MANY if id in merge["left_over"] else BY_HAND if id in merge["by_hand"] else GOES


def values_for_people(folder: Path) -> Iterator[list[object]]:
    """Yield a table, a header first, of the fields that change or where a value is lost."""
    yield ["group", "what", "into record", "field", "survives", "from", "rule", "would be lost"]
    for one in _read(folder / "merge_plan.jsonl"):
        for name, field in one["fields"].items():
            if field["changed"] or field["conflict"]:
                lost = " | ".join(dict.fromkeys(other["value"] for other in field["lost"]))
                what = "conflict" if field["conflict"] else "changes"
                yield [one["group"], what, one["primary"]["id"], name, field["value"], ", ".join(field["from"]), field["rule"], lost]


def _cleaned(groups: Groups, columns: Sequence[Column], results: dict[int, dict[str, str]], gone: set[int]) -> Iterator[list[str]]:
    """Yield the file without the records that go, in the columns and the order that it had."""
    names = [column.name for column in columns]
    yield [_original(name, names) for name in names]
    for row in range(groups.size):
        if row not in gone:
            values = groups.records.values(row) | results.get(row, {})
            yield [values.get(name, "") for name in names]


def _original(name: str, names: Sequence[str]) -> str:
    """Return what the file calls a column: the second column of a name was read as "Name (2)"."""
    found = re.fullmatch(r"(.*) \(\d+\)", name)
    return found[1] if found and found[1] in names else name


def _read(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8", errors="surrogatepass") as file:
        for line in file:
            yield json.loads(line)


def _line(value: dict) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"

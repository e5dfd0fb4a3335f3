"""The plan of two files and more: which record of one is which of the others. Nothing is merged."""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from crm_dedup_plugin.matching import sheets
from crm_dedup_plugin.matching.plan.groups import Groups
from crm_dedup_plugin.matching.plan.members import Member
from crm_dedup_plugin.storage import whole


def write(folder: Path, groups: Groups, waiting: sheets.Table) -> dict:
    """Write the matches, with the table of what is `waiting` for a person, and return their counts."""
    matches = records = 0
    with whole(folder / "merge_plan.jsonl") as partial, partial.open("w", encoding="utf-8", errors="surrogatepass") as file:
        for members in _across(groups):
            file.write(json.dumps(_as_json(groups, members), ensure_ascii=False) + "\n")
            matches, records = matches + 1, records + len(members)
    tables = {"matches": sheets.with_csv(folder / "merge_plan.csv", for_people(groups)), "review": sheets.with_csv(folder / "review.csv", waiting)}
    left = sheets.write_xlsx(folder / "merge_plan.xlsx", tables, {})
    none = dict.fromkeys(("merges", "records_removed", "changed_fields", "conflicts"), 0)
    return {**none, "matches": matches, "matched_records": records, "per_crm": {}, "rows_not_in_xlsx": left}


def for_people(groups: Groups) -> Iterator[list[object]]:
    """Yield a table, a header first, with the records of each match one under the other."""
    columns = list(dict.fromkeys(column.name for source in groups.records.sources for column in source.columns))
    yield ["match", "file", "id", "line", *columns]
    for members in _across(groups):
        for member in members:
            path = Path(groups.records.sources[groups.records.source_of[member.row]].path).name
            name = min(one.row for one in members)
            yield [name, path, member.id, member.line, *(member.values.get(column, "") for column in columns)]


def _across(groups: Groups) -> Iterator[list[Member]]:
    """Yield the members of each group that has records of several files, in the order of the files."""
    of = groups.records.source_of
    for members in groups:
        found = sorted(members, key=lambda member: of[member.row])
        if of[found[0].row] != of[found[-1].row]:
            yield found


def _as_json(groups: Groups, members: list[Member]) -> dict:
    """Return a line of ``merge_plan.jsonl``: the ids of one entity, by file."""
    of, sources = groups.records.source_of, groups.records.sources
    found = [
        {"file": sources[number].path, "records": [{"row": one.row, "id": one.id, "line": one.line} for one in same]}
        for number, same in groupby(members, key=lambda member: of[member.row])
    ]
    return {"group": min(one.row for one in members), "same": found}

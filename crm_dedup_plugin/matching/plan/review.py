"""What waits for a person, as a table for people: the two records of each pair one under the other."""

from collections.abc import Iterator
from pathlib import Path

from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.deciding import reasons
from crm_dedup_plugin.matching.records import EVIDENCE, Records

BATCH = 1_000  # pairs
HEADER = ["pair", "why", "decision", "DUPLICATE in %", "these groups came before", "reasoning", "file", "id", "line"]


def waiting(run: Path, records: Records) -> Iterator[list[object]]:
    """Yield a table, a header first, with two rows for each pair in ``4-group/review.parquet``, the most probable duplicates first.

    All but the last columns of `HEADER` tell of the pair and stand in both rows, so that a table sorted or filtered by them stays whole.
    """
    import pyarrow.parquet

    names = list(dict.fromkeys(column.name for source in records.sources for column in source.columns if column.role == EVIDENCE))
    lines, paths = records.table("line")["line"].to_pylist(), [Path(source.path).name for source in records.sources]
    told = reasons(run)
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

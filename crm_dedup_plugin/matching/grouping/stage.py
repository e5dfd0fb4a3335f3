"""The fourth stage of a run: which records are of one entity.

An entity is no connected component. A pair joins where the decision is DUPLICATE and sure enough. NO_MATCH forbids, POSSIBLE does neither.
What a person answered comes before what the model says. Inside a group no pair stays unasked, unless the group is very large.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crm_dedup_plugin.matching import deciding, run_folder
from crm_dedup_plugin.matching.grouping import tables
from crm_dedup_plugin.matching.grouping.constrained import CUT
from crm_dedup_plugin.matching.grouping.decided import Answer, Ask, Decided, Reviewed
from crm_dedup_plugin.matching.grouping.missing import MOST, WHOLE
from crm_dedup_plugin.matching.grouping.resolve import Resolved, complete
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.matching.progress import many, tell
from crm_dedup_plugin.matching.records import ID, Records
from crm_dedup_plugin.storage import write_table


def group(run: Path, ask: Ask, threshold: float, reviewed: Sequence[Answer] = ()) -> dict:
    """Group the records of a run whose stage "decide" is done; return the report.

    `ask(pairs)` returns calibrated probabilities (DUPLICATE, POSSIBLE, NO_MATCH) of pairs of rows. A pair joins by itself from a
    probability of `threshold` on. `reviewed` holds what people answered, in order of time: (row, row, the same entity?). A yes joins
    whatever the model says, a no forbids; a yes that contradicts a no is not carried out and reported.
    """
    decided_by = deciding.calibration(run)
    made_from = {"threshold": threshold, "calibration": decided_by._asdict(), "reviewed": [list(answer) for answer in reviewed], "whole": WHOLE}
    return run_folder.stage(run, "group", made_from, lambda folder: _work(run, folder, ask, decided_by, threshold, reviewed))


def _work(run: Path, folder: Path, ask: Ask, decided_by: Calibration, threshold: float, answers: Sequence[Answer]) -> dict:
    began = time.monotonic()
    records, decided = Records(run), Decided.of(run)
    order = order_of(records)
    reviewed, before = Reviewed.of(answers, len(order)), len(decided.pairs)

    def asked(pairs: np.ndarray) -> Decided:
        rows = [tuple(pair) for pair in pairs.tolist()]
        return Decided.from_answers(rows, ask(rows), decided_by)

    found, decided = complete(decided, reviewed, threshold, order, asked)
    edges, review = tables.edges(found, decided, reviewed), tables.review(found, decided, reviewed, threshold, order)
    write_table(tables.groups(found.groups), folder / "groups.parquet")
    write_table(edges, folder / "edges.parquet")
    write_table(review, folder / "review.parquet")
    return _report(found, len(decided.pairs) - before, review.num_rows, reviewed, records, began)


def order_of(records: Records) -> np.ndarray:
    """Return a rank for each row that depends on ids and contents, not on the order of rows or of files."""
    import pyarrow as pa
    import pyarrow.compute as pc

    named = [any(column.role == ID for column in source.columns) for source in records.sources]
    table = records.table("source", "id", *([] if all(named) else ["values"]))
    source = table["source"].to_numpy()
    paths = sorted(one.path for one in records.sources)
    place = np.array([paths.index(one.path) for one in records.sources])
    ids = pc.if_else(pa.array(np.array(named)[source]), table["id"], "")  # where a file has no ids, they only count its rows
    keyed = {"id": ids, "path": pa.array(place[source]), **({} if all(named) else {"values": table["values"]})}
    sorted_rows = pc.sort_indices(pa.table(keyed), sort_keys=[(name, "ascending") for name in keyed]).to_numpy()
    ranks = np.empty(len(source), np.int64)
    ranks[sorted_rows] = np.arange(len(source))
    return ranks


def _report(found: Resolved, asked: int, review: int, reviewed: Reviewed, records: Records, began: float) -> dict:
    sizes = np.bincount(np.unique(found.groups, return_counts=True)[1])
    several = {size: int(count) for size, count in enumerate(sizes.tolist()) if size > 1 and count}
    grouped, groups = sum(size * count for size, count in several.items()), sum(several.values())
    wait = f"{many(review, 'pair')} {'waits' if review == 1 else 'wait'} for a person"
    tell(f"group: {many(groups, 'group')} of {many(grouped, 'record')}, {wait}")
    return {
        "groups": groups,
        "grouped_records": grouped,
        "sizes": {str(size): count for size, count in several.items()},
        "asked_inside": asked,
        "asked_in_part": {"groups": sum(count for size, count in several.items() if size > WHOLE), "larger_than": WHOLE, "pairs_at_most": MOST},
        "cut": int((found.kinds == CUT).sum()),
        "review": review,
        "answers": {"yes": len(reviewed.yes), "no": len(reviewed.no), "replaced": reviewed.changed},
        "contradictions": [[records.ids[row] for row in pair] for pair in reviewed.yes[found.people == CUT].tolist()],
        "seconds": round(time.monotonic() - began, 2),
    }

"""The third stage of a run: what the model says about every candidate, in shards, so that a killed run loses at most one.

One token decides. Whole answers, with a reasoning, are only for pairs that a person will read.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.matcher import ALL, NONE, Decision, Matcher
from crm_dedup_plugin.matching.progress import shown
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.record import to_json
from crm_dedup_plugin.provenance import PROMPT_VERSION, model_digest
from crm_dedup_plugin.storage import write_atomically, write_table

if TYPE_CHECKING:
    import pyarrow

SHARDS, REASONS, INSIDE = "shards", "reasons.jsonl", "inside.jsonl"
FIRST, MOST, SECONDS = 32, 16_384, 20  # pairs of the first shard and of the largest, and how long each shall take
SURE = 0.98  # the least calibrated probability of a merge that no person sees; results/matching.json shows what it costs
EXAMPLES = 6  # pairs of each decision that get a reasoning although nobody must read them
DUPLICATE, POSSIBLE, NO_MATCH = LABELS

Rows = tuple[int, int]


def decide(run: Path, matcher: Matcher, threshold: float | None = None, explain: int = 200, price: float | None = None) -> dict:
    """Decide about all candidates of a run and return the stage's report.

    Merges need the calibrated probability `threshold`, by default the model's own but at least `SURE`. The `explain` pairs that wait for a person and
    are most probable get a reasoning. `price` is that of an hour of this machine.
    """
    limit = threshold if threshold is not None else max(matcher.calibration.threshold or 0, SURE)
    asked = {"model_sha256": model_digest(matcher.model), "prompt": PROMPT_VERSION, "temperature": matcher.calibration.temperature}

    def work(folder: Path) -> dict:
        began, records = time.monotonic(), Records(run)
        pairs = in_prompt_order(records, candidates(run))
        before = _ask_all(folder, records, matcher, pairs, price)
        told = {**_counts(folder), "model": matcher.name, "calibrated": matcher.calibration.known}
        return told | _speed(len(pairs) - before, time.monotonic() - began)

    # What follows is no part of the stage's key: another threshold asks for reasonings at most.
    found, chosen_by = run_folder.stage(run, "decide", asked, work), {"threshold": limit, "explain": explain}
    if not chosen_by.items() <= found.items():
        _explain(run, matcher, limit, explain)
        run_folder.write_report(run, "decide", found | chosen_by)
    return run_folder.report(run, "decide")


def candidates(run: Path) -> list[Rows]:
    """Return the pairs of rows that the second stage found."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(run_folder.folder(run, "candidates") / "candidates.parquet", columns=["a", "b"])
    return list(zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True))


def in_prompt_order(records: Records, pairs: Sequence[Rows]) -> list[Rows]:
    """Return the pairs so that prompts which begin with the same record follow each other: a model reads that record once."""
    rows = sorted({row for pair in pairs for row in pair}, key=lambda row: to_json(records.evidence(row)))
    place = {row: at for at, row in enumerate(rows)}
    return sorted(pairs, key=lambda pair: sorted((place[pair[0]], place[pair[1]])))


def decisions(run: Path) -> "pyarrow.Table":
    """Return the decisions about all candidates: a, b, duplicate, possible, no_match, decision."""
    return _read(run_folder.folder(run, "decide"))


def reasons(run: Path) -> dict[Rows, dict]:
    """Return the whole answers that were asked for, by pairs of rows: decision and reasoning, which is None where it was not finished."""
    return {(one["a"], one["b"]): one for one in _whole_lines(run_folder.folder(run, "decide") / REASONS)}


def asker(run: Path, matcher: Matcher) -> Callable[[Sequence[Rows]], list[tuple[float, float, float]]]:
    """Return what asks about pairs of rows that were no candidates; what it was told is kept, and never asked again in this run."""
    kept, records = run_folder.folder(run, "decide") / INSIDE, Records(run)
    known = {(one["a"], one["b"]): tuple(one["probabilities"]) for one in _whole_lines(kept)}

    def ask(pairs: Sequence[Rows]) -> list[tuple[float, float, float]]:
        new = [pair for pair in pairs if pair not in known]
        say = shown("group", "pairs inside groups", len(new))
        with kept.open("a", encoding="utf-8") as file:
            for done, part in _paced(new):
                for (a, b), probabilities in zip(part, _probabilities(matcher, records, part), strict=True):
                    known[a, b] = probabilities
                    file.write(json.dumps({"a": a, "b": b, "probabilities": probabilities}) + "\n")
                file.flush()
                os.fsync(file.fileno())
                say(done)
        return [known[pair] for pair in pairs]

    return ask


def _ask_all(folder: Path, records: Records, matcher: Matcher, pairs: Sequence[Rows], price: float | None) -> int:
    """Write the shards that are not there yet; return how many pairs were decided before."""
    import pyarrow as pa
    import pyarrow.parquet

    (folder / SHARDS).mkdir(exist_ok=True)
    there = sorted((folder / SHARDS).glob("*.parquet"))
    before = sum(pyarrow.parquet.read_metadata(path).num_rows for path in there)
    say = shown("decide", "pairs", len(pairs), before, price)
    for done, part in _paced(pairs, before):
        told = _probabilities(matcher, records, part)
        columns = [pa.array([pair[at] for pair in part], pa.int64()) for at in (0, 1)]
        columns += [pa.array([one[at] for one in told], pa.float32()) for at in range(3)]
        columns.append(pa.array([LABELS[one.index(max(one))] for one in told]))
        names = ["a", "b", "duplicate", "possible", "no_match", "decision"]
        write_table(pa.table(columns, names=names), folder / SHARDS / f"{done:012}.parquet")
        say(done)
    return before


def _probabilities(matcher: Matcher, records: Records, pairs: Sequence[Rows]) -> list[tuple[float, float, float]]:
    asked = [(records.evidence(a), records.evidence(b)) for a, b in pairs]
    return [tuple(decision.probabilities.values()) for decision in matcher.decide_many(asked, NONE)]


def _explain(run: Path, matcher: Matcher, threshold: float, count: int) -> None:
    """Write the reasonings of what waits for a person, and of some examples."""
    records, known = Records(run), reasons(run)
    rows = [(one["a"], one["b"]) for one in chosen(decisions(run), threshold, count)]
    new = [pair for pair in rows if pair not in known]
    say = shown("explain", "pairs", len(new))
    for done, part in _paced(new):
        told = matcher.decide_many([(records.evidence(a), records.evidence(b)) for a, b in part], ALL)
        known |= {pair: {"a": pair[0], "b": pair[1], **_said(one)} for pair, one in zip(part, told, strict=True)}
        say(done)
    write_atomically(run_folder.folder(run, "decide") / REASONS, "".join(f"{json.dumps(known[pair], ensure_ascii=False)}\n" for pair in rows))


def _said(decision: Decision) -> dict:
    return {"decision": decision.decision, "reasoning": decision.reasoning}


def chosen(table: "pyarrow.Table", threshold: float, count: int) -> list[dict]:
    """Return the pairs that get a reasoning: those most probable among what waits for a person, and examples of what does not."""
    import pyarrow.compute as pc

    waits = pc.or_(pc.equal(table["decision"], POSSIBLE), pc.and_(pc.equal(table["decision"], DUPLICATE), pc.less(table["duplicate"], threshold)))
    order = [("duplicate", "descending"), ("a", "ascending"), ("b", "ascending")]
    found = table.filter(waits).sort_by(order).slice(0, count).to_pylist()
    for label in (DUPLICATE, NO_MATCH):  # the surest merges, and the pairs that nearly were none
        found += table.filter(pc.and_(pc.equal(table["decision"], label), pc.invert(waits))).sort_by(order).slice(0, EXAMPLES).to_pylist()
    return found


def _counts(folder: Path) -> dict:
    import pyarrow.compute as pc

    found = {one["values"]: one["counts"] for one in pc.value_counts(_read(folder)["decision"]).to_pylist()}
    return {"pairs": sum(found.values()), "decisions": {label: found.get(label, 0) for label in LABELS}}


def _speed(pairs: int, seconds: float) -> dict:
    return {"asked": pairs, "seconds": round(seconds, 1), "pairs_per_second": round(pairs / seconds, 1)}


def _read(folder: Path) -> "pyarrow.Table":
    import pyarrow as pa
    import pyarrow.parquet

    names = [
        ("a", pa.int64()),
        ("b", pa.int64()),
        *((name, pa.float32()) for name in ("duplicate", "possible", "no_match")),
        ("decision", pa.string()),
    ]
    parts = [pyarrow.parquet.read_table(path) for path in sorted((folder / SHARDS).glob("*.parquet"))]
    return pa.concat_tables(parts) if parts else pa.schema(names).empty_table()


def _whole_lines(path: Path) -> Iterator[dict]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            yield json.loads(line)


def _paced(items: Sequence[Rows], before: int = 0) -> Iterator[tuple[int, Sequence[Rows]]]:
    """Yield the items after the first `before` in parts that take about `SECONDS` each, and with each how many will be done after it."""
    size = FIRST
    while before < len(items):
        part, began = items[before : before + size], time.monotonic()
        before += len(part)
        yield before, part
        fits = len(part) * SECONDS / max(time.monotonic() - began, 1e-3)
        size = int(min(max(fits, FIRST), 8 * size, MOST))

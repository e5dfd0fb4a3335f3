"""The third stage of a run: what the model says about every candidate, in shards, so that a killed run loses at most one.

One token decides. Whole answers, with a reasoning, are only for pairs that a person will read.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.matching import evidence, run_folder
from crm_dedup_plugin.matching.matcher import ALL, READS, Decision, Matcher, ahead
from crm_dedup_plugin.matching.probability import Calibration, log_odds
from crm_dedup_plugin.matching.progress import shown
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.record import to_json
from crm_dedup_plugin.provenance import PROMPT_VERSION, model_digest
from crm_dedup_plugin.storage import write_atomically, write_table

if TYPE_CHECKING:
    import pyarrow

SHARDS, DECISIONS, REASONS, INSIDE = "shards", "decisions.parquet", "reasons.jsonl", "inside.jsonl"
SURE = 0.995  # the least calibrated probability of a merge that no person sees; results/matching.json shows what it costs
EXAMPLES = 6  # pairs of each decision that get a reasoning although nobody must read them
DUPLICATE, POSSIBLE, NO_MATCH = LABELS

NAMES = ["a", "b", *(label.lower() for label in LABELS), "decision"]

Rows = tuple[int, int]


def merges_from(calibration: Calibration) -> float:
    """Return the model's own threshold; it is at least `SURE`, unless answers about the source itself gave it."""
    return calibration.threshold if calibration.slope is not None else max(calibration.threshold or 0, SURE)


def before_answers(run: Path, model: str, calibration: Calibration) -> Calibration:
    """Return the calibration of a model for the records of a run: `calibration`, or what the embedded model has for such records."""
    contacts = all(source.crm and source.kind == "contact" for source in Records(run).sources)
    weights = embedded.CONTACTS if contacts else embedded.LISTS
    return Calibration.with_evidence(model, weights, calibration) if calibration.slope is None else calibration


def decide(run: Path, matcher: Matcher, threshold: float | None = None, explain: int = 200, price: float | None = None) -> dict:
    """Decide about all candidates of a run and return the stage's report.

    Merges need the calibrated probability `threshold`, by default that of `merges_from`. The `explain` pairs that wait for a person and
    are most probable get a reasoning. `price` is that of an hour of this machine.
    """
    general = before_answers(run, matcher.model, matcher.calibration)
    general = general._replace(threshold=threshold if threshold is not None else merges_from(general))
    asked = {"model_sha256": model_digest(matcher.model), "prompt": PROMPT_VERSION, "reads": READS}
    records = Records(run)

    def work(folder: Path) -> dict:
        began, pairs = time.monotonic(), in_prompt_order(records, candidates(run))
        before = _ask_all(folder, records, matcher, pairs, price)
        return {"pairs": len(pairs), **_speed(len(pairs) - before, time.monotonic() - began)}

    # What follows is no part of the stage's key: another calibration or threshold asks for reasonings at most.
    found = run_folder.stage(run, "decide", asked, work)
    chosen_by = {"model": matcher.name, "general": general._asdict(), "threshold": general.threshold, "explain": explain}
    if not chosen_by.items() <= found.items():
        calibration = of_list(run, records, general)
        decided = _decided(run, records, calibration)
        _explain(run, records, matcher, general.threshold, explain)
        told = {"calibration": calibration._asdict(), "decisions": decided, "calibrated": calibration.known}
        run_folder.write_report(run, "decide", found | chosen_by | told)
    return run_folder.report(run, "decide")


def calibration(run: Path) -> Calibration:
    """Return the calibration by which the pairs of a run were decided."""
    return Calibration(**run_folder.report(run, "decide").get("calibration", {}))


def of_list(run: Path, records: Records, general: Calibration) -> Calibration:
    """Return a general calibration with what the columns of the run's own list say, if it lets a list teach that."""
    pairs, rows = arrays(run)
    return evidence.of_list(records, pairs, log_odds(rows), general)


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
    """Return the decisions about all candidates, with calibrated probabilities: a, b, duplicate, possible, no_match, decision."""
    import pyarrow.parquet

    return pyarrow.parquet.read_table(run_folder.folder(run, "decide") / DECISIONS)


def raw(run: Path) -> "pyarrow.Table":
    """Return what the model said of all candidates, before any calibration: a, b, duplicate, possible, no_match."""
    import pyarrow as pa
    import pyarrow.parquet

    parts = [pyarrow.parquet.read_table(path) for path in sorted((run_folder.folder(run, "decide") / SHARDS).glob("*.parquet"))]
    return pa.concat_tables(parts) if parts else _table([], []).select(NAMES[:-1])


def reasons(run: Path) -> dict[Rows, dict]:
    """Return the whole answers that were asked for, by pairs of rows: decision and reasoning, which is None where it was not finished."""
    return {(one["a"], one["b"]): one for one in _whole_lines(run_folder.folder(run, "decide") / REASONS)}


def inside(run: Path) -> dict[Rows, tuple[float, float, float]]:
    """Return what the model said of pairs of rows that were no candidates, before any calibration."""
    return {(one["a"], one["b"]): tuple(one["probabilities"]) for one in _whole_lines(run_folder.folder(run, "decide") / INSIDE)}


def asker(run: Path, matcher: Matcher) -> Callable[[Sequence[Rows]], list[tuple[float, float, float]]]:
    """Return what asks for the calibrated probabilities of pairs of rows that were no candidates; no pair is asked twice in a run."""
    kept, records, calibrated = run_folder.folder(run, "decide") / INSIDE, Records(run), calibration(run)
    known = inside(run)

    def ask(pairs: Sequence[Rows]) -> list[tuple[float, float, float]]:
        new = [pair for pair in pairs if pair not in known]
        say, shards = shown("group", "pairs inside groups", len(new)), _cut(new, matcher.shard)
        with kept.open("a", encoding="utf-8") as file:
            for done, at, told in _each(matcher, records, shards):
                for (a, b), probabilities in zip(shards[at], told, strict=True):
                    known[a, b] = probabilities
                    file.write(json.dumps({"a": a, "b": b, "probabilities": probabilities}) + "\n")
                file.flush()
                os.fsync(file.fileno())
                say(done)
        rows = calibrated.apply([known[pair] for pair in pairs], calibrated.evidence(records.pairs(pairs)))
        return [tuple(row) for row in rows.tolist()]

    return ask


def _ask_all(folder: Path, records: Records, matcher: Matcher, pairs: Sequence[Rows], price: float | None) -> int:
    """Write the shards that are not there yet; return how many pairs were decided before."""
    (folder / SHARDS).mkdir(exist_ok=True)
    missing = _missing(folder / SHARDS, len(pairs))
    before = len(pairs) - sum(map(len, missing))
    say = shown("decide", "pairs", len(pairs), before, price)
    shards = [part for rows in missing for part in _cut(rows, matcher.shard)]
    for done, at, told in _each(matcher, records, [[pairs[row] for row in rows] for rows in shards]):
        part = pairs[shards[at].start : shards[at].stop]
        write_table(_table(part, told).select(NAMES[:-1]), folder / SHARDS / f"{shards[at].stop:012}.parquet")
        say(before + done)
    return before


def _missing(folder: Path, total: int) -> list[range]:
    """Return the pairs that no shard holds; a shard is named after the number of the pair that follows it."""
    import pyarrow.parquet

    found, begin = [], 0
    for end, rows in [*((int(path.stem), pyarrow.parquet.read_metadata(path).num_rows) for path in sorted(folder.glob("*.parquet"))), (total, 0)]:
        found += [range(begin, end - rows)] if begin < end - rows else []
        begin = end
    return found


def _cut(items: Sequence, size: int) -> list[Sequence]:
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


def _each(matcher: Matcher, records: Records, shards: Sequence[Sequence[Rows]], explain: str | None = None) -> Iterator[tuple[int, int, list]]:
    """Yield how many pairs are done, the place of a shard, and what `Matcher.each` says of it."""
    done = 0
    pairs = (list(records.pairs(shard)) for shard in shards)
    for at, told in ahead(matcher.each(ahead(pairs), explain, sum(map(len, shards)))):
        done += len(told)
        yield done, at, told


def _decided(run: Path, records: Records, calibration: Calibration) -> dict[str, int]:
    """Write the decisions about all candidates, and return how many there are of each."""
    pairs, rows = arrays(run)
    rows = calibration.apply(rows, evidence.of_pairs(records, pairs, calibration))
    labels = calibration.labels(rows)
    write_table(_table(pairs, rows, labels), run_folder.folder(run, "decide") / DECISIONS)
    return {label: int((labels == at).sum()) for at, label in enumerate(LABELS)}


def arrays(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return `raw` as pairs of rows (n, 2) and probabilities (n, 3)."""
    table = raw(run)
    return tuple(np.stack([table[name].to_numpy() for name in names], axis=1) for names in (NAMES[:2], NAMES[2:5]))


def _table(pairs: Sequence[Rows], rows: Sequence[Sequence[float]], labels: Sequence[int] = ()) -> "pyarrow.Table":
    """Return pairs of rows, their (pairs, 3) probabilities, and the decisions as far as `labels` gives them."""
    import pyarrow as pa

    pairs, rows = np.asarray(pairs, np.int64).reshape(-1, 2), np.asarray(rows, np.float32).reshape(-1, len(LABELS))
    decisions = pa.array(np.array(LABELS)[labels] if len(labels) else [None] * len(pairs), pa.string())
    return pa.table([*pairs.T, *rows.T, decisions], names=NAMES)


def _explain(run: Path, records: Records, matcher: Matcher, threshold: float, count: int) -> None:
    """Write the reasonings of what waits for a person, and of some examples."""
    known = reasons(run)
    rows = [(one["a"], one["b"]) for one in chosen(decisions(run), threshold, count)]
    new = [pair for pair in rows if pair not in known]
    say, shards = shown("explain", "pairs", len(new)), _cut(new, matcher.shard)
    for done, at, told in _each(matcher, records, shards, ALL):
        known |= {pair: {"a": pair[0], "b": pair[1], **_said(one)} for pair, one in zip(shards[at], told, strict=True)}
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


def _speed(pairs: int, seconds: float) -> dict:
    return {"asked": pairs, "seconds": round(seconds, 1), "pairs_per_second": round(pairs / seconds, 1)}


def _whole_lines(path: Path) -> Iterator[dict]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            yield json.loads(line)

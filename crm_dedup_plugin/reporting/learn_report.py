"""The report of a learning, for people: what became better on answers that nothing had learned from, as a page, as Markdown and as a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tabulate import tabulate

from crm_dedup_plugin.learning import result
from crm_dedup_plugin.learning.answered import ENOUGH
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.progress import many
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.policy.comparison import ALIKE, MISSING
from crm_dedup_plugin.policy.fields import CONCEPTS
from crm_dedup_plugin.reporting import tables
from crm_dedup_plugin.reporting.match_fields import HOW
from crm_dedup_plugin.reporting.templates import pages, printable
from crm_dedup_plugin.storage import write_atomically

HTML = "report.html"
MEASURES: dict[str, tuple[str, Callable]] = {  # name for people, how it is written
    "f1": ("F1 at even odds", tables.share),
    "auroc": ("AUROC", tables.share),
    "log_loss": ("log-loss", tables.share),
    "calibration_error": ("calibration error", tables.share),
    "merged": ("pairs merged without a person", "{:.0f}".format),
    "wrong_merges": ("of these wrong", "{:.0f}".format),
}
WAYS = {"before": "before", "calibrated": "calibrated", "tuned": "tuned and calibrated"}
SHOWN = 12  # pieces of evidence
RELATIONS = {**HOW, "close": "close", "found": "in another field", MISSING: "in one record only", ALIKE: "how alike it is written"}
DRAWN = ("f1", "auroc", "calibration_error")  # those between 0 and 1
WIDTH, LEFT, RIGHT, ROW, TOP = 420, 124, 14, 52, 8  # of the picture, in pixels


class Mark(NamedTuple):
    """A number and its interval in the picture, in pixels."""

    kind: str
    x: float
    low: float
    high: float
    y: float
    text: str


def write(run: Path) -> str:
    """Write the pages of the last learning of a run, and return what a terminal shows."""
    found, folder = result.report(run), run / result.FOLDER
    context = _context(run, found)
    for form, text in pages("learn_report", context).items():
        write_atomically(folder / f"report.{form}", text)
    heads, rows = context["heads"], context["rows"]
    lines = [tabulate(rows, ["", *heads], tablefmt="simple"), "", *context["summary"], *(f"- {line}" for line in context["next"])]
    return "\n".join([*lines, f"report: {folder / HTML}"])


def gain(run: Path, model: str) -> str | None:
    """Return in one sentence what `model`, which decided a run, learned from its answers; None where it learned nothing."""
    found = result.report(run)
    if not found or found["model"] != model:
        return None
    return f"{learned(found)} {better(found)}"


def learned(found: dict) -> str:
    """Say what was taken."""
    count = found["answers"]["same"] + found["answers"]["different"]
    if found["taken"] == "tuned":
        return f"{found['from']} was tuned and calibrated on {count} answers: {found['model']}."
    if found["taken"] == "calibrated":
        return f"{found['from']} was calibrated on {count} answers, evidence by evidence; the model itself stays as it is: {found['model']}."
    return f"Nothing that was learned from {count} answers is clearly better than {found['from']} as it is, so nothing changes."


def better(found: dict) -> str:
    """Say how much better it is, on answers that it had not seen."""
    before, after = (found["ways"][way] for way in ("before", found["taken"]))

    def change(name: str) -> str:
        write = MEASURES[name][1]
        return f"{write(before[name]['value'])} to {write(after[name]['value'])}"

    parts = [f"{title} from {change(name)}" for name, title in (("log_loss", "log-loss"), ("f1", "F1 at even odds")) if before[name] and after[name]]
    merges = " and ".join(
        f"{one['wrong_merges']['value']:.0f} of {one['merged']['value']:.0f} {when}" for one, when in ((before, "before"), (after, "now"))
    )
    return f"On answers that it had not learned from: {', '.join(parts)}; wrong among the pairs that are merged without a person: {merges}."


def _context(run: Path, found: dict) -> dict[str, Any]:
    ways = found["ways"]
    return {
        "run": printable(run.name, 80),
        "found": found,
        "heads": [f"{WAYS[way]}{' (taken)' if way == found['taken'] else ''}" for way in ways],
        "rows": [[title, *(tables.interval(ways[way][name], form) for way in ways)] for name, (title, form) in MEASURES.items()],
        "summary": [learned(found), *([better(found)] if found["model"] else []), *_checks(found)],
        "weights": list(_weights((found["calibration"] or {}).get("weights", {}))),
        "next": list(_next(run, found)),
        "picture": _picture(found),
        "width": WIDTH,
        "height": TOP + ROW * len(DRAWN) + 30,
        "left": LEFT,
        "ticks": [(_x(tick / 4), f"{tick / 4:g}") for tick in range(5)],
        "names": [(TOP + ROW * at + ROW / 2 - 4, MEASURES[name][0]) for at, name in enumerate(DRAWN)],
    }


def _checks(found: dict) -> list[str]:
    """Say what the checks of a tuned model found."""
    said, told = [], found["generated"]
    if "tuned" in found["ways"] and not told:
        said.append("Tuning the model was tried and is not clearly better, so its weights were not taken.")
    if told:
        change = f"macro F1 {told['before']['value']:.3f} before and {told['after']['value']:.3f} after"
        lost = told["lost"] > told["most"]
        end = ": the tuned model forgot too much, and was refused." if lost else ": nothing that matters was forgotten."
        said.append(f"On {told['pairs']} generated pairs that it was not trained on: {change}{end}")
    if found["answers"]["changed"]:
        were = "was" if found["answers"]["changed"] == 1 else "were"
        said.append(f"{many(found['answers']['changed'], 'answer')} {were} left out: the records have changed since.")
    return said


def _weights(weights: dict[str, float]) -> Iterator[tuple[str, str]]:
    """Yield the evidence that says most, and by how much it moves the log-odds."""
    for name, weight in sorted(weights.items(), key=lambda item: -abs(item[1]))[:SHOWN]:
        field, _, relation = name.rpartition(" ")
        what = f"{CONCEPTS.get(field, printable(field, 40))}: {RELATIONS.get(relation, relation)}" if field else name.replace("_", " ")
        yield what, f"{weight:+.1f}"


def _next(run: Path, found: dict) -> Iterator[str]:
    """Say what to do now."""
    count = found["answers"]["same"] + found["answers"]["different"]
    again = run_folder.command(run, [source.path for source in Records(run).sources])
    if found["taken"] == "tuned":
        yield f"`{again}` decides anew about all pairs with {found['model']}."
    elif found["taken"] == "calibrated":
        yield f"`{again}` uses the calibration. The model decides no pair again; it only writes reasons for pairs that now wait."
    review, learn = (f"`crm-dedup {what} {run_folder.word(run)}" for what in ("review", "learn"))
    yield f"More answers teach more: {review}`."
    if "tuned" not in found["ways"] and count >= ENOUGH:
        yield f"{learn} --tune` trains the model itself too. Without a GPU it says first how long that will take."


def _x(share: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)


def _picture(found: dict) -> list[Mark]:
    """Return before and after as marks, two for each measure."""
    marks = []
    for at, name in enumerate(DRAWN):
        for kind, way, down in (("no", "before", 16), ("base", found["taken"], 38)):
            told = found["ways"][way][name]
            if told and (kind == "no" or found["model"]):
                places = [_x(min(max(told[part], 0.0), 1.0)) for part in ("value", "low", "high")]
                marks.append(Mark(kind, *places, TOP + ROW * at + down, tables.interval(told)))
    return marks

"""What a learning is said to have brought, in its own report and in that of a match."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crm_dedup_plugin.learning import result
from crm_dedup_plugin.reporting import tables

MEASURES: dict[str, tuple[str, Callable]] = {  # name for people, how it is written
    "f1": ("F1 at even odds", tables.share),
    "auroc": ("AUROC", tables.share),
    "log_loss": ("log-loss", tables.share),
    "calibration_error": ("calibration error", tables.share),
    "merged": ("pairs merged without a person", "{:.0f}".format),
    "wrong_merges": ("of these wrong", "{:.0f}".format),
}


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

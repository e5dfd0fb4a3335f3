"""From the files of a CRM to a merge plan: the stages of `crm-dedup match`, one after the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin.matching import candidates, deciding, grouping, plan, read, run_folder
from crm_dedup_plugin.matching.answers import Answers
from crm_dedup_plugin.matching.candidates.engines import DUCKDB
from crm_dedup_plugin.matching.matcher import Matcher
from crm_dedup_plugin.matching.records import Records


class Settings(NamedTuple):
    """What can be chosen about a run."""

    profile: Path | None = None  # a YAML file that says what the columns are; by default it is recognised
    limit: float = 10.0  # candidates a record, on average
    threshold: float | None = None  # of a merge without a person; by default the model's own
    explain: int = 200  # waiting pairs that get a reasoning
    price: float | None = None  # of an hour of this machine
    primary: str = "most_complete"  # which record of a group stays
    until: str = run_folder.STAGES[-1]  # the last stage
    engine: str = DUCKDB  # what finds the candidates, or the address of a Spark master


def match(run: Path, files: Sequence[Path], matcher: Matcher, settings: Settings) -> dict[str, dict]:
    """Take a run through its stages up to `plan`, and return their reports by stage; what is done already is not done again.

    What people answered about the run (`answers`) counts for groups and plan.
    """

    def read_and_check() -> dict:
        found = read.read(run, files, settings.profile)
        plan.check(run, settings.primary)  # here, where an error costs seconds
        return found

    def grouped() -> dict:
        threshold = run_folder.report(run, "decide")["threshold"]
        return grouping.group(run, deciding.asker(run, matcher), threshold, Answers.of(run, Records(run)).same_or_not)

    stages = {
        "read": read_and_check,
        "candidates": lambda: candidates.find(run, settings.limit, settings.engine),
        "decide": lambda: deciding.decide(run, matcher, settings.threshold, settings.explain, settings.price),
        "group": grouped,
        "plan": lambda: plan.plan(run, settings.primary),
    }
    wanted = run_folder.STAGES[: run_folder.STAGES.index(settings.until) + 1]
    return {name: work() for name, work in stages.items() if name in wanted}


def summary(found: dict[str, dict]) -> str:
    """Say in one line what came out, in numbers alone."""
    grouped, planned = found["group"], found["plan"]
    return (
        f"records: {found['read']['records']:,}; candidate pairs: {found['candidates']['pairs']:,}; groups: {grouped['groups']:,}; "
        f"records that would go: {planned['records_removed']:,}; pairs that wait for a person: {grouped['review']:,}"
    )

"""The command that makes a merge plan of a CRM export."""

import os
import sys
from pathlib import Path

from crm_dedup_plugin.cli.parser import Program, above_zero, number, one_of
from crm_dedup_plugin.cli.use import asking, opened, quiet

RUNS, LAST = Path("runs"), "report"
PRIMARY = "most_complete, oldest, last_changed or column:NAME"
PROBABILITY = number(float, lambda found: 0 <= found <= 1, "no probability: give a number between 0 and 1")
COUNT = number(int, lambda found: found >= 0, "not a whole number from 0 on")


def add(program: Program) -> None:
    """Add match."""
    explanation = "Find the duplicates in an export of a CRM, or the matches between two, and write a merge plan. Nothing is sent anywhere."
    again = "run the same command again to continue where it stopped"
    command = program.add("use", "match", explanation, "match contacts.csv", _run_match, again)
    said = "The export: CSV, TSV, XLSX, Parquet or JSON Lines. Of two files, records of one are linked to records of the other."
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help=said)
    command.option("--run", "The name of the run, a folder in runs/, or the path of a folder.", None, "that of the file", metavar="NAME", dest="name")
    asking(command, None, "what the run has learned from your answers, else embedded")
    explanation = "A YAML file that says what the columns are: a copy of one in crm_dedup_plugin/matching/profiles/, corrected."
    command.option("--profile", explanation, None, "recognised by the headers", type=Path, metavar="FILE")
    explanation = "How many candidate pairs a record may have, on average."
    command.option("--candidates", explanation, 10.0, "10", type=above_zero(float), metavar="N")
    explanation = "Merge pairs whose calibrated probability of DUPLICATE is at least this; the rest go to review."
    command.option("--threshold", explanation, None, "the model's own, at least 0.995", type=PROBABILITY, metavar="P")
    command.option("--explain", "How many of the pairs that wait for a person get a reasoning.", 200, type=COUNT, metavar="PAIRS")
    command.option("--primary", f"The record of a group that stays: {PRIMARY}.", "most_complete", metavar="RULE")
    explanation = "The last stage to take: read, candidates, decide, group, plan or report."
    command.option("--until", explanation, LAST, type=one_of("matching.run_folder:STAGES"), metavar="STAGE")
    price = {"type": above_zero(float), "metavar": "PRICE"}
    command.option("--price-per-hour", "The price of this machine; then progress says what the decisions cost.", None, "none", **price)


def place(run: str | None, files: list[Path]) -> Path:
    """Return the folder of a run: `run` if it is a path, else a folder of that name, or of the first file's, in runs/."""
    if run and (os.sep in run or run in (".", "..")):
        return Path(run)
    return RUNS / (run or files[0].stem or "run")


def _learned(run: Path) -> str:
    """Return the model that a run uses unless another is named."""
    from crm_dedup_plugin.inference import embedded
    from crm_dedup_plugin.learning import model_of

    if model := model_of(run):
        print(f"using {model}, which `crm-dedup learn` made from your answers; --model {embedded.NAME} goes back", file=sys.stderr, flush=True)
    return model or embedded.NAME


@quiet()
def _run_match(options) -> None:
    from crm_dedup_plugin.matching import pipeline, read, run_folder
    from crm_dedup_plugin.reporting import match_report

    read.check(options.files, options.profile)  # before there is a folder for the run
    run = place(options.name, options.files)
    settings = pipeline.Settings(
        options.profile, options.candidates, options.threshold, options.explain, options.price_per_hour, options.primary, options.until
    )
    with run_folder.alone(run), opened(options, options.model or _learned(run)) as matcher:
        found = pipeline.match(run, options.files, matcher, settings)
        if "plan" in found:
            print(pipeline.summary(found))
        if options.until == LAST:
            print(f"report: {match_report.write(run)}\nplan:   {run_folder.folder(run, 'plan')}")
            if found["group"]["review"]:
                print(f"review: crm-dedup review {run_folder.word(run)}")

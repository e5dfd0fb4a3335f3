"""Commands about a run: make a merge plan of a CRM export, show it to a person, and learn from the answers."""

import argparse
import os
import sys
from pathlib import Path

from crm_dedup_plugin.cli.parser import ONWARD, PORT, Parser, Program, above_zero, number, one_of
from crm_dedup_plugin.cli.use import asking, opened, quiet
from crm_dedup_plugin.errors import UserError

RUNS, LAST = Path("runs"), "report"
PRIMARY = "most_complete, oldest, last_changed or column:NAME"
PROBABILITY = number(float, lambda found: 0 <= found <= 1, "no probability: give a number between 0 and 1")
COUNT = number(int, lambda found: found >= 0, "not a whole number from 0 on")


def add(program: Program) -> None:
    """Add match, review and learn."""
    explanation = "Find the duplicates in an export of a CRM, or the matches between two, and write a merge plan. Nothing is sent anywhere."
    again = "run the same command again to continue where it stopped"
    _match_options(program.add("use", "match", explanation, "match contacts.csv", _run_match, again))

    explanation = "Answer what waits for a person, on a page in your browser, until Ctrl-C. It is served on this machine only."
    command = program.add("use", "review", explanation, "review contacts", _run_review, "all answers shown as saved are on disk")
    said = "The name of a run in runs/, the path of its folder, or a file of pairs, one JSON object a line."
    command.add_argument("run_or_pairs", metavar="RUN", help=said)
    command.option(
        "--port", "The port, on this machine only; 0 takes any free one.", None, "that of the last time, or a free one", type=PORT, metavar="PORT"
    )
    command.option("--open", "Open the page in the browser of this machine.", False)
    explanation = "The decisions that `crm-dedup decide --out` wrote for a file of pairs."
    command.option("--decisions", explanation, None, "none: no opinion of a model is shown", type=Path, metavar="FILE")

    explanation = (
        "Learn from 20 or more answers about a run: a calibration, and what each piece of evidence is worth. With a GPU and 50 answers the model "
        "is tuned too. Changes that do not help are discarded."
    )
    command = program.add("use", "learn", explanation, "learn contacts", _run_learn, ONWARD)
    command.add_argument("name", metavar="RUN", help="The name of a run of match, a folder in runs/, or the path of a folder.")
    command.option("--no-tuning", "Do not tune the model, which is left out without a GPU anyway.", False)
    command.option("--tune", "Tune the model without a GPU, or on fewer than 50 answers, too.", False)


def _match_options(command: Parser) -> None:
    said = "The export: CSV, TSV, XLSX, Parquet or JSON Lines. Of two files, records of one are linked to records of the other."
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help=said)
    command.option("--run", "The name of the run, a folder in runs/, or the path of a folder.", None, "that of the file", metavar="NAME", dest="name")
    asking(command, None, "what the run has learned from your answers, else embedded", "local where there are several GPUs, else none")
    explanation = "A YAML file that says what the columns are: a copy of one in crm_dedup_plugin/matching/profiles/, corrected."
    command.option("--profile", explanation, None, "recognised by the headers", type=Path, metavar="FILE")
    explanation = "How many candidate pairs a record may have, on average."
    command.option("--candidates", explanation, 10.0, "10", type=above_zero(float), metavar="N")
    explanation = "What finds the candidates: duckdb, spark (on this machine), or the address of a Spark master, as in spark://HOST:7077."
    command.option("--blocking", explanation, None, "duckdb", type=_engine, metavar="ENGINE")
    explanation = "Merge pairs whose calibrated probability of DUPLICATE is at least this; the rest go to review."
    command.option("--threshold", explanation, None, "the model's own, at least 0.995", type=PROBABILITY, metavar="P")
    command.option("--explain", "How many of the pairs that wait for a person get a reasoning.", 200, type=COUNT, metavar="PAIRS")
    command.option("--primary", f"The record of a group that stays: {PRIMARY}.", "most_complete", metavar="RULE")
    explanation = "The last stage to take: read, candidates, decide, group, plan or report."
    command.option("--until", explanation, LAST, type=one_of("matching.run_folder:STAGES"), metavar="STAGE")
    price = {"type": above_zero(float), "metavar": "PRICE"}
    command.option("--price-per-hour", "The price of this machine; then progress says what the decisions cost.", None, "none", **price)


def _engine(text: str) -> str:
    from crm_dedup_plugin.matching.candidates import spark

    try:
        return spark.engine(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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


def _all_gpus(options) -> bool:
    """Tell whether all GPUs of this machine share many pairs: where it has several, unless the options say how to use them."""
    from crm_dedup_plugin.inference.devices import several_gpus
    from crm_dedup_plugin.matching.matcher import VLLM

    return not (options.cluster or options.engine or options.engines > 1 or options.backend == VLLM) and several_gpus()


@quiet()
def _run_match(options) -> None:
    from crm_dedup_plugin.matching import pipeline, read, run_folder
    from crm_dedup_plugin.matching.candidates import spark
    from crm_dedup_plugin.reporting import match_report

    read.check(options.files, options.profile)  # before there is a folder for the run
    run, engine = place(options.name, options.files), options.blocking or spark.DUCKDB
    spark.check(engine)
    settings = pipeline.Settings(
        options.profile, options.candidates, options.threshold, options.explain, options.price_per_hour, options.primary, options.until, engine
    )
    with run_folder.alone(run), opened(options, options.model or _learned(run), _all_gpus(options)) as matcher:
        found = pipeline.match(run, options.files, matcher, settings)
        if "plan" in found:
            print(pipeline.summary(found))
        if options.until == LAST:
            print(f"report: {match_report.write(run)}\nplan:   {run_folder.folder(run, 'plan')}")
            if found["group"]["review"]:
                print(f"review: crm-dedup review {run_folder.word(run)}")


def _run_review(options) -> None:
    import webbrowser

    from crm_dedup_plugin.review import start

    run, pairs = start.find(options.run_or_pairs, RUNS)
    if options.decisions and not pairs:
        raise UserError(f"--decisions is for a file of pairs: {run} has its own decisions")
    start.review(run, pairs, options.decisions, options.port, webbrowser.open if options.open else None)


@quiet()
def _run_learn(options) -> None:
    from crm_dedup_plugin.learning import Options, learn
    from crm_dedup_plugin.matching import run_folder
    from crm_dedup_plugin.reporting import learn_report

    if options.tune and options.no_tuning:
        raise UserError("--tune and --no-tuning contradict each other: give one of them")
    run = place(options.name, [])
    if not run.is_dir():
        raise UserError(f"there is no run {run}: `crm-dedup match FILE` makes one, and `crm-dedup review` asks for answers about it")
    with run_folder.alone(run):
        learn(run, Options(False if options.no_tuning else True if options.tune else None))
        print(learn_report.write(run))

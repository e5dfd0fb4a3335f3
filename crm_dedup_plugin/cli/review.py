"""The command that shows a run to a person, who answers what the model was not sure of."""

from pathlib import Path

from crm_dedup_plugin.cli.match import RUNS
from crm_dedup_plugin.cli.parser import PORT, Program
from crm_dedup_plugin.errors import UserError


def add(program: Program) -> None:
    """Add review."""
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


def _run_review(options) -> None:
    import webbrowser

    from crm_dedup_plugin.review import start

    run, pairs = start.find(options.run_or_pairs, RUNS)
    if options.decisions and not pairs:
        raise UserError(f"--decisions is for a file of pairs: {run} has its own decisions")
    start.review(run, pairs, options.decisions, options.port, webbrowser.open if options.open else None)

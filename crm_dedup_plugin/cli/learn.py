"""The command that learns from the answers of a reviewer."""

from crm_dedup_plugin.cli.match import place
from crm_dedup_plugin.cli.parser import ONWARD, Program
from crm_dedup_plugin.cli.use import quiet
from crm_dedup_plugin.errors import UserError


def add(program: Program) -> None:
    """Add learn."""
    explanation = (
        "Learn from 20 or more answers about a run: a calibration, and what each piece of evidence is worth. With a GPU and 50 answers the model "
        "is tuned too. Changes that do not help are discarded."
    )
    command = program.add("use", "learn", explanation, "learn contacts", _run_learn, ONWARD)
    command.add_argument("name", metavar="RUN", help="The name of a run of match, a folder in runs/, or the path of a folder.")
    command.option("--no-tuning", "Do not tune the model, which is left out without a GPU anyway.", False)
    command.option("--tune", "Tune the model without a GPU, or on fewer than 50 answers, too.", False)


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

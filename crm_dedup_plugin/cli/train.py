"""Commands that make a model."""

from crm_dedup_plugin.cli.parser import NOTHING_WRITTEN, Program


def add(program: Program) -> None:
    """Add fetch, train and average."""
    again = "run the same command again to start over; what is there stays whole"
    explanation = "Download SmolLM2-135M-Instruct, the model that trains on any machine."
    program.add("train", "fetch", explanation, "fetch", _run_fetch, again)

    explanation = "Train and merge a model. Further options, as in --micro_batch_size=2, replace keys of its Axolotl configuration."
    again = "run the same command again to continue from the last checkpoint"
    command = program.add("train", "train", explanation, "train smollm2-135m --num_epochs=2", _run_train, again, passes=True)
    command.add_argument("model", metavar="MODEL", help="The name of a file in axolotl_configs/, or the path of another one.")
    command.option("--name", "The name of the merged model and of its results.", None, "that of the configuration")
    command.option("--force", "Train again from the start.", False)

    explanation = "Average trained models of the same base, weight by weight."
    command = program.add("train", "average", explanation, "average mean smollm2-135m smollm2-135m-seed-1", _run_average, NOTHING_WRITTEN)
    command.add_argument("name", metavar="NAME", help="The name of the average: outputs/NAME-merged is written.")
    command.add_argument("models", nargs="+", metavar="MODEL", help="The names of trained models: outputs/MODEL-merged is read.")


def _run_fetch(options) -> None:
    from crm_dedup_plugin import process
    from crm_dedup_plugin.training.base_model import TARGET, fetch

    with process.silent():
        source = fetch()
    print(f"{TARGET}: {source['model']} from {source['from']}")


def _run_train(options) -> None:
    from crm_dedup_plugin.training.train import train

    print(f"merged model: {train(options.model, options.extra, options.force, options.name)}")


def _run_average(options) -> None:
    from crm_dedup_plugin.training.average import average

    print(f"averaged model: {average(options.name, options.models)}")

"""The command that publishes a model."""

from crm_dedup_plugin.cli.parser import ONWARD, Program, name


def add(program: Program) -> None:
    """Add push."""
    explanation = "Publish a merged model with its card and results on the Hugging Face Hub."
    command = program.add("publish", "push", explanation, "push smollm2-135m --dry-run", _run_push, ONWARD)
    name(command)
    command.option("--repo", "The repository on the Hub.", None, "yours, named after the model", metavar="USER/NAME")
    command.option("--dataset", "Publish the generated pairs too.", False)
    command.option("--public", "Let everybody see the repository.", False)
    explanation = "Publish a model that learned from records of real people: repeat the sentence that the refusal shows."
    command.option("--publish-private", explanation, None, "such a model is refused", metavar="SENTENCE")
    command.option("--dry-run", "Write the folder and print the plan, but upload nothing.", False)


def _run_push(options) -> None:
    from crm_dedup_plugin.hub.push import push

    push(options.name, options.repo, options.dataset, options.dry_run, options.public, options.publish_private)

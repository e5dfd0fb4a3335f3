"""The command ``crm-dedup``: one subcommand a stage. Heavy packages are imported only where a stage needs them."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path

from crm_dedup_plugin import __version__
from crm_dedup_plugin.errors import UserError


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; return 0, or 1 after printing what went wrong and how to mend it."""
    options, rest = _parser().parse_known_args(argv)
    if rest and options.command not in ("train", "kpi"):
        _parser().error(f"unknown arguments: {' '.join(rest)}")
    options.extra = [argument for argument in rest if argument != "--"]
    try:
        options.run(options)
    except (UserError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"interrupted: {interrupt or 'run the same command to go on'}", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crm-dedup", description="Teach small language models to deduplicate CRM records.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    prepare = commands.add_parser("prepare", help="check labelled pairs and split them into train, val and test")
    prepare.add_argument("--data", type=Path, default=Path("data/all.jsonl"), help="labelled pairs, one JSON object a line (%(default)s)")
    prepare.add_argument("--out", type=Path, default=Path("data/splits"), help="folder of the splits (%(default)s)")
    prepare.add_argument("--fractions", type=float, nargs=3, default=(0.8, 0.1, 0.1), metavar=("TRAIN", "VAL", "TEST"))
    prepare.add_argument("--seed", type=int, default=7)
    prepare.add_argument("--demo", type=int, metavar="PAIRS", help="generate this many demo pairs instead of reading --data")
    prepare.add_argument("--also", type=Path, nargs="+", default=(), metavar="FILE", help="more labelled pairs, for training only")
    kinds = ("shuffled", "injected", "renamed", "oversampled", "plain", "brief")
    prepare.add_argument("--augment", nargs="+", default=(), choices=kinds, help="training pairs")
    prepare.set_defaults(run=_prepare)

    synth = commands.add_parser("synth", help="generate labelled pairs of CRM records from an invented world")
    synth.add_argument("--n", type=int, default=50_000, metavar="PAIRS", help="how many (%(default)s)")
    synth.add_argument("--seed", type=int, default=7)
    synth.add_argument("--out", type=Path, default=Path("data/all.jsonl"), help="file to write (%(default)s)")
    synth.add_argument("--compact", action="store_true", help="few fields, few countries: what a small model can learn in minutes")
    synth.add_argument("--unseen", action="store_true", help="countries, scripts, field names and damage that training never has")
    synth.add_argument("--lists", action="store_true", help="lists that are no CRM: registers, directories, names alone")
    synth.add_argument("--force", action="store_true", help="replace the file")
    synth.set_defaults(run=_synth)

    fetch = commands.add_parser("fetch", help="get SmolLM2-135M-Instruct, the model that runs anywhere")
    fetch.set_defaults(run=_fetch)

    train = commands.add_parser("train", help="train and merge a model; further --key=value go to Axolotl")
    train.add_argument("model", help="name of a file in axolotl_configs/")
    train.add_argument("--name", help="of the results and of the merged model (that of the file)")
    train.add_argument("--force", action="store_true", help="train again from the start")
    train.set_defaults(run=_train)

    average = commands.add_parser("average", help="average trained models of one base, weight by weight, into another")
    average.add_argument("name", help="name of the mean: outputs/NAME-merged, outputs/results/NAME/")
    average.add_argument("models", nargs="+", metavar="MODEL", help="names of trained models: outputs/MODEL-merged")
    average.set_defaults(run=_average)

    kpi = commands.add_parser("kpi", help="measure a model on the test split; further options go to lm_eval")
    kpi.add_argument("name", help="name of the results: outputs/results/NAME/")
    kpi.add_argument("--model", help="folder or Hub id of the model (outputs/NAME-merged)")
    kpi.add_argument("--force", action="store_true", help="measure again even if nothing changed")
    kpi.add_argument("--tasks", nargs="+", metavar="TASK", help="tasks in lm_eval_tasks/ besides crm_dedup (all whose data are there)")
    kpi.add_argument("--no-probabilities", action="store_true", help="leave out calibration and the threshold for automatic merges")
    kpi.add_argument("--limit", type=int, metavar="PAIRS", help="the first pairs of each task only")
    kpi.add_argument("--per-file", type=int, metavar="PAIRS", help="this many pairs of each public benchmark only")
    copies = "copies of the model that share the pairs, one a GPU (%(default)s); needs Ray"
    kpi.add_argument("--data-parallel-size", type=int, default=1, metavar="N", help=copies)
    kpi.set_defaults(run=_kpi)

    _bench_options(commands.add_parser("bench", help="measure latency and throughput on vLLM, beside Transformers"))

    compare = commands.add_parser("compare", help="put all results on one page")
    compare.add_argument("names", nargs="*", metavar="NAME", help="folders in results/ (all)")
    compare.set_defaults(run=_compare)

    push = commands.add_parser("push", help="publish a merged model with its card and results on the Hugging Face Hub")
    push.add_argument("name", help="name of the results: outputs/results/NAME/")
    push.add_argument("--repo", metavar="USER/NAME", help="repository on the Hub (yours, named after the model)")
    push.add_argument("--dataset", action="store_true", help="publish the generated pairs too")
    push.add_argument("--public", action="store_true", help="let everybody see it (private)")
    push.add_argument("--dry-run", action="store_true", help="write the folder and print the plan; upload nothing")
    push.set_defaults(run=_push)

    table = commands.add_parser("table", help="print the results of some models beside each other")
    table.add_argument("names", nargs="+")
    table.set_defaults(run=_table)

    prompt = commands.add_parser("prompt", help="print the prompt of the first pair of a split")
    prompt.add_argument("file", type=Path)
    prompt.set_defaults(run=_prompt)

    schema = commands.add_parser("schema", help="print the JSON schema of an answer")
    schema.set_defaults(run=_schema)
    return parser


def _bench_options(bench: argparse.ArgumentParser) -> None:
    bench.add_argument("name", help="name of the results: outputs/results/NAME/")
    bench.add_argument("--model", help="folder or Hub id of the model (outputs/NAME-merged)")
    bench.add_argument("--data", type=Path, default=Path("data/splits/test.jsonl"), help="labelled pairs (%(default)s)")
    bench.add_argument("--quick", action="store_true", help="a few pairs: minutes on two cores")
    bench.add_argument("--random-weights", action="store_true", help="the speed of a model's shape alone: needs its configuration and tokenizer")
    parts = ("offline", "online", "transformers")
    bench.add_argument("--parts", nargs="+", choices=parts, default=parts)
    bench.add_argument("--arms", nargs="+", metavar="ARM", help="of the offline part, beside full answers: full_without_schema decision ... (all)")
    bench.add_argument("--pairs", type=int, help="the first pairs of the data only")
    bench.add_argument("--repeats", type=int, default=3, help="of every run (%(default)s)")
    bench.add_argument("--batches", type=int, nargs="+", metavar="N", help="of Transformers, the first that fits (256 128 64 32 16 8 4)")
    bench.add_argument("--concurrency", type=int, nargs="+", metavar="N", help="requests at a time (1 4 16 64 256)")
    bench.add_argument("--base-url", metavar="URL", help="an OpenAI server that runs already")
    bench.add_argument("--port", type=int, default=0, help="of the server that is started (any free one)")
    bench.add_argument("--max-tokens", type=int, help="the longest answer (what the schema allows)")
    bench.add_argument("--deadline-ms", type=int, default=5000, help="answers within it count as goodput (%(default)s)")
    bench.add_argument("--price-per-hour", type=float, metavar="PRICE", help="of the machine: gives the cost of a million pairs")
    bench.add_argument("--quantization", help="handed to vLLM, as in: --quantization fp8")
    bench.add_argument("--engine", nargs="+", default=(), metavar="KEY=VALUE", help="handed to vLLM's engine, as in: --engine max_num_seqs=512")
    engines = "engines side by side for offline work, spread over the GPUs (%(default)s); the server has one a GPU at most"
    bench.add_argument("--engines", type=int, default=1, metavar="N", help=engines)
    bench.add_argument("--timeout", type=float, default=4 * 3600, metavar="SECONDS", help="for each part (%(default)s)")
    bench.add_argument("--force", action="store_true", help="measure again what is there")
    bench.set_defaults(run=_bench)


def _prepare(options) -> None:
    from crm_dedup_plugin.dataset.prepare import prepare

    summary = prepare(options.data, options.out, options.fractions, options.seed, options.demo, tuple(options.augment), options.also)
    for name, part in summary["splits"].items():
        decisions = ", ".join(f"{label} {count}" for label, count in part["decisions"].items())
        print(f"{options.out / name}.jsonl: {part['pairs']} pairs ({decisions})")


def _synth(options) -> None:
    from crm_dedup_plugin.dataset.synth.write import write
    from crm_dedup_plugin.reporting import dataset_card

    kinds = [name for name in ("compact", "unseen", "lists") if getattr(options, name)]
    if len(kinds) > 1:
        raise UserError(f"--{' and --'.join(kinds)} cannot be combined: leave one out")
    card = write(options.n, options.seed, options.out, "".join(kinds), options.force)
    print(f"{options.out}: {card['pairs']} pairs; card: {dataset_card.write(card, options.out)}")


def _fetch(options) -> None:
    from crm_dedup_plugin.training.base_model import TARGET, fetch

    source = fetch()
    print(f"{TARGET}: {source['model']} from {source['from']}")


def _train(options) -> None:
    from crm_dedup_plugin.training.base_model import TARGET, fetch
    from crm_dedup_plugin.training.train import load_config, train

    if load_config(options.model)[1]["base_model"] == str(TARGET):
        fetch()
    print(f"merged model: {train(options.model, options.extra, options.force, options.name)}")


def _average(options) -> None:
    from crm_dedup_plugin.training.average import average

    print(f"averaged model: {average(options.name, options.models)}")


def _kpi(options) -> None:
    from crm_dedup_plugin.evaluation.run import evaluate
    from crm_dedup_plugin.reporting import quality_tables
    from crm_dedup_plugin.storage import RESULTS

    selection = {"tasks": options.tasks, "probabilities": not options.no_probabilities, "limit": options.limit, "per_file": options.per_file}
    result = evaluate(options.name, options.model, options.extra, options.force, copies=options.data_parallel_size, **selection)
    folder = RESULTS / options.name
    pictures = quality_tables.pictures(result, folder, options.name)
    print(quality_tables.table({options.name: result}), quality_tables.slices(result), quality_tables.tasks(result), sep="\n\n")
    print(f"\nwritten: {', '.join(map(str, (folder / 'metrics.json', *pictures)))}")


def _bench(options) -> None:
    from crm_dedup_plugin.reporting import speed_tables

    speed_tables.run(options)


def _compare(options) -> None:
    from crm_dedup_plugin.reporting.page import compare

    print("written:", ", ".join(map(str, compare(options.names))))


def _push(options) -> None:
    from crm_dedup_plugin.hub.push import push

    push(options.name, options.repo, options.dataset, options.dry_run, options.public)


def _table(options) -> None:
    from crm_dedup_plugin.reporting import quality_tables

    print(quality_tables.table({name: quality_tables.load(name) for name in options.names}))


def _prompt(options) -> None:
    from crm_dedup_plugin.dataset.prepare import validate
    from crm_dedup_plugin.pair.prompt import build

    with options.file.open("rb") as lines:
        rows, _ = validate(itertools.islice(lines, 1), str(options.file))
    print(build(**rows[0]["input"]))


def _schema(options) -> None:
    from crm_dedup_plugin.pair.answer import SCHEMA

    print(json.dumps(SCHEMA, indent=2))


if __name__ == "__main__":
    sys.exit(main())

"""Commands that measure models and put results side by side."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from crm_dedup_plugin.cli.parser import NOTHING_WRITTEN, ONWARD, PORT, Parser, Program, above_zero, name, one_of


def add(program: Program) -> None:
    """Add kpi, bench, table and compare."""
    explanation = "Measure the quality of a model on the test split. Further options are passed on to lm_eval."
    command = program.add("measure", "kpi", explanation, "kpi smollm2-135m --limit 100", _run_kpi, ONWARD, passes=True)
    name(command)
    command.option("--model", "The folder of the model, or its id on the Hub.", None, "outputs/NAME-merged")
    command.option("--force", "Measure again even if nothing has changed.", False)
    explanation = "The tasks in lm_eval_tasks/ to measure besides crm_dedup."
    command.values("--tasks", explanation, "all whose data are there", one_of("evaluation.documents:TASK_NAMES"), "TASK")
    command.option("--no-probabilities", "Leave out calibration and the threshold for automatic merges.", False)
    command.option("--limit", "Measure only the first pairs of each task.", None, "all pairs", type=above_zero(int), metavar="PAIRS")
    explanation = "Measure this many pairs of each public benchmark only."
    command.option("--per-file", explanation, None, "all pairs", type=above_zero(int), metavar="PAIRS")
    explanation = "Share the pairs among this many copies of the model, one a GPU; more than one needs Ray."
    command.option("--data-parallel-size", explanation, None, "1, or as many as the cluster has GPUs", type=above_zero(int), metavar="N")
    command.option("--cluster", "A Ray cluster whose GPUs share the pairs, as in HOST:6379.", None, "this machine alone", metavar="ADDRESS")

    explanation = "Measure latency and throughput on vLLM, and on Transformers for comparison."
    _bench_options(program.add("measure", "bench", explanation, "bench smollm2-135m --quick", _run_bench, ONWARD))

    command = program.add(
        "measure", "table", "Print the results of several models side by side.", "table smollm2-135m qwen3-4b", _run_table, NOTHING_WRITTEN
    )
    command.add_argument("names", nargs="+", metavar="NAME", help="The names of the models' results.")
    command = program.add("measure", "compare", "Put all results on one page.", "compare smollm2-135m qwen3-4b", _run_compare, NOTHING_WRITTEN)
    command.add_argument("names", nargs="*", metavar="NAME", help="The names of the models' results. Default: all.")


def _bench_options(command: Parser) -> None:
    count = {"type": above_zero(int), "metavar": "N"}
    name(command)
    command.option("--model", "The folder of the model, or its id on the Hub.", None, "outputs/NAME-merged")
    command.option("--data", "The labelled pairs to ask about.", Path("data/splits/test.jsonl"))
    command.option("--quick", "Ask about a few pairs only, which takes minutes on two cores.", False)
    command.option("--random-weights", "Measure the speed of a model's shape; its configuration and tokenizer are enough.", False)
    command.values("--parts", "The parts to measure (offline, online, transformers).", "all", one_of("benchmark.plan:PARTS"), "PART")
    command.values("--arms", "The arms of the offline part besides full answers, as in: decision.", "all", one_of("benchmark.plan:ARMS"), "ARM")
    command.option("--pairs", "Use only the first pairs of the data.", None, "as many as each part needs", **count)
    command.option("--repeats", "How often each run is repeated.", 3, **count)
    numbers = above_zero(int)
    command.values("--batches", "Batch sizes for Transformers; the first that fits is used.", "256 128 64 32 16 8 4", numbers, "N")
    command.values("--concurrency", "How many requests are sent at a time.", "1 4 16 64 256", numbers, "N")
    command.option("--base-url", "The address of an OpenAI-compatible server that already runs.", None, "start one", metavar="URL")
    command.option("--port", "The port of the server that is started.", 0, "any free one", type=PORT, metavar="PORT")
    command.option("--max-tokens", "The longest answer, in tokens.", None, "what the schema allows", **count)
    command.option("--deadline-ms", "Answers that take at most this long count as goodput.", 5000, **count)
    price = {"type": above_zero(float), "metavar": "PRICE"}
    command.option("--price-per-hour", "The price of the machine, from which the cost of a million pairs follows.", None, "none", **price)
    command.option("--quantization", "The quantization that vLLM uses, as in: fp8.", None, "that of the model")
    command.values("--engine", "Arguments for vLLM's engine, as in: max_num_seqs=512.", "none", key_value, "KEY=VALUE")
    explanation = "How many engines share the offline work, spread over the GPUs; the server has at most one a GPU."
    command.option("--engines", explanation, 1, **count)
    command.option("--timeout", "The longest time for each part, in seconds.", 14_400, type=above_zero(float), metavar="SECONDS")
    command.option("--force", "Measure again what has been measured.", False)


def key_value(text: str) -> str:
    if not text.partition("=")[1] or not text.partition("=")[0].isidentifier():
        raise argparse.ArgumentTypeError(f"{text} is not understood: write KEY=VALUE, as in max_num_seqs=512")
    return text


def _copies(options) -> int:
    """Return how many copies of the model share the pairs of an evaluation; lm_eval finds the cluster that the options name."""
    if not options.cluster:
        return options.data_parallel_size or 1
    from crm_dedup_plugin.evaluation.evaluate import check_copies
    from crm_dedup_plugin.inference import nodes

    there = nodes.gpus(options.cluster)
    check_copies(copies := options.data_parallel_size or there, there)
    os.environ["RAY_ADDRESS"] = options.cluster
    return copies


def _run_kpi(options) -> None:
    from crm_dedup_plugin.evaluation.evaluate import evaluate
    from crm_dedup_plugin.reporting import quality_figures, tables
    from crm_dedup_plugin.storage import RESULTS

    selection = {"tasks": options.tasks, "probabilities": not options.no_probabilities, "limit": options.limit, "per_file": options.per_file}
    result = evaluate(options.name, options.model, options.extra, options.force, copies=_copies(options), **selection)
    folder = RESULTS / options.name
    pictures = quality_figures.draw(result, folder, options.name)
    print(tables.quality({options.name: result}), tables.slices(result), tables.tasks(result), sep="\n\n")
    print(f"\nwritten: {', '.join(map(str, (folder / 'metrics.json', *pictures)))}")


def _run_bench(options) -> None:
    from crm_dedup_plugin.benchmark import plan, run
    from crm_dedup_plugin.reporting import speed_figures, speed_tables
    from crm_dedup_plugin.storage import RESULTS

    options.parts, options.engine = tuple(options.parts or plan.PARTS), tuple(options.engine or ())
    work, words = plan.from_options(options), "crm-dedup " + shlex.join(sys.argv[1:])
    settings = {"base_url": options.base_url, "port": options.port, "price": options.price_per_hour, "quick": options.quick}
    result = run.bench(options.name, work, options.parts, force=options.force, timeout=options.timeout, command=words, **settings)
    folder = RESULTS / options.name
    speed_figures.draw(result, folder, options.name)
    print("", speed_tables.benchmark(result), f"written: {folder / 'benchmark.json'}", sep="\n\n")


def _run_table(options) -> None:
    from crm_dedup_plugin.reporting import tables
    from crm_dedup_plugin.reporting.results import load

    print(tables.quality({name: load(name) for name in options.names}))


def _run_compare(options) -> None:
    from crm_dedup_plugin.reporting.page import compare

    print("written:", ", ".join(map(str, compare(options.names))))

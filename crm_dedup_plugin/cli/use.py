"""Commands that use a model: decide and serve."""

import contextlib
import gc
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from crm_dedup_plugin import process
from crm_dedup_plugin.cli.measure import key_value
from crm_dedup_plugin.cli.parser import PORT, Parser, Program, above_zero, one_of
from crm_dedup_plugin.errors import UserError

if TYPE_CHECKING:
    from crm_dedup_plugin.matching.matcher import Matcher

STDIN = Path("-")
OPTIONAL = ("scipy", "sklearn", "torchao")  # Transformers imports these where they are installed


def add(program: Program) -> None:
    """Add decide and serve."""
    again = "run the same command again to continue, if you named a file with --out; otherwise nothing was written"
    explanation = "Decide whether two records are the same entity, or about each pair of a file."
    command = program.add("use", "decide", explanation, "decide a.json b.json", _run_decide, again)
    said = "Two JSON files with a record each, or one file of pairs, one JSON object a line. Default: pairs from standard input."
    command.add_argument("files", nargs="*", type=Path, metavar="FILE", help=said)
    asking(command)
    command.option("--out", "Write the answers to this file, and continue there after an interruption.", None, "standard output", type=Path)
    explanation = "Which decisions get a reasoning: none, those that a person will review (POSSIBLE), or all."
    command.option("--explain", explanation, None, "all for two records, review for a file", type=one_of("matching.matcher:EXPLAIN"), metavar="WHICH")

    explanation = "Serve a model to programs through the OpenAI API, until Ctrl-C."
    command = program.add("use", "serve", explanation, "serve --port 8000", _run_serve, "the server has stopped")
    _model(command)
    command.option("--port", "The port, on this machine only; 0 takes any free one.", 8000, type=PORT, metavar="PORT")


def asking(command: Parser, model: str | None = "embedded", said: str = "", cluster: str = "none") -> None:
    """Add the options of a command that asks a model itself: by default `model`, or what is `said` in words, and `cluster` in words."""
    _model(command, model, said)
    explanation = "What runs the model (auto, transformers, vllm): Transformers is faster at decisions, vLLM at many whole answers; auto uses both."
    command.option("--backend", explanation, "auto", type=one_of("matching.matcher:BACKENDS"), metavar="NAME")
    command.option("--engines", "How many copies of the model in vLLM share the work, spread over the GPUs.", 1, type=above_zero(int), metavar="N")
    explanation = "A Ray cluster that shares the pairs: ray://HOST:10001, or `local` for this machine; each GPU gets one or more copies of the model."
    command.option("--cluster", explanation, None, cluster, metavar="ADDRESS")


def _model(command: Parser, model: str | None = "embedded", said: str = "") -> None:
    explanation = "The model: `embedded`, the NAME of one that was trained here, a folder, or an id on the Hugging Face Hub."
    command.option("--model", explanation, model, said)
    command.values("--engine", "Arguments for vLLM's engine, as in: max_num_seqs=512.", "none", key_value, "KEY=VALUE")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what libraries say off the screen unless --verbose is given, and in any case off standard output, where the answers go."""
    os.environ |= {"VLLM_LOGGING_STREAM": "ext://sys.stderr", "VLLM_CONFIGURE_LOGGING": "1"}
    if os.environ.get("CRM_DEDUP_VERBOSE"):
        yield
        return
    os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    with process.silent():
        yield


def opened(options, model: str, all_gpus: bool = False) -> "Matcher":
    """Return the matcher that the options of `asking` describe; `all_gpus` of this machine share the pairs if these are many. Close it."""
    from crm_dedup_plugin.inference.engine import arguments
    from crm_dedup_plugin.matching.matcher import Matcher

    settings = arguments(options.engine or ())
    if not options.cluster and not all_gpus:
        return Matcher(model, options.backend, options.engines, settings)
    from crm_dedup_plugin.matching.cluster import FEW, LOCAL, LOCAL_FEW, ClusterMatcher

    few = FEW if options.cluster else LOCAL_FEW
    return ClusterMatcher(options.cluster or LOCAL, model, options.backend, options.engines, settings, few)


def _hurry() -> None:
    """Spare a single question what takes seconds and serves nothing here: optional packages of Transformers, and the garbage collector."""
    gc.disable()
    sys.modules |= dict.fromkeys(OPTIONAL)  # None: importing one fails, as if it were not installed


@quiet()
def _run_decide(options) -> None:
    from crm_dedup_plugin.matching import pair_file
    from crm_dedup_plugin.matching.matcher import ALL, REVIEW, to_line
    from crm_dedup_plugin.pair.files import read_record

    if len(options.files) > 2:
        raise UserError(f"{len(options.files)} files: name two JSON files with a record each, or one file of pairs")
    records = [read_record(path) for path in options.files] if len(options.files) == 2 else []
    path = options.files[0] if options.files else STDIN
    if records:
        if options.out:
            raise UserError("--out is for a file of pairs: leave it out, or write `> FILE`")
        if options.alone and options.model == "embedded" and options.backend != "vllm":
            _hurry()
        with opened(options, options.model) as matcher:
            print(to_line(matcher.decide(*records, options.explain or ALL)))
        return
    if path == STDIN and sys.stdin.isatty():
        raise UserError("there is nothing to decide about: name two JSON files, or a file of pairs, or send pairs through a pipe")
    with _source(path, bool(options.out)) as source, opened(options, options.model) as matcher:
        origin = "standard input" if path == STDIN else str(path)
        if options.out:
            pair_file.answer_file(matcher, source, origin, options.explain or REVIEW, options.out)
        else:
            pair_file.answer_stream(matcher, source, origin, options.explain or REVIEW)


def _source(path: Path, twice: bool):
    """Return the bytes of a file of pairs; of standard input a copy that can be read `twice`."""
    if path != STDIN:
        try:
            return path.open("rb")
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): name two JSON files, or one file of pairs") from None
    return io.BytesIO(sys.stdin.buffer.read()) if twice else sys.stdin.buffer


def _run_serve(options) -> None:
    from crm_dedup_plugin.inference import server
    from crm_dedup_plugin.inference.engine import arguments

    server.run(options.model, arguments(options.engine or ()), options.port)

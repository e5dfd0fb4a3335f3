"""The command ``crm-dedup``: one subcommand a stage, in one module a group. Heavy packages are imported only where a stage needs them."""

import argparse
import os
import sys
import traceback

from crm_dedup_plugin import __version__, process
from crm_dedup_plugin.cli import data, match, measure, publish, train, use
from crm_dedup_plugin.cli.parser import NOTHING_WRITTEN, Program
from crm_dedup_plugin.errors import UserError


def main(argv: list[str] | None = None, alone: bool = False) -> int:
    """Run one subcommand; return 0, or another code after printing what went wrong and what to do about it.

    `alone` says that this process has nothing else to do, before or after.
    """
    options = argparse.Namespace(again=NOTHING_WRITTEN)
    try:
        _, rest = program().parser.parse_known_args(argv, options)
        if unknown := [word for word in rest if not (options.passes and word.startswith("--"))]:
            options.parser.error(f"unknown arguments: {' '.join(unknown)}")
        options.extra, options.alone = rest, alone
        if options.verbose:
            os.environ["CRM_DEDUP_VERBOSE"] = "1"
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has read enough, as in `| head`
        return 141
    except (UserError, ValueError, OSError, ModuleNotFoundError) as error:
        if os.environ.get("CRM_DEDUP_VERBOSE"):
            traceback.print_exc()
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("crm_dedup_plugin"):
            raise
        print(f"error: {_explained(error)}", file=sys.stderr)
        return getattr(error, "code", 1)
    except KeyboardInterrupt:
        print(f"interrupted: {options.again}", file=sys.stderr)
        return 130
    return 0


def run() -> None:
    """Be the program ``crm-dedup``."""
    # Threads that wait actively make a model ten times slower as soon as anything else runs. PyTorch reads this when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    process.rarely_look_for_garbage()
    code = main(alone=True)
    if sys.argv[1:2] == ["decide"] and "vllm" not in sys.modules:  # nothing is left to do, and taking PyTorch down takes two seconds
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _explained(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is not installed: run `make setup` in the repository, then use its .venv/bin/crm-dedup"
    said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    return f"{said or type(error).__name__} (--verbose shows where)"


def program() -> Program:
    """Return the parser with all commands, in the order of a pair's life."""
    made = Program("crm-dedup", "Teach small language models to deduplicate CRM records.", __version__)
    for stage in (data, train, measure, use, match, publish):
        stage.add(made)
    return made

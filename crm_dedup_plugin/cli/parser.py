"""How the command line reads its words: commands in groups, options that may take several values, and types that refuse nonsense."""

import argparse
import contextlib
import pkgutil
from collections.abc import Callable, Collection
from typing import Any

NOTHING_WRITTEN = "run the same command again to start over; nothing was written"
ONWARD = "run the same command again to continue"


class Parser(argparse.ArgumentParser):
    """A parser that never abbreviates an option, and finds a command's own words wherever they stand among the options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter, **settings})
        self.several: dict[str, Callable[[str], Any]] = {}
        self.sizes: dict[str, int] = {}

    def option(self, flag: str, explanation: str, default: Any = None, said: str = "", **settings: Any) -> None:
        """Add an option whose help is a sentence and its default: `default`, or `said` in words."""
        if default is False:
            settings |= {"action": "store_true"}
        elif "type" not in settings and default is not None:
            settings |= {"type": type(default)}
        words = said or ("off" if default is False else str(default))
        self.add_argument(flag, default=default, help=f"{explanation} Default: {words}.".replace("%", "%%"), **settings)
        self.sizes[flag] = 0 if default is False else settings.get("nargs", 1)

    def values(self, flag: str, explanation: str, said: str, value: Callable[[str], Any], metavar: str) -> None:
        """Add an option of several values: as words in a row, between commas, or each with the option again."""

        def read(text: str) -> list:
            return _values(text, value)

        read.__name__ = metavar
        self.option(flag, explanation, said=said, action="extend", type=read, metavar=f"{metavar} ...")
        self.several[flag] = value

    def parse_known_args(self, args=None, namespace=None):
        """Parse as argparse does, once the words are in an order in which it misunderstands none."""
        return super().parse_known_args(self._arranged(list(args)) if self.sizes and args is not None else args, namespace)

    def _arranged(self, words: list[str]) -> list[str]:
        """Return the options, each value with its own, and then the other words.

        Before NAME, the values of an option of several end at the first word that cannot be one: in ``--parts offline NAME``, at NAME.
        """
        options, rest = [], []
        while words:
            word = words.pop(0)
            if word == "--":
                continue
            if not word.startswith("-"):
                rest.append(word)
                continue
            bare = bool(words) and not words[0].startswith("-")
            if word in self.several and bare:
                options.append(f"{word}={words.pop(0)}")
                while words and not words[0].startswith("-") and (rest or _can_be(words[0], self.several[word])):
                    options.append(f"{word}={words.pop(0)}")
            elif word in self.sizes or "=" in word or not (bare and rest):
                size = self.sizes.get(word, 0)
                options += [word, *words[:size]]
                del words[:size]
            else:  # an option for Axolotl or lm_eval after NAME, and its value
                options.append(f"{word}={words.pop(0)}")
        return options + rest


def _values(text: str, value: Callable[[str], Any]) -> list:
    """Return what one word says: a value, or several between commas."""
    with contextlib.suppress(ValueError, argparse.ArgumentTypeError):
        return [value(text)]
    return [value(part) for part in text.split(",")]


def _can_be(word: str, value: Callable[[str], Any]) -> bool:
    try:
        return bool(_values(word, value))
    except (ValueError, argparse.ArgumentTypeError):
        return False


def number(kind: Callable[[str], Any], fits: Callable[[Any], bool], said: str) -> Callable[[str], Any]:
    """Return a type of numbers, int or float, that `fits`; `said` ends the sentence about one that does not."""

    def read(text: str) -> Any:
        with contextlib.suppress(ValueError):
            if fits(found := kind(text)):
                return found
        raise argparse.ArgumentTypeError(f"{text} is {said}")

    return read


def above_zero(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a type of numbers, int or float, above 0."""
    return number(kind, lambda found: found > 0, f"not a {'whole number' if kind is int else 'number'} above 0")


PORT = number(int, lambda found: 0 <= found < 65_536, "no port: give a whole number from 0 to 65535")


def one_of(known: Collection[str] | str) -> Callable[[str], str]:
    """Return a type of words: those `known`, or those at a place in this package, "module:NAME", which is imported only when there is a word."""

    def read(text: str) -> str:
        words = pkgutil.resolve_name(f"crm_dedup_plugin.{known}") if isinstance(known, str) else known
        if text not in words:
            raise argparse.ArgumentTypeError(f"{text} is unknown: choose among {', '.join(words)}")
        return text

    return read


class Program:
    """The command ``crm-dedup`` while it is put together: ``add`` makes a command of its options."""

    def __init__(self, name: str, description: str, version: str) -> None:
        usage = f"{name} [--help] [--version] COMMAND ..."
        self.parser = Parser(prog=name, usage=usage, description=description)
        self.parser.add_argument("--version", action="version", version=version, help="Print the version and exit.")
        self.commands = self.parser.add_subparsers(dest="command", required=True, metavar="COMMAND", prog=name, help=argparse.SUPPRESS)
        self.groups: dict[str, list[str]] = {}

    def add(self, stage: str, name: str, explanation: str, example: str, run: Callable, again: str, passes: bool = False) -> Parser:
        """Add a command; `again` says what a second run does after Ctrl-C, `passes` that unknown options go on to another program."""
        end = f"example:\n  {self.parser.prog} {example}"
        parser = self.commands.add_parser(name, description=explanation, epilog=end)
        parser.option("--verbose", "Show tracebacks, and all that the programs behind this command print. CRM_DEDUP_VERBOSE=1 does too.", False)
        parser.set_defaults(run=run, parser=parser, again=again, passes=passes)
        self.groups.setdefault(stage, []).append(f"  {name:10}{explanation.partition('.')[0]}.")
        listed = (f"{stage}:\n" + "\n".join(lines) for stage, lines in self.groups.items())
        self.parser.epilog = "\n\n".join([*listed, f"`{self.parser.prog} COMMAND --help` explains the options of a command."])
        return parser


def name(parser: Parser) -> None:
    """Add the name that a model's results have."""
    parser.add_argument("name", metavar="NAME", help="The name of the model's results, as in outputs/results/NAME/.")

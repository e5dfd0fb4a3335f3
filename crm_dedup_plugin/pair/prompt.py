"""The prompt, word for word the same in training, evaluation and serving.

One user turn: first the fixed rubric (rubric.txt), so that a prefix cache keeps it, then both records as JSON. The records are sorted:
whichever comes first in a call, the prompt is the same, and so is the decision.
Print one: ``python -m crm_dedup_plugin prompt data/splits/test.jsonl``.
"""

from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin.pair.record import to_json

RUBRIC = Path(__file__).with_name("rubric.txt").read_text(encoding="utf-8").rstrip("\n")
SHARED_PREFIX = f"{RUBRIC}\n\nRecord A:"  # what all prompts begin with; a space follows


class Prompt(NamedTuple):
    """The user turn in four pieces, and the two records as it names them: A sorts before B."""

    pieces: tuple[str, str, str, str]  # what all prompts begin with, record A, what follows it in all prompts, record B
    record_a: dict
    record_b: dict

    @property
    def text(self) -> str:
        """The text of the user turn."""
        return "".join(self.pieces)


def ask(record_a: dict, record_b: dict) -> Prompt:
    """Return the prompt for two flat records, raw or normalised, in either order."""
    (first, a), (second, b) = sorted(((to_json(record), record) for record in (record_a, record_b)), key=lambda side: side[0])
    return Prompt((SHARED_PREFIX, f" {first}\n", "Record B:", f" {second}"), a, b)


def build(record_a: dict, record_b: dict) -> str:
    """Return the text of the user turn for two flat records, raw or normalised, in either order."""
    return ask(record_a, record_b).text


def messages(record_a: dict, record_b: dict) -> list[dict[str, str]]:
    """Return the conversation up to the answer, for a chat template or a chat completions server."""
    return [{"role": "user", "content": build(record_a, record_b)}]

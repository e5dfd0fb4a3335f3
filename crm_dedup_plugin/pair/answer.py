"""The answer: its labels, its JSON schema (schema.json), how it is written and how it is read.

Every other module takes these from here. Print the schema: ``python -m crm_dedup_plugin schema``.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

SCHEMA = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
LABELS: tuple[str, ...] = tuple(SCHEMA["properties"]["decision"]["enum"])
MAX_REASONING_CHARS: int = SCHEMA["properties"]["reasoning"]["maxLength"]

# What the decoder gets. `propertyNames` says "no other keys" once more: xgrammar does not take it, so that
# vLLM's automatic choice falls on llguidance, which honours `whitespace_flexible`. With xgrammar's defaults a
# weak model may emit line breaks up to the token limit.
GRAMMAR = {**SCHEMA, "propertyNames": {"enum": list(SCHEMA["properties"])}, "x-guidance": {"whitespace_flexible": False, "lenient": True}}

# The same for a server that speaks OpenAI's chat completions.
RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "crm_dedup", "strict": True, "schema": GRAMMAR}}

# The longest answer, in tokens: a character may be written as the escape \uXXXX, one token for each of the six.
MAX_ANSWER_TOKENS = 6 * MAX_REASONING_CHARS + 64

_SIDE = re.compile(r"\b(in|from|record) ([AB])\b")  # how a reasoning names a record


class Answer(NamedTuple):
    """One decision and the sentence that explains it."""

    decision: str
    reasoning: str


def dump(decision: str, reasoning: str) -> str:
    """Return the answer byte for byte as the grammar writes it; raises ValueError on an unknown decision."""
    if decision not in LABELS:
        raise ValueError(f"unknown decision {decision!r}: use one of {', '.join(LABELS)}")
    if len(reasoning) > MAX_REASONING_CHARS:
        raise ValueError(f"reasoning has {len(reasoning)} characters: at most {MAX_REASONING_CHARS} are allowed")
    text = json.dumps({"decision": decision, "reasoning": reasoning}, ensure_ascii=False, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")  # the one character that the grammar escapes and json does not


def parse(text: str) -> Answer | None:
    """Return the answer in `text`, or None where it is not exactly one JSON object that fits the schema."""
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or set(value) != set(SCHEMA["properties"]):
        return None
    decision, reasoning = value["decision"], value["reasoning"]
    if not isinstance(decision, str) or decision not in LABELS:
        return None
    if not isinstance(reasoning, str) or len(reasoning) > MAX_REASONING_CHARS:
        return None
    return Answer(decision, reasoning)


def exchange_sides(reasoning: str) -> str:
    """Return a reasoning for the same two records in the other order: what was only in A is now only in B."""
    return _SIDE.sub(lambda found: f"{found[1]} {'A' if found[2] == 'B' else 'B'}", reasoning)


def is_truncated(text: str) -> bool:
    """Tell whether `text` is the start of a JSON object that was cut off before its end."""
    text = text.strip()
    if not text.startswith("{"):
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        cut_in_escape = error.msg.startswith("Invalid \\uXXXX") and re.search(r"\\u[0-9a-fA-F]{0,4}$", text)
        return error.msg.startswith("Unterminated string") or error.pos >= len(text) or bool(cut_in_escape)
    except (ValueError, RecursionError):
        pass
    return False


def _unique_keys(pairs: list[tuple[str, object]]) -> dict:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("duplicate key")
    return keys

"""Do two versions of the code ask the same question and read the same answer? A hash of what they make of a few dozen pairs.

Trainings and benchmarks carry `fingerprint()`: it follows every change of the prompt, the grammar, the tokens or the
parsing, and no docstring. ``python -m crm_dedup_plugin.pair.probe`` prints it. The pairs are invented: all decisions,
several scripts, records that are too long, and records that try to break out of the prompt.
"""

import functools
import hashlib
import json
from pathlib import Path

from crm_dedup_plugin.pair import answer, prompt, tokens
from crm_dedup_plugin.pair.files import read_objects
from crm_dedup_plugin.provenance import PROMPT_VERSION

PAIRS = Path(__file__).with_name("probe.jsonl")  # rows of a split, each with an "answer" to read and its "probabilities"


@functools.cache
def fingerprint() -> str:
    """Return the SHA-256 of the prompt's version and of `observations`."""
    return sha256([PROMPT_VERSION, observations()])


def rows() -> list[dict]:
    """Return the probe pairs."""
    return read_objects(PAIRS)


def observations() -> dict:
    """Return what the present code makes of the probe pairs: prompts, grammar, tokens, written and parsed answers."""
    pairs = [tuple(row["input"].values()) for row in rows()]
    written = [answer.dump(**row["output"]) for row in rows()]
    read = [row["answer"] for row in rows()]
    tokenizer = Characters()
    return {
        "prompts": [prompt.messages(*pair) for pair in pairs],
        "swapped": [prompt.build(b, a) for a, b in pairs],
        "prompt_tokens": tokens.batch_prompt_ids(tokenizer, pairs[:2]),
        "answer_tokens": [tokens.answer_ids(tokenizer, text) for text in written[:2]],
        "decision_tokens": tokens.decision_ids(tokenizer),
        "grammar": [answer.SCHEMA, answer.GRAMMAR, answer.RESPONSE_FORMAT, answer.MAX_ANSWER_TOKENS],
        "written": written,
        "parsed": [[answer.parse(text), answer.is_truncated(text)] for text in (*written, *read)],
    }


def sha256(value: object) -> str:
    """Return the SHA-256 of plain data, floats rounded to 4 digits: libraries differ in the last ones from machine to machine."""
    return hashlib.sha256(json.dumps(_rounded(value), sort_keys=True).encode()).hexdigest()


class Characters:
    """A tokenizer of one token a character, with a chat template of its own: models' tokenizers are not needed to compare code."""

    name_or_path, eos_token_id = "characters", 0

    def __call__(self, text: str | list[str], add_special_tokens: bool = True) -> dict[str, list]:
        return {"input_ids": [ord(character) for character in text] if isinstance(text, str) else [self(one)["input_ids"] for one in text]}

    def decode(self, ids: list[int], **_) -> str:
        """Return the text of some tokens."""
        return "".join(map(chr, ids))

    def apply_chat_template(self, turns: list[dict], tokenize: bool = False, add_generation_prompt: bool = False) -> str:
        """Return the text of a conversation."""
        return "".join(f"<{turn['role']}>{turn['content']}</>" for turn in turns) + "<assistant>" * add_generation_prompt


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4) + 0.0  # no -0.0
    if isinstance(value, dict):
        return {str(key): _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    print(fingerprint())

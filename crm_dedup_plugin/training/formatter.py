"""Axolotl's prompt strategy for this task: ``type: crm_dedup_plugin.training.formatter`` with ``ds_type: text``.

Each line of a split is one JSON object. It is read as text on purpose: the JSON loader would merge the free
fields of all records into one table and lose their order. Loss is on the answer and its end-of-turn token only.
"""

from __future__ import annotations

import json

from axolotl.prompt_tokenizers import PromptTokenizingStrategy

from crm_dedup_plugin import prompt, schema

IGNORE = -100


class CrmDedupStrategy(PromptTokenizingStrategy):
    """Turns a line of a split into the tokens that the model sees when it is asked and when it has answered."""

    def tokenize_prompt(self, row: dict) -> dict[str, list[int]]:
        """Return `input_ids`, `attention_mask` and `labels` (one list of token ids each) for one line."""
        pair = json.loads(row["text"])
        question = prompt_ids(self.tokenizer, pair["input"]["record_a"], pair["input"]["record_b"])
        answer = answer_ids(self.tokenizer, schema.dump(**pair["output"]))
        tokens = question + answer
        return {
            "input_ids": tokens,
            "attention_mask": [1] * len(tokens),
            "labels": [IGNORE] * len(question) + answer,
        }


def prompt_ids(tokenizer, record_a: dict, record_b: dict) -> list[int]:
    """Return the tokens of the question after the model's chat template, as an inference engine makes them."""
    text = tokenizer.apply_chat_template(prompt.messages(record_a, record_b), tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def answer_ids(tokenizer, answer: str) -> list[int]:
    """Return the tokens of the answer, as constrained decoding emits them, and the token that ends the turn.

    Raises ValueError where the tokenizer cannot spell the answer without a leading space.
    """
    # A SentencePiece tokenizer puts a space before text that stands alone; after a line break it does not.
    lead = tokenizer("\n", add_special_tokens=False)["input_ids"]
    ids = tokenizer("\n" + answer, add_special_tokens=False)["input_ids"]
    if ids[: len(lead)] != lead or tokenizer.decode(ids[len(lead) :], clean_up_tokenization_spaces=False) != answer:
        raise ValueError(f"the tokenizer {tokenizer.name_or_path!r} does not spell the answer {answer!r} byte for byte")
    return ids[len(lead) :] + [end_of_turn_id(tokenizer)]


def end_of_turn_id(tokenizer) -> int:
    """Return the first token that the chat template writes after an assistant's answer."""
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "{}"}]
    after = tokenizer.apply_chat_template(turns, tokenize=False).rpartition("{}")[2].lstrip()
    ids = tokenizer(after, add_special_tokens=False)["input_ids"]
    return ids[0] if ids else tokenizer.eos_token_id


def load(tokenizer, cfg, ds_cfg=None) -> CrmDedupStrategy:
    """Return the strategy; Axolotl calls this by its name."""
    return CrmDedupStrategy(None, tokenizer, cfg.train_on_inputs, cfg.sequence_len)

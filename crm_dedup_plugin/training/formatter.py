"""Axolotl's prompt strategy for this task: ``type: crm_dedup_plugin.training.formatter`` with ``ds_type: text``.

Each line of a split is one JSON object. It is read as text on purpose: the JSON loader would merge the free
fields of all records into one table and lose their order. Loss is on the answer and its end-of-turn token only.
"""

from __future__ import annotations

import json

from axolotl.prompt_tokenizers import PromptTokenizingStrategy

from crm_dedup_plugin.pair import prompt
from crm_dedup_plugin.pair.answer import dump
from crm_dedup_plugin.pair.tokens import answer_ids, prompt_ids

IGNORE = -100


class CrmDedupStrategy(PromptTokenizingStrategy):
    """Turns a line of a split into the tokens that the model sees when it is asked and when it has answered."""

    def tokenize_prompt(self, row: dict) -> dict[str, list[int]]:
        """Return `input_ids`, `attention_mask` and `labels` (one list of token ids each) for one line."""
        pair = json.loads(row["text"])
        records = (pair["input"]["record_a"], pair["input"]["record_b"])
        decision, reasoning = pair["output"]["decision"], pair["output"]["reasoning"]
        if prompt.in_order(*records) != records:  # A and B in the answer are those of the prompt
            reasoning = prompt.mirrored(reasoning)
        question = prompt_ids(self.tokenizer, *records)
        answer = answer_ids(self.tokenizer, dump(decision, reasoning))
        tokens = question + answer
        return {
            "input_ids": tokens,
            "attention_mask": [1] * len(tokens),
            "labels": [IGNORE] * len(question) + answer,
        }


def load(tokenizer, cfg, ds_cfg=None) -> CrmDedupStrategy:
    """Return the strategy; Axolotl calls this by its name."""
    return CrmDedupStrategy(None, tokenizer, cfg.train_on_inputs, cfg.sequence_len)

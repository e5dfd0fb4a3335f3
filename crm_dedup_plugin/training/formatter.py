"""Axolotl's prompt strategy for this task: ``type: crm_dedup_plugin.training.formatter`` with ``ds_type: text``.

Each line of a split is one JSON object. It is read as text on purpose: the JSON loader would merge the free
fields of all records into one table and lose their order. Loss is on the answer and its end-of-turn token only.
A line whose output holds a decision without a reasoning, as people give it, teaches the decision alone.
"""

import json

from axolotl.prompt_tokenizers import PromptTokenizingStrategy

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.answer import LABELS, dump
from crm_dedup_plugin.pair.prompt import ask
from crm_dedup_plugin.pair.tokens import answer_ids, decision_ids, text_ids

IGNORE = -100


class CrmDedupStrategy(PromptTokenizingStrategy):
    """Turns a line of a split into the tokens of the prompt, as an inference engine makes them, and those of the answer."""

    def tokenize_prompt(self, row: dict) -> dict[str, list[int]]:
        """Return `input_ids`, `attention_mask` and `labels` (one list of token ids each) for one line.

        Raises UserError if the records are not in the order of the prompt: the reasoning would call each by the other's name.
        """
        pair = json.loads(row["text"])
        prompt = ask(**pair["input"])
        if prompt.record_a is not pair["input"]["record_a"]:
            raise UserError(
                f"pair {pair.get('id')!r} of a split is not in the order of its prompt: edit data/all.jsonl and run `crm-dedup prepare` again"
            )
        question = text_ids(self.tokenizer, prompt.text)
        answer = self._answer(**pair["output"])
        tokens = question + answer
        return {"input_ids": tokens, "attention_mask": [1] * len(tokens), "labels": [IGNORE] * len(question) + answer}

    def _answer(self, decision: str, reasoning: str | None = None) -> list[int]:
        """Return the tokens of an answer; without a reasoning those up to the one at which decisions differ."""
        if reasoning is not None:
            return answer_ids(self.tokenizer, dump(decision, reasoning))
        start, firsts = decision_ids(self.tokenizer)
        return [*start, firsts[LABELS.index(decision)]]


def load(tokenizer, cfg, ds_cfg=None) -> CrmDedupStrategy:
    """Return the strategy; Axolotl calls this by its name."""
    return CrmDedupStrategy(None, tokenizer, cfg.train_on_inputs, cfg.sequence_len)

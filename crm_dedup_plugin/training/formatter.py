"""Axolotl's prompt strategy for this task: ``type: crm_dedup_plugin.training.formatter`` with ``ds_type: text``.

Each line of a split is one JSON object. It is read as text on purpose: the JSON loader would merge the free
fields of all records into one table and lose their order. Loss is on the answer and its end-of-turn token only.
A line whose output holds a decision without a reasoning, as people give it, teaches the decision alone.
"""

import functools
import json

from axolotl.prompt_tokenizers import PromptTokenizingStrategy

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.answer import dump
from crm_dedup_plugin.pair.prompt import ask
from crm_dedup_plugin.pair.tokens import PromptTokens, batch_answer_ids, decision_ids

IGNORE = -100


class CrmDedupStrategy(PromptTokenizingStrategy):
    """Turns lines of a split into the tokens of the prompts, as an inference engine makes them, and those of the answers."""

    supports_batched = True  # Axolotl then hands over a thousand lines at once

    def tokenize_prompt(self, rows: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        """Return `input_ids`, `attention_mask` and `labels` (a list of token ids each) of every line in `rows["text"]`.

        Raises UserError if the records are not in the order of the prompt: the reasoning would call each by the other's name.
        """
        pairs = [json.loads(text) for text in rows["text"]]
        for pair in pairs:
            if ask(**pair["input"]).record_a is not pair["input"]["record_a"]:
                raise UserError(
                    f"pair {pair.get('id')!r} of a split is not in the order of its prompt: edit data/all.jsonl and run `crm-dedup prepare` again"
                )
        questions = self._prompts([tuple(pair["input"].values()) for pair in pairs])
        answers = batch_answer_ids(self.tokenizer, [dump(**{"reasoning": "", **pair["output"]}) for pair in pairs])
        bare = len(decision_ids(self.tokenizer)[0]) + 1  # tokens up to the one at which decisions differ
        kept = (ids if "reasoning" in pair["output"] else ids[:bare] for pair, ids in zip(pairs, answers, strict=True))
        both = [(question.tolist(), answer) for question, answer in zip(questions, kept, strict=True)]
        return {
            "input_ids": [question + answer for question, answer in both],
            "attention_mask": [[1] * (len(question) + len(answer)) for question, answer in both],
            "labels": [[IGNORE] * len(question) + answer for question, answer in both],
        }

    @functools.cached_property
    def _prompts(self) -> PromptTokens:
        return PromptTokens(self.tokenizer)


def load(tokenizer, cfg, ds_cfg=None) -> CrmDedupStrategy:
    """Return the strategy; Axolotl calls this by its name."""
    return CrmDedupStrategy(None, tokenizer, cfg.train_on_inputs, cfg.sequence_len)

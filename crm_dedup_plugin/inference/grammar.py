"""The grammar of an answer for Transformers, as vLLM enforces it: ``generate(logits_processor=[SchemaProcessor(lambda: MODEL)])``."""

import functools
from collections.abc import Callable

import llguidance.hf
import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from transformers import AutoConfig, AutoTokenizer, LogitsProcessor

from crm_dedup_plugin.pair import tokens
from crm_dedup_plugin.pair.answer import GRAMMAR


@functools.lru_cache(maxsize=2)
def tokenizer(model: str) -> LLTokenizer:
    """Return what the grammar needs to know of a model's tokens; making it takes a moment."""
    own = AutoTokenizer.from_pretrained(model)
    return llguidance.hf.from_tokenizer(own, AutoConfig.from_pretrained(model).get_text_config().vocab_size, tokens.end_of_turn_id(own))


class SchemaProcessor(LogitsProcessor):
    """Forbids every token that the schema does not allow next; for one call of ``generate``.

    lm-evaluation-harness copies it for each batch: a copy starts afresh.
    """

    def __init__(self, model: Callable[[], str]):
        """Take a function that names the model: in the harness it is known only once the task has been loaded."""
        self.model = model
        self.matchers: list[LLMatcher] = []

    def __deepcopy__(self, memo) -> "SchemaProcessor":
        return SchemaProcessor(self.model)

    # The harness puts requests with equal options into one batch, and gives each request a copy of the options.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, SchemaProcessor)

    def __hash__(self) -> int:
        return hash(SchemaProcessor)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return `scores` (rows, vocabulary) with the forbidden tokens at minus infinity."""
        if self.matchers:
            for matcher, token in zip(self.matchers, input_ids[:, -1].tolist(), strict=True):
                if not matcher.is_stopped():
                    matcher.consume_token(token)
        else:
            grammar = LLMatcher.grammar_from_json_schema(GRAMMAR)
            self.matchers = [LLMatcher(tokenizer(self.model()), grammar) for _ in input_ids]
        forbidden = np.zeros(scores.shape, dtype=bool)
        for row, matcher in enumerate(self.matchers):
            if not matcher.is_stopped():  # what follows a finished answer is padding
                allowed = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")[: scores.shape[1]]
                forbidden[row] = True
                forbidden[row, : len(allowed)] = allowed == 0
        return scores.masked_fill(torch.from_numpy(forbidden).to(scores.device), -torch.inf)

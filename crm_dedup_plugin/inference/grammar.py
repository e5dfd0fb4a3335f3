"""The grammar of an answer for Transformers, as vLLM enforces it: ``generate(logits_processor=[SchemaProcessor(lambda: tokens_of(MODEL))])``."""

import functools
from collections.abc import Callable, Sequence

import llguidance.hf
import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer

from crm_dedup_plugin.pair import tokens
from crm_dedup_plugin.pair.answer import GRAMMAR


def known_tokens(tokenizer, vocabulary: int) -> LLTokenizer:
    """Return what the grammar needs to know of a tokenizer and of a head of `vocabulary` rows; making it takes a second."""
    return llguidance.hf.from_tokenizer(tokenizer, vocabulary, tokens.end_of_turn_id(tokenizer))


def matcher(known: LLTokenizer, schema: dict = GRAMMAR) -> LLMatcher:
    """Return the grammar at the beginning of an answer."""
    return LLMatcher(known, LLMatcher.grammar_from_json_schema(schema))


class Checker:
    """Tells whether the grammar of `schema` accepts an answer that was written without it, token by token."""

    def __init__(self, known: LLTokenizer, schema: dict = GRAMMAR):
        self.beginning, self.end = matcher(known, schema), known.eos_token

    def accepts(self, ids: Sequence[int]) -> bool:
        """Tell whether the tokens, with or without the one that ends the turn, are a whole answer; takes microseconds."""
        whole = [*ids] if self.end in ids[-1:] else [*ids, self.end]
        return self.beginning.validate_tokens(whole) == len(whole)


def allowed(at: LLMatcher, width: int) -> torch.Tensor:
    """Return which of `width` tokens may come next, as booleans: after a whole answer, only the one that ends the turn."""
    found = np.unpackbits(np.frombuffer(at.compute_bitmask(), np.uint8), bitorder="little")[:width].astype(bool)
    return torch.from_numpy(np.pad(found, (0, width - len(found))))


@functools.lru_cache(maxsize=2)
def tokens_of(model: str) -> LLTokenizer:
    """Return `known_tokens` of a model in a folder or on the Hub."""
    from transformers import AutoConfig, AutoTokenizer

    return known_tokens(AutoTokenizer.from_pretrained(model), AutoConfig.from_pretrained(model).get_text_config().vocab_size)


class SchemaProcessor:
    """Forbids every token that the schema does not allow next; for one call of ``generate``.

    It is no LogitsProcessor by name: importing that class takes seconds, in which many a process has no use for it.
    lm-evaluation-harness copies it for each batch: a copy starts afresh.
    """

    def __init__(self, known: Callable[[], LLTokenizer]):
        """Take a function that returns `known_tokens`: in the harness the model is known only once the task has been loaded."""
        self.known = known
        self.matchers: list[LLMatcher] = []

    def __deepcopy__(self, memo) -> "SchemaProcessor":
        return SchemaProcessor(self.known)

    # The harness puts requests with equal options into one batch, and gives each request a copy of the options.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, SchemaProcessor)

    def __hash__(self) -> int:
        return hash(SchemaProcessor)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return `scores` (rows, vocabulary) with the forbidden tokens at minus infinity."""
        if self.matchers:
            for at, token in zip(self.matchers, input_ids[:, -1].tolist(), strict=True):
                if not at.is_stopped():
                    at.consume_token(token)
        else:
            self.matchers = [matcher(self.known()) for _ in input_ids]
        masks = [allowed(at, scores.shape[1]) for at in self.matchers]
        return scores.masked_fill(~torch.stack(masks).to(scores.device), -torch.inf)

"""The schema for Transformers' ``generate``: a logits processor for lm-evaluation-harness's `hf` model."""

from __future__ import annotations

import functools
from collections.abc import Callable

import xgrammar
from transformers import AutoConfig, AutoTokenizer, LogitsProcessor
from xgrammar.contrib import hf

from crm_dedup_plugin.schema import SCHEMA


class SchemaProcessor(LogitsProcessor):
    """Masks what the schema does not allow; a copy, as the harness makes one for each batch, starts afresh."""

    def __init__(self, model_name: Callable[[], str]):
        """Take a function that names the model: it is known only once the task has been loaded."""
        self.model_name = model_name
        self.processor = None

    def __deepcopy__(self, memo) -> SchemaProcessor:
        return SchemaProcessor(self.model_name)

    # The harness puts requests with equal options into one batch, and gives each request a copy of the options.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, SchemaProcessor)

    def __hash__(self) -> int:
        return hash(SchemaProcessor)

    def __call__(self, input_ids, scores):
        """Return `scores` (rows, vocabulary) with the forbidden tokens at minus infinity."""
        if self.processor is None:
            self.processor = hf.LogitsProcessor(_grammar(self.model_name()))
        return self.processor(input_ids, scores)


@functools.lru_cache(maxsize=2)
def _grammar(model_name: str) -> xgrammar.CompiledGrammar:
    tokenizer, config = AutoTokenizer.from_pretrained(model_name), AutoConfig.from_pretrained(model_name)
    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=config.vocab_size)
    return xgrammar.GrammarCompiler(info).compile_json_schema(SCHEMA, any_whitespace=False, separators=(",", ":"))

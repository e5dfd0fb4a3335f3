"""The schema of an answer for Transformers: ``generate(logits_processor=[xgrammar.contrib.hf.LogitsProcessor(compiled(MODEL))])``.

`SchemaProcessor` is the same for the `hf` model of lm-evaluation-harness.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import xgrammar
from transformers import AutoConfig, AutoTokenizer, LogitsProcessor
from xgrammar.contrib import hf

from crm_dedup_plugin.pair.answer import SCHEMA


@functools.lru_cache(maxsize=2)
def compiled(model: str) -> xgrammar.CompiledGrammar:
    """Return the grammar for the tokens of a model, without free whitespace; each call of ``generate`` needs a processor of its own."""
    return compile_schema(SCHEMA, AutoTokenizer.from_pretrained(model), AutoConfig.from_pretrained(model).vocab_size)


def compile_schema(form: dict, tokenizer, vocabulary: int) -> xgrammar.CompiledGrammar:
    """Return the grammar of a JSON schema for a tokenizer and a head of `vocabulary` rows, without free whitespace."""
    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocabulary)
    return xgrammar.GrammarCompiler(info).compile_json_schema(form, any_whitespace=False, separators=(",", ":"))


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
            self.processor = hf.LogitsProcessor(compiled(self.model_name()))
        return self.processor(input_ids, scores)

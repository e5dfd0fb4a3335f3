"""The schema of an answer for Transformers: ``generate(logits_processor=[xgrammar.contrib.hf.LogitsProcessor(compiled(MODEL))])``."""

import functools

import xgrammar
from transformers import AutoConfig, AutoTokenizer

from crm_dedup_plugin.pair.answer import SCHEMA


@functools.lru_cache(maxsize=2)
def compiled(model: str) -> xgrammar.CompiledGrammar:
    """Return the grammar for the tokens of a model, without free whitespace; each call of ``generate`` needs a processor of its own."""
    return compile_schema(SCHEMA, AutoTokenizer.from_pretrained(model), AutoConfig.from_pretrained(model).vocab_size)


def compile_schema(form: dict, tokenizer, vocabulary: int) -> xgrammar.CompiledGrammar:
    """Return the grammar of a JSON schema for a tokenizer and a head of `vocabulary` rows, without free whitespace."""
    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocabulary)
    return xgrammar.GrammarCompiler(info).compile_json_schema(form, any_whitespace=False, separators=(",", ":"))

"""The schema of an answer as Transformers takes it: ``generate(logits_processor=[xgrammar.contrib.hf.LogitsProcessor(compiled(MODEL))])``."""

from __future__ import annotations

import functools

import xgrammar
from transformers import AutoConfig, AutoTokenizer

from crm_dedup_plugin.schema import SCHEMA


@functools.lru_cache(maxsize=2)
def compiled(model: str) -> xgrammar.CompiledGrammar:
    """Return the grammar for the tokens of a model, without free whitespace; one processor serves one call of ``generate``."""
    tokenizer, config = AutoTokenizer.from_pretrained(model), AutoConfig.from_pretrained(model)
    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=config.vocab_size)
    return xgrammar.GrammarCompiler(info).compile_json_schema(SCHEMA, any_whitespace=False, separators=(",", ":"))

"""The schema for Transformers' ``generate``: a logits processor for lm-evaluation-harness's `hf` model."""

from __future__ import annotations

from collections.abc import Callable

from transformers import LogitsProcessor
from xgrammar.contrib import hf

from crm_dedup_plugin.inference import grammar


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
            self.processor = hf.LogitsProcessor(grammar.compiled(self.model_name()))
        return self.processor(input_ids, scores)

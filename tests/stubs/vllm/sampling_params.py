"""As in vLLM."""

from types import SimpleNamespace


class StructuredOutputsParams(SimpleNamespace):
    """Keeps the schema."""

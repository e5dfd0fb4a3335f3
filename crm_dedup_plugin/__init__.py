"""Teach small language models to deduplicate CRM records: glue around Axolotl, lm-evaluation-harness and vLLM."""

__version__ = "0.1.0"

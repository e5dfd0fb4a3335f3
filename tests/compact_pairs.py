"""Generated pairs of few fields, for tests that need plain labelled rows."""

from collections.abc import Iterator

from crm_dedup_plugin.dataset.synth.generate import Settings
from crm_dedup_plugin.dataset.synth.generate import generate as synthesise


def generate(pairs: int, seed: int = 7) -> Iterator[dict]:
    """Yield compact rows."""
    return synthesise(pairs, seed, Settings(compact=True))

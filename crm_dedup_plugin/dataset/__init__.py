"""Pairs to train and measure with: made (`synth`), prepared, split, augmented."""

from pathlib import Path

VOCABULARY = Path(__file__).parent / "vocabulary"  # the words of the generated pairs, as tables that anyone can edit

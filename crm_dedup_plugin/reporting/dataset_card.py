"""The card of a generated set as Markdown and as a picture, from the counts that `crm-dedup synth` writes."""

from __future__ import annotations

from pathlib import Path

import pandas

from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.storage import save_figure, write_atomically

_COLORS = ("#2b6cb0", "#d69e2e", "#a0aec0")


def write(card: dict, out: Path) -> Path:
    """Write the card of the set `out` to `out`.card.md and `out`.card.png; return the path of the Markdown."""
    page = out.with_name(f"{out.stem}.card.md")
    write_atomically(page, markdown(card))
    _picture(card, page.with_suffix(".png"))
    return page


def markdown(card: dict) -> str:
    """Return the card as Markdown."""
    locales = ", ".join(f"{name} {count}" for name, count in card["locale"].items())
    return (
        f"# Data card\n\n`{card['command']}`: {card['pairs']} generated pairs, SHA-256 `{card['sha256']}`.\n"
        f"{card['negatives_that_share_something']:.0%} of the NO_MATCH pairs share a name, an address, a telephone, a domain or an e-mail.\n\n"
        f"{_by_slice(card).to_markdown(tablefmt='github')}\n\nLocales: {locales}.\n"
    )


def _by_slice(card: dict) -> pandas.DataFrame:
    """Return how many pairs of each slice have each label."""
    names = list(dict.fromkeys(key.split()[0] for key in card["slice"]))
    counts = [[card["slice"].get(f"{name} {label}", 0) for label in LABELS] for name in names]
    return pandas.DataFrame(counts, pandas.Index(names, name="slice"), LABELS)


def _picture(card: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    lengths = {int(size): count for size, count in card["prompt_chars"].items()}
    left.bar(list(lengths), list(lengths.values()), width=90, align="edge")
    left.set(xlabel="characters of the prompt", ylabel="pairs", title="Prompt lengths")
    _by_slice(card).sort_index(ascending=False).plot.barh(stacked=True, width=0.8, color=_COLORS, ax=right)
    right.set(title="Slices and decisions", xlabel="pairs", ylabel="")
    save_figure(figure, path)

"""The card of a generated set as Markdown and as a picture, from the counts that `crm-dedup synth` writes."""

from collections import Counter
from pathlib import Path

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
    from tabulate import tabulate

    rows = [[name, *(counts[label] for label in LABELS)] for name, counts in _by_slice(card).items()]
    locales = ", ".join(f"{name} {count}" for name, count in card["locale"].items())
    return (
        f"# Data card\n\n`{card['command']}`: {card['pairs']} generated pairs, SHA-256 `{card['sha256']}`.\n"
        f"{card['negatives_that_share_something']:.0%} of the NO_MATCH pairs share a name, an address, a telephone, a domain or an e-mail.\n\n"
        f"{tabulate(rows, headers=['slice', *LABELS], tablefmt='github')}\n\nLocales: {locales}.\n"
    )


def _by_slice(card: dict) -> dict[str, Counter]:
    slices: dict[str, Counter] = {}
    for key, count in card["slice"].items():
        name, decision = key.split()
        slices.setdefault(name, Counter())[decision] = count
    return slices


def _picture(card: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    lengths = {int(size): count for size, count in card["prompt_chars"].items()}
    left.bar(list(lengths), list(lengths.values()), width=90, align="edge")
    left.set(xlabel="characters of the prompt", ylabel="pairs", title="Prompt lengths")
    slices = dict(sorted(_by_slice(card).items(), reverse=True))
    start = [0] * len(slices)
    for label, color in zip(LABELS, _COLORS, strict=True):
        counts = [count[label] for count in slices.values()]
        right.barh(list(slices), counts, left=start, label=label, color=color)
        start = [a + b for a, b in zip(start, counts, strict=True)]
    right.legend()
    right.set(title="Slices and decisions", xlabel="pairs")
    save_figure(figure, path)

"""Commands that make and show labelled pairs."""

import json
from pathlib import Path

from crm_dedup_plugin.cli.parser import NOTHING_WRITTEN, Program, above_zero, one_of
from crm_dedup_plugin.errors import UserError

AUGMENTATIONS = ("shuffled", "injected", "renamed", "oversampled", "plain", "brief")


def add(program: Program) -> None:
    """Add synth, prepare, prompt and schema."""
    command = program.add(
        "data", "synth", "Generate labelled pairs, or the export of a CRM, from an invented world.", "synth --n 50000", _run_synth, NOTHING_WRITTEN
    )
    command.option("--n", "How many pairs to generate.", None, "50000", type=above_zero(int), metavar="PAIRS")
    rows = {"type": above_zero(int), "metavar": "ROWS"}
    command.option("--export", "Write an export of a CRM with this many contacts, and who is who, instead.", None, "labelled pairs", **rows)
    command.option("--crm", "The CRM whose columns an export has.", "hubspot", type=one_of("dataset.synth.export:CRMS"), metavar="NAME")
    command.option("--seed", "The seed of all random choices.", 7)
    command.option("--out", "The file to write.", None, "data/all.jsonl, or data/export.csv for an export", type=Path)
    command.option("--compact", "Use few fields and few countries, which a small model learns in minutes.", False)
    command.option("--unseen", "Use countries, scripts, field names and damage that training never shows.", False)
    command.option("--lists", "Generate lists that do not come from a CRM: registers, directories, bare names.", False)
    command.option("--populations", "Generate whole lists, and take the pairs that a match would compare.", False)
    command.option("--force", "Replace the file if it exists.", False)

    command = program.add(
        "data", "prepare", "Check labelled pairs and split them into train, val and test.", "prepare --seed 7", _run_prepare, NOTHING_WRITTEN
    )
    said = "data/all.jsonl, or generated demo pairs if that file does not exist"
    command.option("--data", "The labelled pairs, one JSON object a line.", None, said, type=Path)
    command.option("--out", "The folder for the splits.", Path("data/splits"))
    shares = {"type": float, "nargs": 3, "metavar": ("TRAIN", "VAL", "TEST")}
    command.option("--fractions", "The share of each split.", (0.8, 0.1, 0.1), "0.8 0.1 0.1", **shares)
    command.option("--seed", "The seed of all random choices.", 7)
    command.option("--demo", "Generate this many demo pairs instead of reading --data.", None, "read --data", type=above_zero(int), metavar="PAIRS")
    command.values("--also", "Files with more labelled pairs, which are used for training only.", "none", Path, "FILE")
    kinds = ", ".join(AUGMENTATIONS)
    command.values("--augment", f"Further variants of the training pairs ({kinds}).", "none", one_of(AUGMENTATIONS), "KIND")

    command = program.add(
        "data", "prompt", "Print the prompt for the first pair of a file.", "prompt data/splits/test.jsonl", _run_prompt, NOTHING_WRITTEN
    )
    command.add_argument("file", type=Path, metavar="FILE", help="A file of pairs, labelled or not, such as data/splits/test.jsonl.")
    program.add("data", "schema", "Print the JSON schema of an answer.", "schema", _run_schema, NOTHING_WRITTEN)


def _run_prepare(options) -> None:
    from crm_dedup_plugin.dataset.prepare import prepare

    augment, also = tuple(options.augment or ()), tuple(options.also or ())
    summary = prepare(options.data, options.out, options.fractions, options.seed, options.demo, augment, also)
    for name, part in summary["splits"].items():
        decisions = ", ".join(f"{label} {count}" for label, count in part["decisions"].items())
        print(f"{options.out / name}.jsonl: {part['pairs']} pairs ({decisions})")


def _run_synth(options) -> None:
    from crm_dedup_plugin.dataset.synth.write import write
    from crm_dedup_plugin.reporting import dataset_card

    kinds = [name for name in ("export", "n", "compact", "unseen", "lists", "populations") if getattr(options, name)]
    if len(set(kinds) - {"n"}) > 1 or {"export", "n"} <= set(kinds):
        raise UserError(f"--{' and --'.join(kinds)} cannot be combined: leave one out")
    if options.export:
        return _run_export(options)
    out = options.out or Path("data/all.jsonl")
    card = write(options.n or 50_000, options.seed, out, "".join(set(kinds) - {"n"}), options.force, _compared)
    print(f"{out}: {card['pairs']} pairs; card: {dataset_card.write(card, out)}")


def _compared(rows: list[dict]) -> dict[bool, list[tuple[str, str]]]:
    from crm_dedup_plugin.matching import known  # only whole lists need it

    return known.pairs(rows)


def _run_export(options) -> None:
    from crm_dedup_plugin.dataset.synth import export

    out = options.out or Path("data") / f"export.{export.ending(options.crm)}"
    card = export.write(options.export, options.seed, out, options.crm, options.force)
    several = card["rows_in_groups"]
    print(f"{out}: {card['rows']} contacts of {card['entities']} people, {several} of people with several; truth: {export.truth_of(out)}")


def _run_prompt(options) -> None:
    from crm_dedup_plugin.pair.files import read_pairs
    from crm_dedup_plugin.pair.prompt import build

    (pair,) = read_pairs(options.file, limit=1, cure="name a file of pairs, such as data/splits/test.jsonl")
    print(build(*pair.records))


def _run_schema(options) -> None:
    from crm_dedup_plugin.pair.answer import SCHEMA

    print(json.dumps(SCHEMA, indent=2))

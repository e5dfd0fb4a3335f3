"""Read labelled pairs, check every line, split them and write the splits: ``crm-dedup prepare``.

Nothing is written unless every line is right; each file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from crm_dedup_plugin.dataset.splits import SPLITS, contents, split
from crm_dedup_plugin.pair.answer import LABELS, MAX_REASONING_CHARS
from crm_dedup_plugin.pair.record import MAX_FIELD_CHARS, RecordError, check, normalise
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.storage import write_atomically

ALLOWED = {"id", "slice", "cluster_a", "cluster_b", "input", "output"}
MAX_ERRORS = 20
DEFAULT_SOURCE = Path("data/all.jsonl")
DEMO_PAIRS = 1500

_SURROGATE = re.compile("[\ud800-\udfff]")


class DataError(ValueError):
    """Data that cannot be used; the message names each file, line, field and cure."""


def prepare(
    source: Path,
    out: Path,
    fractions=(0.8, 0.1, 0.1),
    seed: int = 7,
    demo_pairs: int | None = None,
    augmentations: tuple[str, ...] = (),
    also: Sequence[Path] = (),
) -> dict:
    """Split `source` into `out`/{train,val,test}.jsonl with a summary.json, which is returned.

    Without a file `all.jsonl`, or with `demo_pairs`, the pairs come from the generator and `source` is left alone.
    `also` are files of more pairs, for training only; those whose records or people are in the other splits are left out.
    `augmentations` (see `augment`) apply to the training split.
    Raises DataError or SplitError and writes nothing where the data are not right.
    """
    if demo_pairs is None and source.name == DEFAULT_SOURCE.name and not source.exists():
        demo_pairs = DEMO_PAIRS
        print(f"{source} does not exist: using a generated demo set of {demo_pairs} pairs (seed {seed})", file=sys.stderr)
    if demo_pairs is not None:
        from crm_dedup_plugin.dataset.synth.generate import Settings, generate

        origin = f"generated: {demo_pairs} compact pairs, seed {seed}"
        rows, cut = validate((json.dumps(row).encode() for row in generate(demo_pairs, seed, Settings(compact=True))), origin)
    elif source.is_dir():
        raise DataError(f"{source} is a folder: name a file of labelled pairs, as in --data {source / 'all.jsonl'}")
    elif not source.exists():
        raise DataError(f"{source} does not exist: name a file of labelled pairs with --data, or generate a demo set with --demo 1500")
    else:
        origin = str(source)
        rows, cut = _read(source)
    added = {path: _read_more(path, cut) for path in also}
    from crm_dedup_plugin.policy.identity import identities

    parts = split(rows, tuple(fractions), seed, identities)
    held_out = {key for name in ("val", "test") for row in parts[name] for key in contents(row) | identities(row)} if added else set()
    kept = {path: [row for row in rows if not held_out & (contents(row) | identities(row))] for path, rows in added.items()}
    parts["train"] += [row for rows in kept.values() for row in rows]
    if augmentations:
        from crm_dedup_plugin.dataset.augment import augment

        parts["train"] = augment(parts["train"], tuple(augmentations), seed)
    for name, count in sorted(cut.items()):
        limit = f"{MAX_REASONING_CHARS} characters" if name == "output.reasoning" else f"{MAX_FIELD_CHARS} characters a field and the record's limit"
        print(f"warning: {name} was cut in {count} records, at {limit}", file=sys.stderr)

    texts = {name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part) for name, part in parts.items()}
    summary = {
        "source": origin,
        "source_sha256": digest([source]) if demo_pairs is None else None,
        "seed": seed,
        "fractions": list(fractions),
        "also": {str(path): {"sha256": digest([path]), "pairs": len(rows), "left_out": len(added[path]) - len(rows)} for path, rows in kept.items()},
        "augmentations": list(augmentations),
        "splits": {name: _describe(part, texts[name]) for name, part in parts.items()},
        "cut_fields": dict(sorted(cut.items())),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name in SPLITS:
        write_atomically(out / f"{name}.jsonl", texts[name])
    write_atomically(out / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return summary


def _read(path: Path) -> tuple[list[dict], Counter]:
    with path.open("rb") as file:
        return validate(file, str(path))


def _read_more(path: Path, cut: Counter) -> list[dict]:
    """Return the rows of a file of `--also`; what was cut in them is added to `cut`."""
    if not path.is_file():
        raise DataError(f"{path} is no file: name files of labelled pairs with --also, or leave it out")
    rows, shortened = _read(path)
    cut.update(shortened)
    return rows


def validate(lines: Iterable[bytes], origin: str) -> tuple[list[dict], Counter]:
    """Return the rows with normalised records, and how often each field was cut; raises DataError on bad lines."""
    rows, errors, seen, cut = [], [], {}, Counter()
    for number, line in enumerate(lines, start=1):
        try:
            text = _decode(line, "utf-8-sig" if number == 1 else "utf-8")
            if not text.strip():
                continue
            row = _row(text, cut)
            if (key := row.get("id")) is not None and seen.setdefault(str(key), number) != number:
                raise DataError(f"id: {key!r} is already on line {seen[str(key)]}: make ids unique or leave them out")
            rows.append(row)
        except ValueError as error:
            errors.append(f"{origin}, line {number}: {error}")
        if len(errors) == MAX_ERRORS:
            errors.append(f"(stopped after {MAX_ERRORS} errors)")
            break
    if not rows and not errors:
        errors.append(f"{origin}: no pairs in it: add one JSON object a line")
    if errors:
        raise DataError("\n".join(errors))
    return rows, cut


def _row(line: str, cut: Counter) -> dict:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON ({error}): write one object a line, in double quotes") from None
    except ValueError:
        raise DataError(f"a number has more than {sys.get_int_max_str_digits()} digits: write it as text or leave it out") from None
    except RecursionError:
        raise DataError("lists or objects are nested too deeply: write one flat object a record") from None
    if not isinstance(row, dict):
        raise DataError('not an object: write {"input": {...}, "output": {...}}')
    if unknown := sorted(set(row) - ALLOWED):
        raise DataError(f"{unknown[0]}: unknown key: use {', '.join(sorted(ALLOWED))}")
    pair, answer = _object(row, "input", ("record_a", "record_b")), _object(row, "output", ("decision", "reasoning"))
    clean = {}
    for name in ("record_a", "record_b"):
        try:
            clean[name], shortened = normalise(check(pair[name]))
        except RecordError as error:
            raise DataError(f"input.{name}: {error}") from None
        cut.update(shortened)
    decision, reasoning = answer["decision"], answer["reasoning"]
    if decision not in LABELS:
        raise DataError(f"output.decision: {decision!r} is unknown: use {', '.join(LABELS)}")
    if not isinstance(reasoning, str) or not reasoning.strip():
        raise DataError("output.reasoning: must be a sentence: say which fields decide")
    for name in ALLOWED - {"input", "output"}:
        if not isinstance(row.get(name), (str, int, type(None))):
            raise DataError(f"{name}: must be text or a whole number")
    if len(reasoning) > MAX_REASONING_CHARS:
        cut["output.reasoning"] += 1
        reasoning = reasoning[:MAX_REASONING_CHARS].rstrip()
    labels = {name: _writable(value) for name, value in row.items()}
    return {**labels, "input": clean, "output": {"decision": decision, "reasoning": _writable(reasoning)}}


def _writable(value: object) -> object:
    """Return a text without the halves of characters that JSON can spell and UTF-8 cannot; anything else as it is."""
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value


def _object(row: dict, name: str, keys: tuple[str, ...]) -> dict:
    value = row.get(name)
    if not isinstance(value, dict):
        raise DataError(f"{name}: missing or not an object: it holds {' and '.join(keys)}")
    for key in keys:
        if key not in value:
            raise DataError(f"{name}.{key}: missing: add it")
    if unknown := sorted(set(value) - set(keys)):
        raise DataError(f"{name}.{unknown[0]}: unknown key: use {' and '.join(keys)}")
    return value


def _decode(line: bytes, encoding: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start + 1} is not UTF-8: save the file as UTF-8") from None


def _describe(rows: list[dict], text: str) -> dict:
    decisions = Counter(row["output"]["decision"] for row in rows)
    slices = Counter(str(row["slice"]) for row in rows if row.get("slice") is not None)
    return {
        "pairs": len(rows),
        "decisions": {label: decisions[label] for label in LABELS},
        "slices": dict(sorted(slices.items())),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }

"""Training pairs made from those at hand, with the same decisions: ``crm-dedup prepare --augment shuffled injected renamed brief``.

Only the training split is augmented, after the split, so that nothing of it is in validation or test.
"""

import multiprocessing
import re
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from difflib import SequenceMatcher
from functools import partial
from random import Random

from crm_dedup_plugin.dataset import VOCABULARY, perturb
from crm_dedup_plugin.dataset.perturb import Pair, Record
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy import attacks, reasoning, vocabulary
from crm_dedup_plugin.policy.evidence import FOUND, ONLY_A, ONLY_B, Evidence, compare
from crm_dedup_plugin.policy.fields import SCHEMAS, UNSEEN_SCHEMAS, concept_of
from crm_dedup_plugin.policy.values import CLOSE, DIFFERS, SAME

_CHANGES: dict[str, Callable[[Pair, Random], Pair]] = {
    "shuffled": perturb.shuffle,
    # An instruction that never asks for the right decision would give it away.
    "injected": lambda pair, rng: perturb.inject(pair, rng, attacks.TRAIN, rng.choice(LABELS)),
}
# The share of the rows that is copied with a change, that gets other field names, and the most rows that one becomes.
_COPIED = {"shuffled": 0.3, "injected": 0.15}
_RENAMED = 0.3
_MOST_ROWS = 3
_WRITERS: dict[str, tuple[Callable[[Evidence, str], str], ...]] = {  # the next one explains what the one before cannot
    "plain": (lambda evidence, decision: reasoning.write_plainly(evidence),),
    "brief": (lambda evidence, decision: reasoning.write_briefly(_obvious(evidence), decision), reasoning.write_briefly),
}
KINDS = (*_COPIED, "renamed", "oversampled", *_WRITERS)
PARALLEL_FROM = 20_000  # rows; fewer are explained faster by one process
_SIMILAR = 0.6  # the share of common letters from which words look alike

_LISTS = {"languages": [str], "translated": {str: [str]}, "english": {str: [str]}, "prefixes": [str]}
_WORDS = vocabulary.load("renaming", _LISTS, VOCABULARY)
_PREFIXES = ("", "", "", *_WORDS["prefixes"])


def augment(rows: list[dict], kinds: tuple[str, ...], seed: int = 7) -> list[dict]:
    """Return `rows` and changed copies of some, in a seeded random order.

    - shuffled: copies of 30%, with fields renamed and in another order.
    - injected: copies of 15%, with an instruction hidden in a field, which asks for any decision. Named twice: twice as many.
    - oversampled: copies of rows of rare slices, so that there are up to three of each.
    - renamed: 30% of all rows, not copies, get field names that no known CRM uses.
    - plain: every reasoning is replaced by one that goes through all fields in the same words.
    - brief: every reasoning is replaced by one that names two fields that decide and that obviously agree or differ.
    """
    rng, result = Random(seed), list(rows)
    if "oversampled" in kinds:
        sizes = Counter(row.get("slice") for row in rows)
        mean = len(rows) / len(sizes)
        result += [row for row in rows for _ in range(min(_MOST_ROWS, round(mean / sizes[row.get("slice")])) - 1)]
    for kind, share in _COPIED.items():
        for _ in range(kinds.count(kind)):
            result += [_copy(row, kind, rng) for row in rows if rng.random() < share]
    rng.shuffle(result)
    if kind := next((kind for kind in _WRITERS if kind in kinds), None):
        result = _explain_all(result, kind)
    if "renamed" in kinds:
        result = [_changed(row, rename, rng) if rng.random() < _RENAMED else row for row in result]
    return result


def rename(pair: Pair, rng: Random) -> Pair:
    """Return the pair with field names of another language or of a database, mostly the same for both records.

    A pair with any field name that no CRM in `SCHEMAS` uses stays as it is: a list has its own names.

    >>> rename(({"Email": "a@b.example"}, {"Email": "a@c.example"}), Random(2))
    ({'Correo electrónico': 'a@b.example'}, {'Courriel': 'a@c.example'})
    """
    if not _KNOWN.issuperset(pair[0].keys() | pair[1].keys()):
        return pair
    namings = [_naming(rng)] * 2 if rng.random() < 0.6 else [_naming(rng), _naming(rng)]
    return _renamed(pair[0], namings[0]), _renamed(pair[1], namings[1])


def _changed(row: dict, change: Callable[[Pair, Random], Pair], rng: Random) -> dict:
    """Return the row with its records changed."""
    record_a, record_b = change((row["input"]["record_a"], row["input"]["record_b"]), rng)
    return {**row, "input": {"record_a": record_a, "record_b": record_b}}


def _copy(row: dict, kind: str, rng: Random) -> dict:
    copy = _changed(row, _CHANGES[kind], rng)
    return {**copy, "id": f"{row['id']}-{kind}"} if row.get("id") not in (None, "") else copy


def _explain_all(rows: list[dict], kind: str) -> list[dict]:
    """Return each row with a reasoning of one kind; the cores share the work if there are many rows."""
    explain = partial(_explained, kind=kind)
    if len(rows) < PARALLEL_FROM:
        return list(map(explain, rows))
    with multiprocessing.Pool(initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        return list(pool.imap(explain, rows, chunksize=500))


def _explained(row: dict, kind: str) -> dict:
    """Return the row with the first reasoning that claims something and argues for no other decision, or unchanged if there is none."""
    pair, decision = row["input"], row["output"]["decision"]
    evidence = compare(**pair)
    for write in _WRITERS[kind]:
        explained = write(evidence, decision)
        if reasoning.claims(explained) and not reasoning.contradicts(decision, explained, **pair):
            return {**row, "output": {**row["output"], "reasoning": explained}}
    return row


def _obvious(evidence: Evidence) -> Evidence:
    """Return the evidence without what a small model gets wrong: words that agree and look different, or differ and look alike."""

    def is_obvious(concept: str, relation: str) -> bool:
        if relation in (FOUND, ONLY_A, ONLY_B):
            return True
        if relation not in (SAME, CLOSE, DIFFERS) or concept not in evidence.a or concept not in evidence.b:
            return False
        if concept in reasoning.CODES:
            return relation != CLOSE
        a, b = (_letters(values[concept]) for values in (evidence.a, evidence.b))
        return (SequenceMatcher(None, a, b).ratio() < _SIMILAR) == (relation == DIFFERS)

    return replace(evidence, relations={concept: said for concept, said in evidence.relations.items() if is_obvious(concept, said)})


def _letters(text: str) -> str:
    """Return the letters and digits of a text, of any script, in lower case."""
    return "".join(filter(str.isalnum, text.casefold()))


_KNOWN = frozenset(name for schema in SCHEMAS.values() for names in schema.values() for name in names)
_UNSEEN = frozenset(_letters(name) for schema in UNSEEN_SCHEMAS.values() for names in schema.values() for name in names)


def _renamed(record: Record, naming: Callable[[str], str]) -> Record:
    fields: Record = {}
    for name, value in record.items():
        new = naming(concept_of(name))
        fields[name if new in fields or new in record or _letters(new) in _UNSEEN else new] = value
    return fields


def _naming(rng: Random) -> Callable[[str], str]:
    """Return a function from a concept to the name of its field, in one language or one style of a database."""
    prefix, pick = rng.choice(_PREFIXES), rng.random()
    if rng.random() < 0.4:
        language = rng.randrange(len(_WORDS["languages"]))
        return lambda concept: _WORDS["translated"][concept][language]
    style = rng.choice(_STYLES)
    words = {concept: wordings[int(pick * len(wordings))].split() for concept, wordings in _WORDS["english"].items()}
    return lambda concept: prefix + style(words[concept])


def _short(word: str) -> str:
    """Return a word as databases shorten it: CTRY for country."""
    return word[0] + re.sub("[aeiou]", "", word[1:])[:3]


_STYLES: tuple[Callable[[list[str]], str], ...] = (
    lambda words: "_".join(words).upper(),
    lambda words: "_".join(words).capitalize(),
    lambda words: words[0] + "".join(map(str.capitalize, words[1:])),
    lambda words: "".join(map(str.capitalize, words)),
    lambda words: " ".join(words).upper(),
    lambda words: "_".join(map(_short, words)).upper(),
    lambda words: "".join(map(_short, words)).upper(),
)

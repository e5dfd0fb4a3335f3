"""Splink 5: probabilistic linkage, trained without labels on the records of the training split; two thresholds on the match weight."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import numpy as np
import pyarrow
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

from baselines.columns import columns
from baselines.pairs import Fitted, Pairs, Verdicts, by_thresholds, thresholds
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import metrics

LIBRARIES = ("splink", "duckdb", "anyascii", "pyarrow")
COMPARISONS = {
    ("first", "last", "person"): lambda: compare.ForenameSurnameComparison("first", "last", forename_surname_concat_col_name="person"),
    ("org",): lambda: compare.NameComparison("org"),
    ("email",): lambda: compare.EmailComparison("email"),
    ("birth",): lambda: compare.DateOfBirthComparison("birth", input_is_string=True),
    ("mobile",): lambda: compare.LevenshteinAtThresholds("mobile", [1, 2]),
    ("phone",): lambda: compare.LevenshteinAtThresholds("phone", [1, 2]),
    ("tax",): lambda: compare.LevenshteinAtThresholds("tax", [1, 2]),
    ("site",): lambda: compare.JaroWinklerAtThresholds("site", [0.92, 0.8]),
    ("street",): lambda: compare.JaroWinklerAtThresholds("street", [0.92, 0.8]),
    ("postcode",): lambda: compare.PostcodeComparison("postcode"),
    ("city",): lambda: compare.JaroWinklerAtThresholds("city", [0.9]).configure(term_frequency_adjustments=True),
    ("country",): lambda: compare.ExactMatch("country").configure(term_frequency_adjustments=True),
    ("suffix",): lambda: compare.ExactMatch("suffix"),
    ("role",): lambda: compare.JaroWinklerAtThresholds("role", [0.9, 0.7]),
}
# Columns in which agreement on a rare value says more.
FREQUENCIES = {"first", "last", "person", "org", "email", "city", "country"}
# Pairs that are all but certain, for the prior; and the blocks in which expectation maximisation learns.
CERTAIN = (("email", "last"), ("mobile", "last"), ("birth", "person"), ("tax", "org"), ("phone", "org"))
IDENTIFIERS = (("email",), ("mobile",), ("tax",), ("birth",), ("site",))
BLOCKS = {"identifiers": IDENTIFIERS, "identifiers and names": (*IDENTIFIERS, ("person",), ("org",))}
MIN_FILLED = 0.01
RECALL = 0.7
MAX_PAIRS = 1e6
MAX_WEIGHT = 100.0


def fit(train: Pairs, val: Pairs, seed: int) -> Fitted:
    """Train the linkage model on the records of `train`, without labels, and choose the thresholds on `val`."""
    candidates = [_candidate(train, val, blocks, seed) for blocks in BLOCKS]
    return max(candidates, key=lambda one: metrics.scores(val.gold, one.decide(val).decisions)["macro_f1"])


def scorer(pairs: Pairs, seed: int) -> Callable[[Pairs], np.ndarray]:
    """Return what gives the match weight of each pair, trained without labels on the records of `pairs`.

    Raises UserError where they have no column that can be compared.
    """
    database = DuckDBAPI(connection=duckdb.connect())
    linker, _ = _train(database, pairs, BLOCKS["identifiers and names"], seed)
    return lambda asked: _weights(database, linker, asked)


def _candidate(train: Pairs, val: Pairs, blocks: str, seed: int) -> Fitted:
    database = DuckDBAPI(connection=duckdb.connect())
    linker, parameters = _train(database, train, BLOCKS[blocks], seed)
    low, high = thresholds(_weights(database, linker, val), val.gold)

    def decide(pairs: Pairs) -> Verdicts:
        scores = _weights(database, linker, pairs)
        return Verdicts(by_thresholds(scores, low, high), scores)

    return Fitted(decide, {"low": low, "high": high, "blocks": blocks, **parameters})


def _train(database: DuckDBAPI, pairs: Pairs, blocks: tuple, seed: int) -> tuple[Linker, dict]:
    """Return the trained linker, and what was used to train it."""
    rows = [columns(record) for record in pairs.left + pairs.right]
    filled = {name for name in _names() if sum(name in row for row in rows) >= MIN_FILLED * len(rows)}
    compared = [names for names in COMPARISONS if filled.issuperset(names)]
    if not compared:
        raise UserError("splink found no column to compare in the training split: name fields as CRMs do, or leave it out with --only")
    settings = SettingsCreator("dedupe_only", [COMPARISONS[names]() for names in compared], additional_columns_to_retain=["pair"])
    linker = Linker(_table(database, rows), settings, log_level="ERROR")
    for name in sorted(filled & FREQUENCIES):
        linker.table_management.compute_tf_table(name)
    if rules := [block_on(*rule) for rule in CERTAIN if _repeats(rows, rule)]:
        linker.training.estimate_probability_two_random_records_match(rules, recall=RECALL)
    linker.training.estimate_u_using_random_sampling(max_pairs=MAX_PAIRS, seed=seed)
    # A block teaches something about the columns that are not in it.
    usable = [block for block in blocks if _repeats(rows, block) and any(not {*names} & {*block} for names in compared)]
    taught = [block for block in usable if _learn(linker, block)]
    return linker, {"columns": sorted(filled), "trained_on": ["+".join(block) for block in taught]}


def _learn(linker: Linker, block: tuple[str, ...]) -> bool:
    """Learn from the pairs of one block; False where they are too much alike, so that an estimate falls to 0 and Splink refuses it."""
    try:
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(*block), max_pairs=MAX_PAIRS)
    except ValueError as error:
        if "m_probability" not in str(error):
            raise
        return False
    return True


def _repeats(rows: list[dict], names: tuple[str, ...]) -> bool:
    """Tell whether any two records agree on all of these columns."""
    keys = [tuple(row[name] for name in names) for row in rows if row.keys() >= {*names}]
    return len(set(keys)) < len(keys)


def _weights(database: DuckDBAPI, linker: Linker, pairs: Pairs) -> np.ndarray:
    """Return the match weight of each pair, in its order."""
    left, right = (_table(database, [columns(record) for record in side], start) for side, start in ((pairs.left, 0), (pairs.right, len(pairs.left))))
    scored = linker.inference.predict_between(left, right, blocking_rules_to_generate_predictions=[block_on("pair")], warning_mode="never")
    weights = dict(scored.as_duckdbpyrelation().select("pair_l, match_weight").fetchall())
    return np.clip([weights[row] for row in range(len(pairs.left))], -MAX_WEIGHT, MAX_WEIGHT)


def _table(database: DuckDBAPI, rows: list[dict], start: int = 0):
    """Register one text column a name, with a unique id, and the number of the pair that joins left and right."""
    table = {name: pyarrow.array([row.get(name) for row in rows], pyarrow.string()) for name in _names()}
    return database.register(pyarrow.table({"unique_id": range(start, start + len(rows)), "pair": range(len(rows)), **table}))


def _names() -> list[str]:
    return [name for names in COMPARISONS for name in names]

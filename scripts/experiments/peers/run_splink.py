"""Splink as its tutorial sets it up: ``python run_splink.py FOLDER OUT SEED``; blocking, u by sampling, m by EM, clusters at 0.95."""

import sys
import time
from pathlib import Path

import common
import pandas
import splink.comparison_level_library as level
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on


def _first_of(name: str, *levels) -> compare.CustomComparison:
    """Return a comparison of values that agree together, such as an address: its manual warns of comparing each for itself."""
    columns = dict.fromkeys(column for _, *compared in levels for column in compared)
    nothing = level.And(*(level.NullLevel(column) for column in columns)) if len(columns) > 1 else level.NullLevel(*columns)
    made = [make(compared) for make, *compared in levels]
    return compare.CustomComparison([nothing, *made, level.ElseLevel()], output_column_name=name)


def _same(columns: list[str]):
    found = [level.ExactMatchLevel(column) for column in columns]
    return level.And(*found) if len(found) > 1 else found[0]


def _like(columns: list[str]):
    return level.JaroWinklerLevel(columns[0], 0.92)


PEOPLE = {
    ("first", "last", "person"): lambda: compare.ForenameSurnameComparison("first", "last", forename_surname_concat_col_name="person"),
    ("email",): lambda: compare.EmailComparison("email"),
    ("mobile",): lambda: compare.LevenshteinAtThresholds("mobile", [1, 2]),
    ("ssn",): lambda: compare.LevenshteinAtThresholds("ssn", [1, 2]),
    ("birth",): lambda: compare.DateOfBirthComparison("birth", input_is_string=True),
    ("role",): lambda: compare.JaroWinklerAtThresholds("role", [0.9]),
}
# Colleagues share all of these, so they count once; in a file without companies each counts for itself.
WORKPLACES = {
    ("phone", "company"): lambda: _first_of("work", (_same, "phone", "company"), (_same, "phone"), (_same, "company"), (_like, "company")),
    ("street", "city", "postcode"): lambda: _first_of("place", (_same, "street", "city"), (_same, "street"), (_same, "postcode"), (_same, "city")),
}
HOMES = {
    ("street",): lambda: compare.JaroWinklerAtThresholds("street", [0.92, 0.8]),
    ("city",): lambda: compare.JaroWinklerAtThresholds("city", [0.92]).configure(term_frequency_adjustments=True),
    ("postcode",): lambda: compare.LevenshteinAtThresholds("postcode", 1),
}
FREQUENCIES = ("first", "last", "person", "city")
CERTAIN = (("email", "last"), ("mobile", "last"), ("phone", "first", "last"), ("first", "last", "birth"), ("ssn", "last"))
BLOCKS = (
    *(("email",), ("phone",), ("mobile",), ("ssn",), ("first", "last"), ("last", "company"), ("last", "postcode"), ("first", "postcode")),
    *(("birth",), ("street", "city"), ("substr(first, 1, 3)", "substr(last, 1, 4)")),
)
# A file without companies and postcodes has few columns to combine: the tutorial, which uses such a file, has these rules.
WIDE_BLOCKS = (("first", "city"), ("last",))
LEARN = (("first", "last"), ("email",), ("mobile",), ("birth",))
ENOUGH = 50  # rows that repeat a block
THRESHOLDS = (0.95, 0.5, 0.8, 0.9, 0.99, 0.999, 0.9999, 0.99999)


def main(folder: Path, out: Path, seed: int) -> None:
    """Write the groups of a set."""
    began = time.monotonic()
    table = pandas.DataFrame(common.rows(folder)).replace("", None)
    table.insert(0, "unique_id", range(len(table)))
    table["person"] = [f"{first} {last}" if first and last else None for first, last in zip(table["first"], table["last"], strict=True)]
    table = table.dropna(axis=1, how="all")
    comparisons = PEOPLE | (WORKPLACES if "company" in table else HOMES)
    if "postcode" not in table:
        comparisons |= {("street",): HOMES["street",]}
    compared = {names: make for names, make in comparisons.items() if set(names) <= set(table)}

    def there(rules: tuple) -> list[tuple]:
        return [rule for rule in rules if {column.removeprefix("substr(").partition(",")[0] for column in rule} <= set(table)]

    database = DuckDBAPI()
    blocks = there(BLOCKS if {"company", "postcode"} & set(table) else BLOCKS + WIDE_BLOCKS)
    settings = SettingsCreator("dedupe_only", [make() for make in compared.values()], [block_on(*rule) for rule in blocks])
    linker = Linker(database.register(table), settings, log_level="ERROR")
    for name in FREQUENCIES:
        if name in table:
            linker.table_management.compute_tf_table(name)
    linker.training.estimate_probability_two_random_records_match([block_on(*rule) for rule in there(CERTAIN)], recall=0.7)
    linker.training.estimate_u_using_random_sampling(max_pairs=5e6, seed=seed)
    # A training on a block without pairs fails and leaves the model changed.
    learned = [rule for rule in there(LEARN) if table.dropna(subset=list(rule)).duplicated(list(rule)).sum() >= ENOUGH]
    for rule in learned:
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(*rule))
    predicted = linker.inference.predict(threshold_match_probability=0.01)
    variants = {}
    for threshold in THRESHOLDS:
        clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(predicted, threshold_match_probability=threshold)
        found = clusters.as_pandas_dataframe().groupby("cluster_id")["unique_id"].apply(list)
        variants[f"at {threshold}"] = common.singletons([[int(row) for row in cluster] for cluster in found], len(table))
    compared_columns = [name for names in compared for name in names]
    common.write(
        out, variants, "splink", time.monotonic() - began, labels=0, columns=compared_columns, learned_in_blocks=["+".join(rule) for rule in learned]
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

"""From keys to pairs, in DuckDB: count the blocks, cut the large ones, let Splink pair the records of the others, keep the best pairs.

The more keys two records share, and the rarer these are, the better the pair: each rule that finds it counts log2(records / block).
Where there are more pairs than the budget allows, those with the lowest sums are left out. No step depends on the order of the rows.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from crm_dedup_plugin.matching.candidates.keys import RULES, WORD_BITS

if TYPE_CHECKING:
    import duckdb

MEMORY = "3GB"  # of DuckDB; what needs more goes to a folder on the disk
BUDGET = 10  # candidates a record, in the mean
_JOINED = 50  # pairs a record that are made before the best of them are chosen
_WORD, _WORDS = len(RULES), len(RULES) + 1  # the two rules that follow: one very rare word, two rare words
_RARE, _CHOSEN = 200, 8  # records that share a word which is still rare; rarest words of a record that are tried
NAMES = (*(rule.name for rule in RULES), "one rare word", "two rare words")
_HALF = (1 << 31) - 1  # bits of each of two words in the number of their block
_LARGEST = (*(rule.largest for rule in RULES), 4, 10)


def connect(spill: Path) -> "duckdb.DuckDBPyConnection":
    """Return a database in memory that uses the folder `spill` when memory runs short."""
    import duckdb

    database = duckdb.connect()
    settings = {"memory_limit": MEMORY, "temp_directory": str(spill), "threads": len(os.sched_getaffinity(0)), "preserve_insertion_order": False}
    for name, value in {**settings, "enable_progress_bar": False}.items():
        database.execute(f"SET {name} = ?", [value])
    database.execute("CREATE TABLE rules (rule TINYINT, largest BIGINT)")
    database.executemany("INSERT INTO rules VALUES (?, ?)", list(enumerate(_LARGEST)))
    return database


def count(database: "duckdb.DuckDBPyConnection", records: Path, folder: Path, link: bool, total: int) -> None:
    """Make the table ``blocks``: block, rule, records, pairs, and whether it is cut. `folder` holds the keys.

    `link` counts pairs across files only; `total` is the number of records.
    """
    read = f"read_parquet('{quoted(folder)}/{{}}/*.parquet')"
    # A word is one number: first how many records have it, so that the rarest are the least.
    database.execute(f"""
        CREATE TABLE words AS
        WITH word AS (SELECT row, word FROM {read.format("words")}),
        rare AS (SELECT word, count(*) AS records FROM word GROUP BY word HAVING count(*) BETWEEN 2 AND {_RARE})
        SELECT row, array_slice(list_sort(list((records << {WORD_BITS}) | word)), 1, {_CHOSEN}) AS words FROM word JOIN rare USING (word) GROUP BY row""")
    database.execute(f"""
        CREATE TABLE entries AS
        SELECT row, rule, block FROM {read.format("keys")}
        UNION ALL SELECT row, {_WORD}::TINYINT, unnest(list_filter(words, lambda word: word >> {WORD_BITS} <= {_LARGEST[_WORD]})) FROM words
        UNION ALL SELECT row, {_WORDS}::TINYINT, ((word & {_HALF}) << 31) | (unnest(list_filter(words, lambda other: other > word)) & {_HALF})
        FROM (SELECT row, words, unnest(words) AS word FROM words)""")
    database.execute("DROP TABLE words")
    database.execute(f"CREATE VIEW origin AS SELECT row, {'source' if link else '0'} AS source FROM read_parquet('{quoted(records)}')")
    sizes = "SELECT block, rule, count(*) AS records, records * (records - 1) // 2 AS pairs FROM entries GROUP BY ALL"
    if link:
        sizes = """SELECT block, rule, sum(n)::BIGINT AS records, ((sum(n) ** 2 - sum(n ** 2)) / 2)::BIGINT AS pairs
            FROM (SELECT block, rule, source, count(*) AS n FROM entries JOIN origin USING (row) GROUP BY ALL) GROUP BY ALL"""
    database.execute(f"""
        CREATE TABLE blocks AS SELECT block, rule, records, pairs, pairs > largest * (largest - 1) // 2 AS cut
        FROM ({sizes}) JOIN rules USING (rule) WHERE pairs > 0""")
    joined = 0
    for size, pairs in database.execute("SELECT records, sum(pairs) FROM blocks WHERE NOT cut GROUP BY records ORDER BY records").fetchall():
        joined += pairs
        if joined > _JOINED * total:
            database.execute("UPDATE blocks SET cut = true WHERE records >= ?", [size])
            break


def pair(database: "duckdb.DuckDBPyConnection", link: bool, total: int) -> None:
    """Make the table ``pairs`` from ``blocks``: a, b, score, and the rules as bits. `total` is the number of records."""
    # A row of Splink's table is one number, of the record, the rule, and what a key of this block counts: both are the same in all of a block.
    database.execute(f"""
        CREATE TABLE keyed AS
        SELECT (row << 16) | (rule::BIGINT << 10) | round(16 * log2({total} / records))::BIGINT AS entry, block{", source" if link else ""}
        FROM entries JOIN (SELECT block, rule, records FROM blocks WHERE NOT cut) USING (block, rule) {"JOIN origin USING (row)" if link else ""}""")
    database.execute("DROP TABLE entries")
    joined = _splink(database, "l.block = r.block" + (" AND l.source <> r.source" if link else ""))
    database.execute(f"""
        CREATE TABLE pairs AS SELECT a, b, sum(counts)::BIGINT AS score, bit_or(1::UBIGINT << rule) AS rules FROM (
            SELECT join_key_l >> 16 AS a, join_key_r >> 16 AS b, (join_key_l >> 10) & 63 AS rule, max(join_key_l & 1023) AS counts
            FROM {joined} GROUP BY ALL) WHERE a < b GROUP BY a, b""")
    database.execute(f"DROP TABLE {joined}")


def _splink(database: "duckdb.DuckDBPyConnection", rule: str) -> str:
    """Let Splink pair the rows of ``keyed``; returns the name of its table."""
    from splink import DuckDBAPI, Linker, SettingsCreator

    api = DuckDBAPI(connection=database)
    settings = SettingsCreator("dedupe_only", comparisons=[], blocking_rules_to_generate_predictions=[rule], unique_id_column_name="entry")
    return Linker(api.register("keyed"), settings, log_level="ERROR").inference.compute_blocked_pairs_for_predict().physical_name


def best(database: "duckdb.DuckDBPyConnection", most: float) -> int:
    """Return the lowest score that a candidate needs, so that there are at most so many; pairs of one score stay together."""
    scores = database.execute("SELECT score, count(*) FROM pairs GROUP BY score ORDER BY score DESC").fetchall()
    lowest, total = scores[0][0] if scores else 0, 0
    for score, pairs in scores:
        total += pairs
        if total > most:
            break
        lowest = score
    return lowest


def quoted(path: Path) -> str:
    """Return a path as it stands between quotation marks in SQL."""
    return str(path).replace("'", "''")

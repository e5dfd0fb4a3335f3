"""From keys to pairs, by an engine: count the blocks, cut the large ones, let Splink pair the records of the others, keep the best pairs.

The more keys two records share, and the rarer these are, the better the pair: each rule that finds it counts log2(records / block).
Where there are more pairs than the budget allows, those with the lowest sums are left out. No step depends on the order of the rows.
"""

from pathlib import Path

from crm_dedup_plugin.matching.candidates.engines import Engine
from crm_dedup_plugin.matching.candidates.keys import RULES, WORD_BITS

BUDGET = 10  # candidates a record, in the mean
_JOINED = 50  # pairs a record that are made before the best of them are chosen
_WORD, _WORDS = len(RULES), len(RULES) + 1  # the two rules that follow: one very rare word, two rare words
_RARE, _CHOSEN = 200, 8  # records that share a word which is still rare; rarest words of a record that are tried
_HALF = (1 << 31) - 1  # bits of each of two words in the number of their block
NAMES = (*(rule.name for rule in RULES), "one rare word", "two rare words")
_LARGEST = (*(rule.largest for rule in RULES), 4, 10)


def count(engine: Engine, records: Path, folder: Path, link: bool, total: int) -> None:
    """Make the view ``blocks``: block, rule, records, pairs, and whether it is cut. `folder` holds the keys.

    `link` counts pairs across files only; `total` is the number of records.
    """
    import pyarrow as pa

    engine.put("rules", pa.table({"rule": pa.array(range(len(_LARGEST)), pa.int8()), "largest": pa.array(_LARGEST, pa.int64())}))
    for table in ("keys", "words"):
        engine.read(table, folder / table)
    engine.read("records", records)
    engine.view("origin", f"SELECT row, {'source' if link else '0'} AS source FROM records")
    # A word is one number: first how many records have it, so that the rarest are the least.
    engine.make(
        "rarest",
        f"""WITH rare AS (SELECT word, count(*) AS records FROM words GROUP BY word HAVING count(*) BETWEEN 2 AND {_RARE})
        SELECT row, array_slice(list_sort(list((records << {WORD_BITS}) | word)), 1, {_CHOSEN}) AS words
        FROM words JOIN rare USING (word) GROUP BY row""",
    )
    engine.make(
        "entries",
        f"""SELECT row, rule, block FROM keys
        UNION ALL SELECT row, {_WORD}::TINYINT, unnest(list_filter(words, lambda word: word >> {WORD_BITS} <= {_LARGEST[_WORD]})) FROM rarest
        UNION ALL SELECT row, {_WORDS}::TINYINT, ((word & {_HALF}) << 31) | (other & {_HALF})
        FROM (SELECT row, word, unnest(list_filter(words, lambda other: other > word)) AS other
            FROM (SELECT row, words, unnest(words) AS word FROM rarest))""",
    )
    engine.drop("rarest")
    sizes = (
        "SELECT block, rule, records, records * (records - 1) // 2 AS pairs FROM (SELECT block, rule, count(*) AS records FROM entries GROUP BY ALL)"
    )
    if link:
        sizes = """SELECT block, rule, sum(n)::BIGINT AS records, ((sum(n) * sum(n) - sum(n * n)) // 2)::BIGINT AS pairs
            FROM (SELECT block, rule, source, count(*) AS n FROM entries JOIN origin USING (row) GROUP BY ALL) GROUP BY ALL"""
    engine.make(
        "sizes",
        f"""SELECT block, rule, records, pairs, pairs > largest * (largest - 1) // 2 AS large
        FROM ({sizes}) JOIN rules USING (rule) WHERE pairs > 0""",
    )
    cut, joined = "large", 0
    for size, pairs in engine.rows("SELECT records, sum(pairs)::BIGINT FROM sizes WHERE NOT large GROUP BY records ORDER BY records"):
        joined += pairs
        if joined > _JOINED * total:
            cut = f"(large OR records >= {size})"
            break
    engine.view("blocks", f"SELECT block, rule, records, pairs, {cut} AS cut FROM sizes")


def pair(engine: Engine, link: bool, total: int) -> None:
    """Make the table ``pairs`` from ``blocks``: a, b, score, and the rules as bits. `total` is the number of records."""
    source, origin = (", source", "JOIN origin USING (row)") if link else ("", "")
    # A row of Splink's table is one number, of the record, the rule, and what a key of this block counts: both are the same in all of a block.
    engine.make(
        "keyed",
        f"""SELECT (entries.row << 16) | (rule::BIGINT << 10) | round(16 * log2({total} / records))::BIGINT AS entry, block{source}
        FROM entries JOIN (SELECT block, rule, records FROM blocks WHERE NOT cut) USING (block, rule) {origin}""",
    )
    engine.drop("entries")
    joined = _splink(engine, "l.block = r.block" + (" AND l.source <> r.source" if link else ""))
    engine.make(
        "pairs",
        f"""SELECT a, b, sum(counts)::BIGINT AS score, bit_or(1::BIGINT << rule) AS rules FROM (
            SELECT join_key_l >> 16 AS a, join_key_r >> 16 AS b, ((join_key_l >> 10) & 63)::INTEGER AS rule, max(join_key_l & 1023) AS counts
            FROM {joined.physical_name} GROUP BY ALL) WHERE a < b GROUP BY a, b""",
    )
    joined.drop_table_from_database_and_remove_from_cache()


def _splink(engine: Engine, rule: str):
    """Let Splink pair the rows of ``keyed``; returns its table."""
    from splink import Linker, SettingsCreator

    settings = SettingsCreator("dedupe_only", comparisons=[], blocking_rules_to_generate_predictions=[rule], unique_id_column_name="entry")
    return Linker(engine.splink.register("keyed"), settings, log_level="ERROR").inference.compute_blocked_pairs_for_predict()


def best(engine: Engine, most: float) -> int:
    """Return the lowest score that a candidate needs, so that there are at most so many; pairs of one score stay together."""
    scores = engine.rows("SELECT score, count(*) FROM pairs GROUP BY score ORDER BY score DESC")
    lowest, total = scores[0][0] if scores else 0, 0
    for score, pairs in scores:
        total += pairs
        if total > most:
            break
        lowest = score
    return lowest

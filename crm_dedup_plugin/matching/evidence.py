"""How much the evidence about candidates says: by general weights, and by what the columns of one list show without any answer.

A model that reads two records knows what they mean, but not how this list was made: which columns are often wrong, and which agree by chance.
The candidates show it, as in the model of Fellegi and Sunter (1969): the general probabilities say roughly which pairs are one entity, and
how often each column agrees among these and among the others is what its agreement says. The mean of both log-odds says it better, so that
a second step starts from it. One column alone has nothing to be compared with: what several classes of pairs look like can be learned from
three columns (Allman, Matias and Rhodes 2009), so lists with fewer keep the general weights. A column that repeats others, such as a full
name beside its parts, would count the same twice, and is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from scipy.special import expit, logit

from crm_dedup_plugin import process
from crm_dedup_plugin.matching.probability import COLUMNS, Calibration
from crm_dedup_plugin.matching.progress import shown
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.pair.record import Record
from crm_dedup_plugin.policy import comparison
from crm_dedup_plugin.policy.comparison import LEVELS
from crm_dedup_plugin.policy.names import fold

PART = 20_000  # pairs that a process looks at in one go

LEAST_COLUMNS, LEAST_PAIRS = 3, 50
FILLED = 0.05  # of the pairs: a column that fewer pairs have twice tells them little, and does not count
STEPS = 2  # chosen on lists that no result is about, as are the levels
SMOOTHED = 5.0  # pairs of each kind that are as all pairs are
PAIRS, RECORDS = 100_000, 2_000  # of a sample: more do not change the weights
RAREST = 1e-4  # the least share of pairs of one entity
REPEATED = 0.9  # of its values: a column of whose words the others of a record have so many repeats them

Levels = Sequence[Mapping[str, int]]  # of `comparison.levels`, one entry a pair


def of_pairs(records: Records, rows: np.ndarray, calibration: Calibration, what: str = "evidence") -> np.ndarray | float:
    """Return `Calibration.evidence` of all pairs of rows (n, 2), with progress under the name `what`."""
    if not calibration.weights:
        return 0.0
    found, say = [np.empty(0)], shown(f"decide: {what}", "pairs", len(rows))
    for part in process.spread(calibration.evidence, _parts(records, rows)):
        found.append(part)
        say(sum(map(len, found)))
    return np.concatenate(found)


def of_list(records: Records, rows: np.ndarray, log_odds: np.ndarray, general: Calibration) -> Calibration:
    """Return a general calibration with what the columns of a list say, if it lets a list teach that.

    `rows` (n, 2) are all candidates, and `log_odds` (n,) what the model says of them.
    """
    if general.columns != {} or not len(rows):
        return general
    rows, log_odds = _sample(rows, PAIRS), _sample(log_odds, PAIRS)
    levels = [one for part in process.spread(_levels, _parts(records, rows)) for one in part]
    levels = telling(levels, map(records.evidence, _sample(np.unique(rows), RECORDS).tolist()))
    return learn(general, general.slope * log_odds + general.bias + of_pairs(records, rows, general, "columns of this list"), levels)


def _sample(items: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many items, evenly spread."""
    return items[np.unique(np.linspace(0, len(items) - 1, min(len(items), most)).astype(int))]


def _parts(records: Records, rows: np.ndarray) -> Iterator[tuple[list[tuple[Record, Record]]]]:
    return ((list(records.pairs(rows[begin : begin + PART].tolist())),) for begin in range(0, len(rows), PART))


def _levels(pairs: Sequence[tuple[Record, Record]]) -> Levels:
    return [comparison.levels(*pair) for pair in pairs]


def telling(levels: Levels, records: Iterable[Record]) -> Levels:
    """Return the levels of pairs without the columns that repeat others in the records of the list."""
    names = repeated(records)
    return [{name: level for name, level in one.items() if name not in names} for one in levels]


def repeated(records: Iterable[Record]) -> set[str]:
    """Return the columns whose words the other columns of a record have too, those of many words first: a full name, not its parts."""
    words = [{name: set(fold(value).split()) or {value} for name, value in record.items()} for record in records]
    filled, lengths = Counter(name for one in words for name in one), Counter()
    for one in words:
        lengths.update({name: len(found) for name, found in one.items()})
    counts = [Counter(word for found in one.values() for word in found) for one in words]  # in how many columns of a record
    names: set[str] = set()
    for name in sorted(filled, key=lambda name: (-lengths[name] / filled[name], name)):
        there = [(one[name], count) for one, count in zip(words, counts, strict=True) if name in one]
        if sum(all(count[word] > 1 for word in found) for found, count in there) >= REPEATED * len(there):
            names.add(name)
            for found, count in there:
                count.subtract(found)
    return names


def learn(general: Calibration, log_odds: np.ndarray, levels: Levels) -> Calibration:
    """Return a general calibration with what the columns of a list say; `log_odds` (n,) of its pairs are those of the general one.

    Where the list has too few pairs or columns to learn from, the general calibration is returned as it is.
    """
    names = sorted({name for pair in levels for name in pair})
    table = np.array([[pair.get(name, -1) for name in names] for pair in levels], int).reshape(len(levels), len(names))
    if len(levels) < LEAST_PAIRS or ((table >= 0).mean(axis=0) >= FILLED).sum() < LEAST_COLUMNS:
        return general
    pooled = log_odds
    for _ in range(STEPS):
        same = expit(pooled)
        share = logit(np.clip(same.mean(), RAREST, 1 - RAREST))
        weights = np.array([_weights(column, same) for column in table.T])
        said = np.where(table >= 0, weights[np.arange(len(names)), table], 0.0).sum(axis=1)
        pooled = (log_odds + share + said) / 2
    halved = {name: weight / 2 for name, weight in general.weights.items()}
    tables = {name: np.round(row / 2, 3).tolist() for name, row in zip(names, weights, strict=True)}
    return general._replace(slope=general.slope / 2, bias=float(general.bias + share) / 2, weights={**halved, COLUMNS: 1.0}, columns=tables)


def _weights(column: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Return the log-odds (LEVELS,) that each level of agreement adds, 0 where no pair has it; `column` (n,) has -1 where a record lacks it."""
    there = column >= 0
    both = np.bincount(column[there], minlength=LEVELS)
    one = np.minimum(np.bincount(column[there], same[there], minlength=LEVELS), both)
    smooth = SMOOTHED * both / max(both.sum(), 1)
    of_one, of_two = ((kind + smooth) / (kind.sum() + SMOOTHED) for kind in (one, both - one))
    return np.log(np.divide(of_one, of_two, out=np.ones(LEVELS), where=both > 0))

"""The decisions of a run as arrays: what the model said before, and what it is asked later."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.storage import write_table

if TYPE_CHECKING:
    import pyarrow

Ask = Callable[[list[tuple[int, int]]], list[tuple[float, float, float]]]
DUPLICATE, POSSIBLE, NO_MATCH = range(len(LABELS))
CHUNK = 2048  # pairs that are asked before their answers are written


class Decided(NamedTuple):
    """Pairs of rows and what the model says of them."""

    pairs: np.ndarray  # (n, 2) int64, the smaller row first
    probabilities: np.ndarray  # (n, 3) float32, calibrated, in the order of `LABELS`
    labels: np.ndarray  # (n,) int8, an index of `LABELS`

    @classmethod
    def of(cls, run: Path) -> Self:
        """Return what the stage "decide" of a run found."""
        import pyarrow.dataset

        run_folder.report(run, "decide")
        shards = sorted((run_folder.folder(run, "decide") / "shards").glob("*.parquet"))
        if not shards:
            return cls.from_answers([], [])
        table = pyarrow.dataset.dataset(shards).to_table(columns=["a", "b", *map(str.lower, LABELS), "decision"])
        return cls._from(table)

    @classmethod
    def from_answers(cls, pairs: Sequence[tuple[int, int]], rows: Sequence[Sequence[float]]) -> Self:
        """Return pairs with calibrated probabilities; the most probable label is the decision."""
        probabilities = np.array(rows, np.float32).reshape(-1, len(LABELS))
        return cls(np.array(pairs, np.int64).reshape(-1, 2), probabilities, probabilities.argmax(1).astype(np.int8))

    @classmethod
    def _from(cls, table: "pyarrow.Table") -> Self:
        import pyarrow as pa
        import pyarrow.compute as pc

        pairs = np.stack([table[side].to_numpy() for side in ("a", "b")], axis=1)
        probabilities = np.stack([table[label.lower()].to_numpy() for label in LABELS], axis=1).astype(np.float32)
        labels = pc.index_in(table["decision"], value_set=pa.array(LABELS)).to_numpy().astype(np.int8)
        return cls(pairs, probabilities, labels)

    def with_more(self, other: Self) -> Self:
        """Return these pairs and others behind them."""
        return type(self)(*map(np.concatenate, zip(self, other, strict=True)))


class Remembered:
    """Ask about pairs, and write every `CHUNK` answers to a folder: asked again, after an interruption too, they are read from there."""

    def __init__(self, ask: Ask, folder: Path):
        self.ask, self.folder = ask, folder
        folder.mkdir(exist_ok=True)
        self.known: dict[tuple[int, int], tuple[float, ...]] = {}
        for path in sorted(folder.glob("*.parquet")):
            self._read(path)

    def __call__(self, pairs: np.ndarray) -> Decided:
        """Return the answers about (n, 2) pairs of rows, in their order."""
        wanted = [tuple(pair) for pair in pairs.tolist()]
        new = [pair for pair in wanted if pair not in self.known]
        for start in range(0, len(new), CHUNK):
            self._ask(new[start : start + CHUNK])
            print(f"group: {min(start + CHUNK, len(new)):,} of {len(new):,} missing pairs asked", file=sys.stderr, flush=True)
        return Decided.from_answers(wanted, [self.known[pair] for pair in wanted])

    def _ask(self, pairs: list[tuple[int, int]]) -> None:
        import pyarrow as pa

        columns = [*zip(*pairs, strict=True), *zip(*self.ask(pairs), strict=True)]
        kinds = [pa.int64()] * 2 + [pa.float64()] * len(LABELS)
        arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
        table = pa.table(arrays, names=["a", "b", *map(str.lower, LABELS)])
        self._read(write_table(table, self.folder / f"{len(list(self.folder.glob('*.parquet'))):05}.parquet"))

    def _read(self, path: Path) -> None:
        import pyarrow.parquet

        for row in zip(*pyarrow.parquet.read_table(path).to_pydict().values(), strict=True):
            self.known[row[:2]] = row[2:]

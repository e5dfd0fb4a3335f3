"""What finds the candidates: an engine that runs SQL on tables. DuckDB works on this machine, Spark (`spark.py`) on one or many.

All queries are written in DuckDB's SQL, of which they use what Spark can do too.
"""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from crm_dedup_plugin import process

if TYPE_CHECKING:
    import pyarrow

MEMORY = "3GB"  # of DuckDB; what needs more goes to a folder on the disk
DUCKDB, SPARK = "duckdb", "spark"  # names of engines; the address of a Spark master is one, too
Work = Callable[[str, "pyarrow.RecordBatch"], tuple[int, ...]]  # of a batch, under a name that no other one has


class Engine(Protocol):
    """Runs queries, each in DuckDB's SQL, on tables that are known by their names; closed at the end of a block."""

    errors: tuple[type[Exception], ...]  # what it raises where memory or disk run out
    splink: Any  # Splink's view of it

    def each(self, path: Path, columns: Sequence[str], size: int, work: Work) -> Iterator[tuple[int, ...]]:
        """Yield the counts that `work` (a function of a module, or a partial one) returns of batches of at most `size` rows of a Parquet file.

        How many batches each yield stands for is up to the engine.
        """

    def read(self, name: str, files: Path) -> None:
        """Give a Parquet file, or a folder of them, a name."""

    def put(self, name: str, table: "pyarrow.Table") -> None:
        """Make a table of what is in memory."""

    def view(self, name: str, query: str) -> None:
        """Give a query a name; it runs whenever the name is used."""

    def make(self, name: str, query: str) -> None:
        """Make a table of what a query finds."""

    def drop(self, name: str) -> None:
        """Remove a table."""

    def rows(self, query: str) -> list[tuple]:
        """Return what a query finds."""

    def save(self, query: str, path: Path) -> None:
        """Write what a query finds, in its order, to one Parquet file."""

    def __enter__(self) -> "Engine": ...

    def __exit__(self, *error: object) -> None: ...


class DuckDB:
    """A database in memory, which uses a folder inside `work` when memory runs short."""

    def __init__(self, work: Path):
        import duckdb

        self.errors = (duckdb.Error,)
        self._database = duckdb.connect()
        settings = {"memory_limit": MEMORY, "temp_directory": str(work / "spill"), "threads": len(os.sched_getaffinity(0))}
        for name, value in {**settings, "preserve_insertion_order": False, "enable_progress_bar": False}.items():
            self._database.execute(f"SET {name} = ?", [value])

    def __enter__(self) -> "DuckDB":
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    @property
    def splink(self) -> Any:
        from splink import DuckDBAPI

        return DuckDBAPI(connection=self._database)

    def each(self, path: Path, columns: Sequence[str], size: int, work: Work) -> Iterator[tuple[int, ...]]:
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            batches = file.iter_batches(size, columns=list(columns))
            yield from process.spread(work, ((f"{at:05d}", batch) for at, batch in enumerate(batches)))

    def read(self, name: str, files: Path) -> None:
        pattern = glob.escape(str(files)) + ("/*.parquet" if files.is_dir() else "")
        self.view(name, f"SELECT * FROM read_parquet({_quoted(pattern)})")

    def put(self, name: str, table: "pyarrow.Table") -> None:
        self._database.register("given", table)
        self.make(name, "SELECT * FROM given")
        self._database.unregister("given")

    def view(self, name: str, query: str) -> None:
        self._database.execute(f"CREATE VIEW {name} AS {query}")

    def make(self, name: str, query: str) -> None:
        self._database.execute(f"CREATE TABLE {name} AS {query}")

    def drop(self, name: str) -> None:
        self._database.execute(f"DROP TABLE {name}")

    def rows(self, query: str) -> list[tuple]:
        return self._database.execute(query).fetchall()

    def save(self, query: str, path: Path) -> None:
        self._database.execute(f"COPY ({query}) TO {_quoted(path)} (FORMAT parquet, COMPRESSION zstd)")


def _quoted(path: str | Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

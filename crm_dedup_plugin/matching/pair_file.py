"""Decide about a file of pairs, one line of JSON out for each line in: ``crm-dedup decide pairs.jsonl --out decisions.jsonl``.

With an output file the work survives an interruption: the lines that are done lie in ``.decisions.jsonl.part`` beside it, and
the same command goes on after them. A line that cannot be used is answered with its error, and does not stop the others.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.matcher import READS, Answered, Decision, Matcher, ahead, to_line
from crm_dedup_plugin.matching.progress import shown
from crm_dedup_plugin.pair.files import MAX_ERRORS, DataError, Pair, each_pair
from crm_dedup_plugin.pair.record import Record
from crm_dedup_plugin.provenance import PROMPT_VERSION, model_digest
from crm_dedup_plugin.storage import lock


class PartlyAnswered(UserError):
    """Some lines could not be used; all others were answered."""

    code = 3


def answer_stream(matcher: Matcher, source: BinaryIO, origin: str, explain: str) -> None:
    """Print the answer to each line of `source`; raises PartlyAnswered at the end if some could not be used."""
    _require_no(*_answer(matcher, source, origin, explain, lambda lines: print(*lines, sep="\n", flush=True)))


def answer_file(matcher: Matcher, source: BinaryIO, origin: str, explain: str, out: Path) -> None:
    """Write the answers to the lines of `source`, which can be read twice, to `out`: whole, or not at all.

    Continues what an earlier call began on the same lines with the same model. Raises PartlyAnswered as `answer_stream`
    does, once `out` is written, and UserError where it cannot be written.
    """
    key = {"input_sha256": hashlib.file_digest(source, "sha256").hexdigest(), "model_sha256": model_digest(matcher.model)}
    source.seek(0)
    with _part(out, json.dumps(key | {"explain": explain, "prompt_version": PROMPT_VERSION, "reads": READS})) as (part, done):
        total = sum(bool(line.strip()) for line in source)
        source.seek(0)

        def write(lines: list[str]) -> None:
            part.write("".join(f"{line}\n" for line in lines).encode())
            part.flush()
            os.fsync(part.fileno())

        found = _answer(matcher, source, origin, explain, write, done, total)
    _require_no(*found)


def _answer(
    matcher: Matcher,
    source: BinaryIO,
    origin: str,
    explain: str,
    write: Callable[[list[str]], object],
    done: list[str] | None = None,
    total: int | None = None,
) -> tuple[list[str], int]:
    """Return the errors of lines that could not be used, those of `done` included, and the number of all lines."""
    errors = [found["error"] for found in map(json.loads, done or ()) if "error" in found]
    answered = len(done or ())
    say = shown("decide", "lines", total, answered) if total else lambda _: None
    if done:
        print(f"continuing after {len(done):,} lines", file=sys.stderr, flush=True)
    shards = _shards(islice(each_pair(source, origin), answered, None), matcher.shard)
    decided = ahead(_decided(matcher, ahead(shards), explain)) if total else _decided(matcher, shards, explain)
    for found in decided:  # a pipe is not read ahead: who writes to it may wait for answers
        errors += [str(one) for one, _ in found if isinstance(one, DataError)]
        write([_line(*pair) for pair in found])
        answered += len(found)
        say(answered)
    if not answered:
        raise DataError(f"{origin}: no pairs in it: add one JSON object a line")
    return errors, answered


def _decided(matcher: Matcher, shards: Iterator[list[Pair | DataError]], explain: str) -> Iterator[list[tuple[Pair | DataError, Decision | None]]]:
    read: deque[list[Pair | DataError]] = deque()

    def pairs() -> Iterator[list[tuple[Record, Record]]]:
        for shard in shards:
            read.append(shard)
            yield [one.records for one in shard if isinstance(one, Pair)]

    for told in _in_order(matcher.each(pairs(), explain)):
        decisions = iter(told)
        yield [(one, next(decisions) if isinstance(one, Pair) else None) for one in read.popleft()]


def _shards(items: Iterator[Pair | DataError], size: int) -> Iterator[list[Pair | DataError]]:
    while shard := list(islice(items, size)):
        yield shard


def _in_order(answered: Iterable[Answered]) -> Iterator[list[Decision]]:
    waiting, turn = {}, 0
    for at, told in answered:
        waiting[at] = told
        while turn in waiting:
            yield waiting.pop(turn)
            turn += 1


def _line(one: Pair | DataError, decision: Decision | None) -> str:
    if isinstance(one, DataError):
        return json.dumps({"line": one.line, "error": str(one)}, ensure_ascii=False)
    return to_line(decision, line=one.line, **({"id": one.id} if one.id else {}))


def _require_no(errors: list[str], answered: int) -> None:
    if errors:
        shown = [*errors[:MAX_ERRORS], *([f"(and {len(errors) - MAX_ERRORS:,} more)"] if len(errors) > MAX_ERRORS else [])]
        others = f"the other {answered - len(errors):,} lines were answered: correct these and run the command again"
        raise PartlyAnswered("\n".join([f"{len(errors):,} of {answered:,} lines could not be used; {others}", *shown]))


@contextlib.contextmanager
def _part(out: Path, key: str) -> Iterator[tuple[BinaryIO, list[str]]]:
    """Yield the file that grows until it becomes `out`, and the lines that it holds already; a first line in a file beside it has `key`."""
    path, label = out.with_name(f".{out.name}.part"), out.with_name(f".{out.name}.part.json")
    try:
        file = path.open("a+b")
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}): name a file in a folder that is there and that you may write to") from None
    with file:
        if not lock(file):
            raise UserError(f"another process is writing {out}: wait for it, or name another file with --out")
        file.seek(0)
        known = label.is_file() and label.read_text(encoding="utf-8") == key
        whole = file.read().rpartition(b"\n")[:2] if known else ()
        file.truncate(sum(map(len, whole)))
        label.write_text(key, encoding="utf-8")
        try:
            yield file, whole[0].decode().split("\n") if whole and whole[0] else []
        except BaseException:
            if not path.stat().st_size:  # nothing to continue after
                path.unlink()
                label.unlink()
            raise
        path.replace(out)
        label.unlink()

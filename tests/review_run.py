"""A run to review and the command that shows it, for tests of the review's page."""

import contextlib
import csv
import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from match_by_rules import match

ROOT = Path(__file__).resolve().parents[1]
HEADER = ("Record ID", "First Name", "Last Name", "Email", "Phone Number", "Company name", "City", "Create Date")
FIRST = "Ann Boris Carla Dmitri Elena Farid Greta Hugo Ines Jonas Katja Lars Mona Nils Olga Pavel Rosa Stefan Tessa Viktor".split()
LAST = "Archer Brandt Castell Dorn Eklund Fontaine Grimaldi Holm Iversen Jansen".split()


def people(count: int) -> list[tuple[str, ...]]:
    """Return `count` people in three or four records: two or three that are plainly theirs, and one that says too little."""
    rows: list[tuple[str, ...]] = []
    for at in range(count):
        first, last = FIRST[at % len(FIRST)], LAST[at // len(FIRST) % len(LAST)] + "x" * (at // 200)
        email, company = f"{first}.{last}{at}@{last}.example".lower(), f"{last} & {first} Ltd"
        rows.append((f"{3 * at + 1}", first, last, email, f"+49 30 555 {at:04}", company, "Berlin", "2021-03-01 10:00"))
        rows.append((f"{3 * at + 2}", first, f"{last}-Lee", email, f"0049-30-555{at:04}", company, "Berlin", "2022-03-01 10:00"))
        if at % 4 == 0:
            rows.append((f"{10_000 + at}", first, f"{last} Lee", email, "", f"{company}.", "", "2022-04-01 10:00"))
        rows.append((f"{3 * at + 3}", first, last, "", "", "", "Potsdam" if at % 2 else "Berlin", "2023-03-01 10:00"))
    return rows


def make(folder: Path, rows: list[tuple[str, ...]], name: str = "contacts", header: tuple[str, ...] = HEADER) -> Path:
    """Write an export and match it by the rules; return the folder of the run."""
    write(folder / f"{name}.csv", rows, header)
    match(folder / "runs" / name, folder / f"{name}.csv")
    return folder / "runs" / name


def write(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = HEADER) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


class Review(NamedTuple):
    """A review that is shown at `address` by `process`."""

    address: str
    process: subprocess.Popen

    def request(self, method: str, path: str = "", body: bytes | None = None, headers: dict | None = None) -> tuple[int, dict, bytes]:
        """Return status, headers and body; `path` is added to the address, unless it begins with a slash."""
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        with contextlib.closing(connection):
            connection.putrequest(method, path if path.startswith("/") else parts.path + path, skip_host="Host" in (headers or {}))
            own = {"Content-Length": str(len(body))} if body is not None and "Transfer-Encoding" not in (headers or {}) else {}
            for name, value in {**own, **(headers or {})}.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            found = connection.getresponse()
            return found.status, {name.lower(): value for name, value in found.getheaders()}, found.read()

    def ask(self, what: str) -> dict:
        status, _, body = self.request("GET", f"ask/{what}")
        assert status == 200, body
        return json.loads(body)

    def tell(self, what: str, said: dict) -> tuple[int, dict]:
        parts = urlsplit(self.address)
        headers = {"Content-Type": "application/json", "Origin": f"http://{parts.netloc}"}
        status, _, body = self.request("POST", f"tell/{what}", json.dumps(said).encode(), headers)
        return status, json.loads(body)


@contextlib.contextmanager
def reviewing(run: Path | str, *options: str, code: tuple[str, ...] = ("-m", "crm_dedup_plugin"), port: str = "0", **settings) -> Iterator[Review]:
    """Show a run with `crm-dedup review`, until the end of the block."""
    command = [sys.executable, *code, "review", str(run), "--port", port, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **{"cwd": ROOT, **settings})
    try:
        line = process.stdout.readline()
        found = re.match(r"review: (http://127\.0\.0\.1:\d+/[\w-]{20,}/) ", line)
        assert found, (line, process.stderr.read())
        yield Review(found[1], process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()
        process.stderr.close()

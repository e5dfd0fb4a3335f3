"""The script that measures whole deduplications: its files, and what it makes of a finished run."""

import csv
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.read import read

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts" / "experiments"))

import match_peers  # noqa: E402
import match_quality  # noqa: E402
import match_sets  # noqa: E402


def rows(path: Path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return match_sets.make("hubspot", 120, 7, tmp_path_factory.mktemp("matching"))


def test_the_tidy_file_has_common_columns_and_nothing_of_the_truth(made):
    tidy, export = rows(made / "tidy.csv"), rows(made / "export.csv")
    assert len(tidy) == len(export) == len(match_sets.truth(made)) == 120
    assert list(tidy[0]) == ["first", "last", "email", "phone", "mobile", "company", "role", "street", "city", "postcode", "birth"]
    assert [row["city"] for row in tidy] == [row["City"].lower() for row in export]
    assert all(row["phone"].isdigit() and len(row["phone"]) <= 8 for row in tidy if row["phone"])
    assert not [row for row in tidy if row["email"] in ("test@test.com", "n/a")]


def finished(run: Path, folder: Path, groups: list[list[int]], review: list[tuple], candidates: list[tuple]) -> Path:
    """Write a run as `crm-dedup match` leaves it: the first stage for real, the tables of the others."""
    run.mkdir(parents=True)
    size = read(run, [folder / "export.csv"])["records"]
    of = list(range(size))
    for group in groups:
        for row in group:
            of[row] = min(group)
    tables = {
        ("candidates", "candidates"): {"a": [a for a, _ in candidates], "b": [b for _, b in candidates]},
        ("decide", "none"): {},
        ("group", "groups"): {"row": list(range(size)), "group": of},
        ("group", "review"): {"a": [a for a, _ in review], "b": [b for _, b in review]},
    }
    for (stage, name), columns in tables.items():
        target = run_folder.folder(run, stage)
        target.mkdir(exist_ok=True)
        pq.write_table(pa.table({column: pa.array(values, pa.int64()) for column, values in columns.items()}), target / f"{name}.parquet")
        (target / run_folder.REPORT).write_text(json.dumps({"threshold": 0.79, "pairs": len(candidates), "model": "m"}))
    return run


def test_a_run_is_measured_by_the_truth_of_its_file(made, tmp_path):
    people = {}
    for row, entity in enumerate(match_sets.truth(made).values()):
        people.setdefault(entity, []).append(row)
    several = [found for found in people.values() if len(found) > 1]
    pairs = [(a, b) for found in several for a in found for b in found if a < b]
    perfect = match_quality.of_run(finished(tmp_path / "perfect", made, several, [], pairs), made, 7)
    assert perfect["pairs"]["f1"]["value"] == perfect["blocking"]["completeness"]["value"] == 1
    assert perfect["decide"]["threshold"] == 0.79
    half = match_quality.of_run(finished(tmp_path / "half", made, several[1:], [tuple(several[0][:2])], pairs[1:]), made, 7)
    assert half["pairs"]["precision"]["value"] == 1
    assert half["pairs"]["recall"]["value"] < 1
    assert half["merged_or_in_review"]["value"] > half["pairs"]["recall"]["value"]
    assert half["blocking"]["completeness"]["value"] == pytest.approx(1 - 1 / len(pairs))


def test_a_run_of_another_file_is_refused(made, tmp_path):
    run = finished(tmp_path / "run", made, [], [], [])
    other = match_sets.make("hubspot", 130, 8, tmp_path / "matching")
    with pytest.raises(UserError, match="it is a run of another file"):
        match_quality.of_run(run, other, 7)


def test_every_peer_has_a_program_and_pinned_packages():
    for name in (*match_peers.PEERS, "febrl"):
        assert (match_peers.FOLDER / f"run_{name}.py").is_file()
        lines = (match_peers.FOLDER / f"{name}.txt").read_text().splitlines()
        assert all("==" in line for line in lines if not line.startswith("#"))

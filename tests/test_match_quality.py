"""The script that measures whole deduplications: its files, and what it makes of a finished run."""

import csv
import io
import itertools
import json
import re
import sys
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.read import read
from crm_dedup_plugin.provenance import FAMILIES, MANIFEST

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts" / "experiments"))

import match_peers  # noqa: E402
import match_quality  # noqa: E402
import match_sets  # noqa: E402
from sources import registry  # noqa: E402


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


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Return a function that publishes a small file in place of the one that a set is made of, and returns the folder of the sources."""

    def publish(name: str, rows: list[dict]) -> Path:
        source = match_sets._TABLES["published"][name]["source"]
        (path,) = source["files"]
        file = tmp_path / "sources" / name / path
        file.parent.mkdir(parents=True)
        if file.suffix == ".csv":
            with file.open("w", encoding="utf-8", newline="") as opened:
                writer = csv.DictWriter(opened, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        else:
            pq.write_table(pa.Table.from_pylist(rows), file)
        monkeypatch.setitem(source, "files", {path: sha256(file.read_bytes()).hexdigest()})
        return tmp_path / "sources"

    return publish


def people(size: int, records: int) -> list[dict]:
    """Return the records of `size` people as Splink publishes them: one after another, with ids that name the person."""
    cells = {"first_name": 'Zoë, "Z"', "dob": "1984-10-27", "birth_place": "Łódź", "postcode_fake": None, "occupation": None}
    more = {"city": "", "email": "z@z.example"}
    return [{"unique_id": f"Q{one}-{n}", "cluster": f"Q{one}", **cells, **more, "surname": f"S{one}"} for one in range(size) for n in range(records)]


@pytest.mark.parametrize("name", ["fake_1000", "historical_figures"])
def test_a_published_file_gives_rows_without_a_trace_of_the_truth(name, published, tmp_path, monkeypatch):
    source = published(name, people(40, 3))
    monkeypatch.setitem(match_sets._TABLES["published"][name], "entities", 30)
    folder = match_sets.make(name, 0, 7, tmp_path / "matching", source)
    export, truth = rows(folder / "export.csv"), match_sets.truth(folder)
    assert len(export) == len(truth) == len(rows(folder / "tidy.csv")) == 90
    assert {entity.removeprefix("Q") for entity in truth.values()} == {str(number) for number in range(30)}  # the first thirty
    assert all(row["surname"] == truth[row["id"]].replace("Q", "S") for row in export)
    assert {(row["first_name"], row["postcode_fake"]) for row in export} == {('Zoë, "Z"', "")}
    assert not {"unique_id", "cluster"} & set(export[0])
    assert not [cell for row in export for cell in row.values() if cell.startswith("Q")]
    entities = list(truth.values())
    assert sum(one == other for one, other in itertools.pairwise(entities)) < 15  # sixty in the file as it was published


def test_a_published_file_that_is_missing_or_another_is_refused(published, tmp_path):
    with pytest.raises(UserError, match=r"fake_1000.csv is missing .*: add --download, or put it there yourself"):
        match_sets.make("fake_1000", 0, 7, tmp_path / "matching", tmp_path)
    source = published("fake_1000", people(3, 2))
    with next(source.rglob("*.csv")).open("a") as file:
        file.write("Q9-9,Q9\n")
    with pytest.raises(UserError, match="has the SHA-256"):
        match_sets.make("fake_1000", 0, 7, tmp_path / "matching", source)


def test_a_published_file_is_fetched_at_its_commit(published, tmp_path, monkeypatch):
    content = next(published("fake_1000", people(3, 2)).rglob("*.csv")).read_bytes()
    asked = []
    monkeypatch.setattr(registry.urllib.request, "urlopen", lambda address, timeout: asked.append(address) or io.BytesIO(content))
    folder = match_sets.make("fake_1000", 0, 7, tmp_path / "matching", tmp_path / "empty", download=True)
    assert len(match_sets.truth(folder)) == 6
    assert re.fullmatch(r"https://raw\.githubusercontent\.com/moj-analytical-services/splink_datasets/[0-9a-f]{40}/data/fake_1000\.csv", *asked)


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
    by_entity = {}
    for row, entity in enumerate(match_sets.truth(made).values()):
        by_entity.setdefault(entity, []).append(row)
    several = [found for found in by_entity.values() if len(found) > 1]
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


def test_a_model_is_not_measured_on_a_family_that_it_was_trained_on(tmp_path, capsys):
    model, place = tmp_path / "model", tmp_path / "fake_1000"
    model.mkdir()
    (model / MANIFEST).write_text(json.dumps({FAMILIES: ["splink"]}))
    assert list(match_quality.ours(place, str(model), 7, [])) == []
    assert "trained on its family, splink" in capsys.readouterr().err

"""Candidates: which pairs of records are worth a decision, and which never are."""

import csv
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.candidates import find, keys, parts
from crm_dedup_plugin.matching.records import CONSTANT, EVIDENCE, FILE, Column, Source, schema
from crm_dedup_plugin.policy.fields import concept_of

Row = dict[str, str]


def source(names: list[str], kind: str = "contact", separators: dict[str, str] | None = None, constant: tuple[str, ...] = ()) -> Source:
    columns = [Column(name, CONSTANT if name in constant else EVIDENCE, concept_of(name), (separators or {}).get(name)) for name in names]
    return Source("contacts.csv", "generic", "", kind, columns)


def make_run(run: Path, *files: tuple[Source, list[Row]]) -> Path:
    """Write the first stage of a run, as reading writes it; each row has an "id"."""
    folder, table = run_folder.folder(run, "read"), []
    folder.mkdir(parents=True)
    for number, (one, rows) in enumerate(files):
        evidence = {column.name for column in one.columns if column.role == EVIDENCE}
        for line, row in enumerate(rows, start=2):
            cells = {name: value for name, value in row.items() if value and name != "id"}
            texts = (json.dumps(cells), json.dumps({name: value for name, value in cells.items() if name in evidence}))
            table.append((len(table), number, line, row["id"], None, None, *texts))
    columns = {name: [row[at] for row in table] for at, name in enumerate(schema().names)}
    pyarrow.parquet.write_table(pa.table(columns, schema=schema()), folder / FILE)
    sources = [{**one._asdict(), "columns": [column._asdict() for column in one.columns]} for one, _ in files]
    report = {"sources": sources, "files": [], "rows": len(table), "records": len(table), "kind": "contact", "link": len(files) > 1, "seconds": 0}
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "key.json").write_text("{}")
    return run


def found(run: Path, limit: int = 10) -> set[frozenset[str]]:
    """Return the candidates as pairs of ids."""
    find(run, limit)
    table = pyarrow.parquet.read_table(run_folder.folder(run, "candidates") / "candidates.parquet")
    ids = pyarrow.parquet.read_table(run_folder.folder(run, "read") / FILE)["id"].to_pylist()
    pairs = list(zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True))
    assert pairs == sorted(set(pairs)) and all(a < b for a, b in pairs) and all(table["rules"].to_pylist())
    return {frozenset((ids[a], ids[b])) for a, b in pairs}


def pairs_of(tmp_path: Path, rows: list[Row], **about) -> set[frozenset[str]]:
    """Return the candidates among the rows of one file, as pairs of the numbers that they get as ids."""
    rows = [{"id": str(at), **row} for at, row in enumerate(rows)]
    names = list(dict.fromkeys(name for row in rows for name in row if name != "id"))
    return found(make_run(tmp_path / "run", (source(names, **about), rows)))


ONE = {frozenset("01")}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"Email": "Ann.Lee+crm@Acme.com", "Last Name": "Lee"}, {"Email": "ann.lee@acme.com", "Last Name": "Orr"}),
        ({"Phone": "+44 20 5550 1234", "Last Name": "Lee"}, {"Phone": "(020) 5550-1234", "Last Name": "Orr"}),
        ({"Phone": "+44 (0)20 5550 1234", "City": "Hull"}, {"Mobile": "00442055501234", "City": "York"}),
        ({"Phone": "020 5550 1234", "First Name": "Ann"}, {"Phone": "020 5550 1284", "First Name": "Ann"}),
        ({"First Name": "Peggy", "Last Name": "Lee"}, {"First Name": "Margaret", "Last Name": "Lee"}),
        ({"First Name": "Lee", "Last Name": "Ann"}, {"First Name": "Ann", "Last Name": "Lee"}),
        ({"Name": "Lee, Ann"}, {"First Name": "Ann", "Last Name": "Lee"}),
        ({"First Name": "Jürgen", "Last Name": "Groß"}, {"First Name": "J.", "Last Name": "Gross"}),
        ({"First Name": "Иван", "Last Name": "Петров"}, {"First Name": "Ivan", "Last Name": "Petrov"}),
        ({"First Name": "Ann", "Last Name": "Meier"}, {"First Name": "Ann", "Last Name": "Mayer"}),
        ({"Last Name": "Orr", "Date of birth": "1980-02-01"}, {"Last Name": "Orr", "Date of birth": "1 Feb 1980"}),
        ({"Last Name": "Lee", "VAT ID": "GB812345670"}, {"Last Name": "Orr", "VAT ID": "812 345 670"}),
        ({"Last Name": "Lee", "Email": "ann.orr@acme.com"}, {"First Name": "Ann", "Last Name": "Orr"}),
        ({"Last Name": "Lee", "Notes": "or call 020 5550 1234"}, {"Last Name": "Orr", "Phone": "+44 20 5550 1234"}),
        ({"Qx1": "zebrafish 77120"}, {"Wz2": "77120 Zebrafish"}),
    ],
)
def test_two_records_of_one_person_share_a_key_however_they_are_written(tmp_path, left, right):
    assert pairs_of(tmp_path, [left, right, {"First Name": "Raj", "Last Name": "Pal", "Email": "raj@elsewhere.org"}]) == ONE


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"Account Name": "Acme Logistics Ltd"}, {"Account Name": "ACME Logistics"}),
        ({"Account Name": "International Business Machines", "City": "Armonk"}, {"Account Name": "IBM", "City": "Armonk"}),
        ({"Account Name": "Norda", "Website": "https://www.norda.example/about"}, {"Account Name": "Nord Group", "Website": "norda.example"}),
        ({"Name": "Acme Logistics Ltd"}, {"Name": "Acme Logistics"}),
    ],
)
def test_two_records_of_one_company_share_a_key(tmp_path, left, right):
    assert pairs_of(tmp_path, [left, right, {"Account Name": "Zorg Mills"}], kind="account") == ONE


@pytest.mark.parametrize(
    "rows",
    [
        [{"Email": "test@test.com", "Phone": "000"}, {"Email": "test@test.com", "Phone": "000"}],
        [{"Email": "ann@gmail.com"}, {"Email": "raj@gmail.com"}],
        [{"Phone": "0000000001"}, {"Phone": "0000000001"}],
        [{"company": "20News", "zip": "10115"}] * 3 + [{"name": "Ann Lee"}],
        [{"Last Name": "Lee", "Country": "Chad"}, {"Last Name": "Orr", "Country": "Chad"}],
        [{"Phone": ""}, {"Phone": ""}],
    ],
)
def test_what_tells_nothing_makes_no_pair(tmp_path, rows):
    assert pairs_of(tmp_path, rows) == set()


def test_where_a_row_comes_from_says_nothing(tmp_path):
    rows = [{"src": "hs", "name": "Ann Orr", "phone": "+44 20 5550 1000"}, {"src": "hs", "name": "Raj Pal"}]
    assert pairs_of(tmp_path, rows, constant=("src",)) == set()


def test_no_pair_at_all_is_a_result_with_a_table(tmp_path):
    run = make_run(tmp_path / "run", (source(["name"]), [{"id": "1", "name": "Ann Lee"}, {"id": "2", "name": "Raj Pal"}]))
    report = find(run)
    assert (report["pairs"], report["per_record"], report["rules"]) == (0, 0.0, [])
    assert "no two records share a key" in (run / "2-candidates" / "candidates.md").read_text()


def test_each_value_of_a_cell_is_a_key(tmp_path):
    rows = [
        {"name": "Lee", "Phone": "020 5551 1111 ::: 020 5552 2222"},
        {"name": "Orr", "Phone": "+442055522222"},
        {"name": "Pal", "Phone": "02055511113"},
    ]
    assert pairs_of(tmp_path, rows, separators={"Phone": ":::"}) == {frozenset("01")}


def test_ids_that_differ_in_case_are_two_records(tmp_path):
    rows = [{"id": "001A0000000abcD", "name": "Ann Lee"}, {"id": "001A0000000abCd", "name": "Ann Lee"}]
    assert found(make_run(tmp_path / "run", (source(["name"]), rows))) == {frozenset(("001A0000000abcD", "001A0000000abCd"))}


def test_a_switchboard_is_cut_named_and_counted_and_its_people_still_meet(tmp_path):
    names = [f"{'bcdfgklm'[at % 8]}a{'nprstvz'[at // 8 % 7]}e{'bdgklmn'[at // 56]}" for at in range(392)]
    people = [{"id": name, "First Name": name, "Last Name": name[::-1], "Phone": "030 5550 0000"} for name in names]
    again = {"id": "again", "First Name": people[7]["First Name"], "Phone": "+49 30 5550 0000"}
    run = make_run(tmp_path / "run", (source(["First Name", "Last Name", "Phone"]), [*people, again]))
    pairs = found(run)
    report = run_folder.report(run, "candidates")
    phone = next(rule for rule in report["rules"] if rule["name"] == "phone")
    assert (phone["pairs"], phone["cut"]) == (0, [{"size": 393, "count_of_pairs": 393 * 392 // 2}])
    assert frozenset((names[7], "again")) in pairs and report["per_record"] < 10
    blocks = list(csv.DictReader((run / "2-candidates" / "blocks.csv").open()))
    assert {"rule": "phone", "key": "55500000", "records": "393", "pairs": "77028"} in blocks
    assert "55500000" in (run / "2-candidates" / "candidates.md").read_text()
    assert not (run / "2-candidates" / "work").exists()


def test_the_budget_leaves_out_the_pairs_that_share_least(tmp_path):
    rows = [{"id": str(at), "odd": f"zebra{at // 4} lion{at // 2}"} for at in range(40)]
    run = make_run(tmp_path / "run", (source(["odd"]), rows))
    few = found(run, limit=1)
    report = run_folder.report(run, "candidates")
    assert few == {frozenset((str(at), str(at + 1))) for at in range(0, 40, 2)}  # they share both words
    assert (report["left_out"], report["per_record"], sum(rule["new"] for rule in report["rules"])) == (40, 0.5, 20)
    assert len(found(run, limit=2)) == 60


def test_two_files_are_linked_and_kinds_never_meet(tmp_path):
    people = [{"id": "1", "name": "Ann Lee", "phone": "030 5550 1234"}, {"id": "2", "name": "Ann Lee", "phone": "030 5550 1234"}]
    firms = [{"id": "4", "name": "Ann Lee", "phone": "030 5550 1234"}]
    contacts = source(["name", "phone"])
    run = make_run(tmp_path / "run", (contacts, people), (contacts, [{**people[0], "id": "3"}]), (source(["name", "phone"], "account"), firms))
    assert found(run) == {frozenset("13"), frozenset("23")}


def test_the_stage_is_done_once_and_again_where_the_limit_changes(tmp_path):
    run = make_run(tmp_path / "run", (source(["name"]), [{"id": "1", "name": "Ann Lee"}, {"id": "2", "name": "Ann Lee"}]))
    first, path = find(run), run / "2-candidates" / "candidates.parquet"
    before = path.stat().st_mtime_ns
    assert find(run) == first and path.stat().st_mtime_ns == before
    assert find(run, limit=5)["limit"] == 5 and path.stat().st_mtime_ns != before


def test_several_processes_find_what_one_finds(tmp_path, monkeypatch):
    rows = [{"id": str(at), "name": f"Ann Lee{at // 2}", "email": f"box{at // 2}@acme.example"} for at in range(40)]
    one = found(make_run(tmp_path / "one", (source(["name", "email"]), rows)))
    monkeypatch.setattr(keys, "BATCH", 12)
    assert found(make_run(tmp_path / "several", (source(["name", "email"]), rows))) == one != set()


_NAMES = some.sampled_from(("Ann", "Anne", "Lee", "Leigh", "Orr", "Raj", "Pal", "Иван", "李", "", "-", "n/a"))
_ROW = some.fixed_dictionaries(
    {
        "First Name": _NAMES,
        "Last Name": _NAMES,
        "Email": some.sampled_from(("", "ann@acme.com", "a.lee@acme.com", "raj@gmail.com", "@", "x@")),
        "Phone": some.sampled_from(("", "030 5550 1234", "+49 30 55501234", "12", "++")),
        "Odd": some.text(max_size=8),
    }
)


@settings(max_examples=8, deadline=None)
@given(rows=some.lists(_ROW, min_size=2, max_size=25), seed=some.integers(0, 99), limit=some.integers(1, 4))
def test_the_order_of_the_rows_does_not_matter(tmp_path_factory, rows, seed, limit):
    rows = [{"id": str(at), **row} for at, row in enumerate(rows)]
    about = source(list(rows[0])[1:])
    shuffled = random.Random(seed).sample(rows, len(rows))
    folder = tmp_path_factory.mktemp("order")
    assert found(make_run(folder / "a", (about, rows)), limit) == found(make_run(folder / "b", (about, shuffled)), limit)


@given(
    some.dictionaries(some.sampled_from(("name", "email", "phone", "birth date", "street", "city", "vat", "notes", "odd")), some.text(max_size=40))
)
def test_any_text_has_keys_without_blanks(evidence):
    for kind in ("contact", "account"):
        found_keys, words = keys.of(evidence, keys.layout(source(list(evidence), kind)))
        assert all(key and all(key.split("|")) for _, key in found_keys) and all(words)


def test_a_nickname_has_the_name_it_comes_from():
    assert {"bill", "william"} <= {*parts.given_names("bill")}

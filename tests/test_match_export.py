"""Generated exports: columns of the CRM, one truth a row, as many duplicates as real ones have."""

import csv
import itertools
import json
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.dataset.synth import export
from crm_dedup_plugin.dataset.synth.contacts import TABLES
from crm_dedup_plugin.errors import UserError

CSV = ("hubspot", "salesforce", "pipedrive")


def table(path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    for crm in CSV:
        assert main(["synth", "--export", "3000", "--crm", crm, "--out", str(folder / f"{crm}.csv")]) == 0
    return folder


@pytest.mark.parametrize("crm", CSV)
def test_an_export_has_the_columns_of_its_crm_and_a_truth_for_every_row(written, crm):
    rows, truth = table(written / f"{crm}.csv"), table(written / f"{crm}.truth.csv")
    assert list(rows[0]) == list(TABLES["crms"][crm]["columns"])
    assert len(rows) == len(truth) == 3000
    ids = [next(iter(row.values())) for row in rows]
    assert ids == [row["id"] for row in truth]
    assert len(set(ids)) == 3000


@pytest.mark.parametrize("crm", CSV)
def test_most_people_are_there_once_and_the_others_two_to_six_times(written, crm):
    sizes = Counter(Counter(row["entity"] for row in table(written / f"{crm}.truth.csv")).values())
    assert set(sizes) <= set(range(1, 7))
    assert 0.11 < sum(size * number for size, number in sizes.items() if size > 1) / 3000 < 0.19
    assert sizes[2] > sizes[3] > sizes[5]
    card = json.loads((written / f"{crm}.card.json").read_text())
    assert card["entities_by_records"] == {str(size): sizes[size] for size in sorted(sizes)}


def test_an_export_is_as_messy_as_a_real_one(written):
    rows = table(written / "hubspot.csv")
    truth = [row["entity"] for row in table(written / "hubspot.truth.csv")]
    filled = Counter(header for row in rows for header, cell in row.items() if cell)
    assert filled["Fax Number"] == 0
    assert 0 < filled["Merged Contact IDs"] < 150
    assert any(";" in row["Associated Company IDs"] for row in rows)
    assert any(row["Email"] == "test@test.com" for row in rows)
    assert any(row["Phone Number"] in ("0000", "000", "0000000000") for row in rows)
    people = {}
    for row, entity in zip(rows, truth, strict=True):
        people.setdefault((row["First Name"], row["Last Name"]), set()).add(entity)
    assert any(len(found) > 1 for name, found in people.items() if all(name)), "no namesakes"
    swallowed = {old for row in rows for old in row["Merged Contact IDs"].split(";") if old}
    assert not swallowed & {row["Record ID"] for row in rows}


def test_two_hubspot_contacts_never_have_one_address_but_other_crms_allow_it(written):
    addresses = Counter(row["Email"] for row in table(written / "hubspot.csv"))
    assert {address for address, count in addresses.items() if count > 1} <= {"", "n/a", "test@test.com", "none@none.com", "noemail@noemail.com"}
    addresses = Counter(row["Email"].lower() for row in table(written / "salesforce.csv"))
    assert sum(count > 1 for count in addresses.values()) > 30


def test_dates_and_ids_rise_together(written):
    rows = table(written / "hubspot.csv")
    assert [row["Create Date"] for row in rows] == sorted(row["Create Date"] for row in rows)
    assert all(row["Create Date"] <= row["Last Modified Date"] for row in rows)
    assert [int(row["Record ID"]) for row in rows] == sorted(int(row["Record ID"]) for row in rows)


def test_a_seed_gives_the_same_file_and_another_seed_another(tmp_path):
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        assert main(["synth", "--export", "200", "--seed", seed, "--out", str(tmp_path / f"{name}.csv")]) == 0
    a, b, c = (((tmp_path / f"{name}.csv").read_bytes(), (tmp_path / f"{name}.truth.csv").read_bytes()) for name in "abc")
    assert a == b != c


def test_the_records_of_a_person_lie_apart(monkeypatch):
    monkeypatch.setattr(export, "POOL", 50)  # as in a file that is larger than the pool
    people = [contact.person for _, contact, _ in export.export(400, 7, "zoho")]
    assert len(people) == 400
    neighbours = sum(a == b for a, b in itertools.pairwise(people))
    assert neighbours < sum(count - 1 for count in Counter(people).values()) / 2


def test_ids_of_salesforce_have_15_characters_that_differ_in_case_and_three_that_tell_them_apart():
    assert export.identifier("salesforce", "003", 0) == "003000000000000AAA"
    ids = {export.identifier("salesforce", "003", number) for number in range(10**9, 10**9 + 200)}
    assert {len(one) for one in ids} == {18}
    assert len({one.lower() for one in ids}) == 200
    assert len({one[:15].lower() for one in ids}) < 200


def test_dynamics_exports_a_workbook(tmp_path):
    import openpyxl

    out = tmp_path / "contacts.xlsx"
    assert main(["synth", "--export", "60", "--crm", "dynamics", "--out", str(out)]) == 0
    rows = list(openpyxl.load_workbook(out, read_only=True).active.iter_rows(values_only=True))
    assert list(rows[0]) == list(TABLES["crms"]["dynamics"]["columns"])
    assert len(rows) == 61
    assert [row[0] for row in rows[1:]] == [row["id"] for row in table(tmp_path / "contacts.truth.csv")]


@pytest.mark.parametrize(
    ("words", "status", "cure"),
    [
        (["--export", "0"], 2, "not a whole number above 0"),
        (["--export", "1.5"], 2, "not a whole number above 0"),
        (["--export", "10", "--crm", "hotspub"], 2, "choose among hubspot"),
        (["--export", "10", "--n", "10"], 1, "leave one out"),
        (["--export", "10", "--lists"], 1, "leave one out"),
        (["--export", "10", "--crm", "dynamics", "--out", "x.csv"], 1, "ends with .xlsx"),
        (["--export", "10", "--out", "x.parquet"], 1, "ends with .csv"),
    ],
)
def test_what_makes_no_sense_is_refused(words, status, cure, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        assert main(["synth", *words]) == status
    except SystemExit as error:
        assert error.code == status
    assert cure in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_neither_the_export_nor_its_truth_is_replaced_unless_told_to(tmp_path, capsys):
    out, truth = tmp_path / "export.csv", tmp_path / "export.truth.csv"
    truth.write_text("mine\n")
    assert main(["synth", "--export", "5", "--out", str(out)]) == 1
    assert "--force" in capsys.readouterr().err
    assert truth.read_text() == "mine\n"
    assert not out.exists()
    assert main(["synth", "--export", "5", "--out", str(out), "--force"]) == 0
    assert len(table(out)) == len(table(truth)) == 5


def test_an_unknown_value_in_the_table_names_the_column(monkeypatch):
    monkeypatch.setitem(TABLES["crms"], "hubspot", {**TABLES["crms"]["hubspot"], "columns": {"Email": ("{mail}",)}})
    with pytest.raises(UserError, match=r"exports.yml: Email: unknown value 'mail'"):
        next(export.export(5, 7, "hubspot"))


def test_an_interrupted_export_leaves_nothing_behind(tmp_path):
    command = [sys.executable, "-m", "crm_dedup_plugin", "synth", "--export", "300000", "--out", str(tmp_path / "export.csv")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    partial, deadline = tmp_path / f".export.csv.{process.pid}.part", time.monotonic() + 120
    while not (partial.exists() and partial.stat().st_size) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert "nothing was written" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())

"""Stage 1 of match: what exports hold comes back as text, each row is a record or is skipped for a reason, errors say where and what to do."""

import csv
import datetime
import doctest
import io
import json
import os
import signal
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.read import dates, headers, profiles, read
from crm_dedup_plugin.matching.records import CHANGED, CONSTANT, CREATED, EMPTY, EVIDENCE, ID, NEVER, Records
from crm_dedup_plugin.policy.fields import CONCEPTS

PROPERTY = settings(max_examples=60, deadline=None)
HUBSPOT = "Record ID,First Name,Last Name,Email,Phone Number,Company name,Create Date,Last Modified Date"


class Result:
    """What the stage made of some files."""

    def __init__(self, run: Path, report: dict):
        self.report, self.file, self.source = report, report["files"][0], report["sources"][0]
        self.rows = Records(run).table("row", "source", "line", "id", "created", "changed", "values", "evidence").to_pylist()
        self.values = [json.loads(row["values"]) for row in self.rows]
        self.evidence = [json.loads(row["evidence"]) for row in self.rows]
        self.columns = {column["name"]: column for column in self.source["columns"]}
        self.roles = {name: column["role"] for name, column in self.columns.items()}
        self.skipped = {one["reason"]: (one["count"], one["lines"]) for one in self.file["skipped"]}
        for file in report["files"]:
            assert file["rows"] == file["records"] + sum(one["count"] for one in file["skipped"])
        assert report["records"] == len(self.rows) and [row["row"] for row in self.rows] == list(range(len(self.rows)))

    def ids(self) -> list[str]:
        return [row["id"] for row in self.rows]


def put(folder: Path, content: str | bytes, name: str = "contacts.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def result(folder: Path, *files: Path, profile: Path | None = None) -> Result:
    with run_folder.alone(folder / "run") as run:
        return Result(run, read(run, files, profile))


def result_of(folder: Path, content: str | bytes, name: str = "contacts.csv", profile: Path | None = None) -> Result:
    return result(folder, put(folder, content, name), profile=profile)


def error_of(folder: Path, content: str | bytes, name: str = "contacts.csv") -> str:
    """Return what a person is told about a file that cannot be read; nothing is left of the attempt but its key."""
    with pytest.raises(UserError) as raised:
        result_of(folder, content, name)
    assert {path.name for path in run_folder.folder(folder / "run", "read").glob("*")} <= {run_folder.KEY}
    return str(raised.value)


def workbook(folder: Path, rows: list[list], name: str = "contacts.xlsx", formats: dict[str, str] | None = None) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cell, number_format in (formats or {}).items():
        book.active[cell].number_format = number_format
    book.save(folder / name)
    return folder / name


# -- text files -----------------------------------------------------------------------------------------------------------


def test_zeros_delimiter_umlauts_and_line_breaks_come_back_as_they_were_written(tmp_path):
    found = result_of(tmp_path, 'Record ID;Name;Zip;Notes\r\n00123;Jörg Müller;02116;"first\r\nsecond; third"\r\n'.encode("cp1252"))
    assert found.values == [{"Record ID": "00123", "Name": "Jörg Müller", "Zip": "02116", "Notes": "first\r\nsecond; third"}]
    assert (found.file["delimiter"], found.file["encoding"], found.ids(), found.rows[0]["line"]) == (";", "cp1252", ["00123"], 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_encoding_and_delimiter_is_found(tmp_path, encoding, delimiter):
    text = f"Email{delimiter}Name{delimiter}Street\nann@x.example{delimiter}Zoë Größe{delimiter}Straße 1\n"
    found = result_of(tmp_path, text.encode(encoding))
    assert found.values == [{"Email": "ann@x.example", "Name": "Zoë Größe", "Street": "Straße 1"}]
    assert found.file["delimiter"] == delimiter and found.columns["Email"]["concept"] == "email"


def test_a_file_of_two_encodings_keeps_both(tmp_path):
    utf8 = "".join(f"Zoë {at},Ärzte GmbH\n" for at in range(5)).encode()
    found = result_of(tmp_path, b"Name,Company\n" + utf8 + "Jörg,Bäcker\n".encode("cp1252"))
    assert found.values[0]["Company"] == "Ärzte GmbH" and found.values[-1] == {"Name": "Jörg", "Company": "Bäcker"}
    assert any("not UTF-8" in note for note in found.file["notes"])


def test_a_profile_says_the_encoding_that_nothing_shows(tmp_path):
    own = put(tmp_path, "name: ours\ncrm: none\nencoding: shift_jis\ndelimiter: ','\n", "ours.yml")
    found = result_of(tmp_path, "Name,City\n山田太郎,東京\n".encode("shift_jis"), profile=own)
    assert found.values == [{"Name": "山田太郎", "City": "東京"}]


WORD = st.text(st.sampled_from(string.ascii_letters + string.digits + " ,;|\t\"'\\=+-@äöüßéñçÀ€\r\n"), max_size=12)
CELLS = st.lists(st.tuples(WORD, WORD, WORD, WORD), min_size=1, max_size=6)
NAMES = ["Full Name", "Email", "Notes", "Job Title"]


@given(
    CELLS,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
@PROPERTY
def test_what_was_written_as_csv_comes_back_as_text(rows, delimiter, encoding, quoting):
    rows = [(f"Jörg Größe {at}", *cells[1:]) for at, cells in enumerate(rows)]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows([NAMES, *rows])
    with tempfile.TemporaryDirectory() as folder:
        found = result_of(Path(folder), text.getvalue().encode(encoding))
    assert found.values == [{name: cell for name, cell in zip(NAMES, row, strict=True) if cell.strip()} for row in rows]


@given(st.lists(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=15), min_size=1), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_what_was_written_as_json_lines_comes_back_as_text(rows):
    rows = [{**row, "Full Name": f"Ann {at}"} for at, row in enumerate(rows)]
    with tempfile.TemporaryDirectory() as folder:
        found = result_of(Path(folder), "".join(f"{json.dumps(row)}\n" for row in rows), "contacts.jsonl")
    assert found.values == [{name: row[name] for name in found.columns if row.get(name, "").strip()} for row in rows]


@given(st.lists(st.tuples(st.text(string.printable[:-5] + "äß山😀", max_size=12), st.integers(0, 10**14), st.dates()), min_size=1, max_size=4))
@settings(max_examples=10, deadline=None)
def test_what_was_written_as_xlsx_comes_back_as_text(rows):
    rows = [(f"Ann {text}", "'=1+1", number, date) for text, number, date in rows]
    with tempfile.TemporaryDirectory() as folder:
        found = result(Path(folder), workbook(Path(folder), [["Full Name", "Notes", "Fax", "Birthday"], *map(list, rows)]))
    assert found.values == [{"Full Name": name, "Notes": note, "Fax": str(number), "Birthday": date.isoformat()} for name, note, number, date in rows]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('2,"Big" Bob,x', {"Id": "2", "Name": '"Big" Bob', "City": "x"}),
        ('2,"Ann,x', {"Id": "2", "Name": '"Ann', "City": "x"}),
        ('2,"Ann \\"Annie\\", MD",x', {"Id": "2", "Name": 'Ann "Annie", MD', "City": "x"}),
        ('2,"Ann, MD,x', None),
    ],
)
def test_a_quotation_mark_that_is_wrong_never_swallows_the_next_rows(tmp_path, line, kept):
    found = result_of(tmp_path, f'Id,Name,City\n1,Cy,y\n{line}\n3,"Di",z\n4,Ed,"w"\n')
    rows = [row for row in found.values if row["Id"] != "2"]
    assert [row["Name"] for row in rows] == ["Cy", "Di", "Ed"] and ([kept] if kept else []) == [row for row in found.values if row["Id"] == "2"]
    assert any("line 3" in note and "quotation marks" in note for note in found.file["notes"])
    assert kept or found.skipped == {"its quotation marks are not those of CSV": (1, [3])}


def test_a_file_full_of_wrong_quotation_marks_is_refused(tmp_path):
    assert "line " in (said := error_of(tmp_path, "Id,Name\n" + '1,"Ann, "x\n' * 1200)) and "export it again" in said


# -- which rows are records -------------------------------------------------------------------------------------------------


def test_titles_footers_blank_lines_and_repeated_headers_are_no_records(tmp_path):
    header = '"Contact ID","First Name","Last Name","Account Name","Mailing City","Mailing Zip/Postal Code","Contact Owner"\n'
    rows = '"001A0000000abcD","Ann","Orr","Acme","Ulm","02116","Me"\n"001A0000000abCd","Raj","Pal","Acme","Ulm","#N/A","Me"\n'
    footer = '\n"Confidential Information - Do Not Distribute"\n"Copyright (c) 2024 example.com, inc. All rights reserved."\n'
    found = result_of(tmp_path, f'"Contacts of the south"\n\n{header}{rows}{header}{footer}'.encode("cp1252"))
    assert found.ids() == ["001A0000000abcD", "001A0000000abCd"]  # which differ in case alone
    assert (found.source["profile"], found.source["crm"], found.file["header_line"]) == ("Salesforce contacts", "salesforce", 3)
    assert "Mailing Zip/Postal Code" not in found.evidence[1] and found.values[1]["Mailing Zip/Postal Code"] == "#N/A"
    assert {reason: count for reason, (count, _) in found.skipped.items()} == {
        "it stands before the header": 1, "it is blank": 2, "it repeats the header": 1, "it is a footer or a caption": 2
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "is_record"),
    [
        *(
            (cell, False)
            for cell in ("Summe: 7", "SUMME", "Gesamt 7", "Gesamtsumme", "Total général : 7", "Totale: 7", "Suma: 7", "Totaal (7)", "Seite 1 von 3")
        ),
        *((cell, True) for cell in ("Gesamt GmbH", "Totaal Bouw", "Suma Ortiz", "Seite an Seite e.V.", "Page Turner")),
    ],
)
def test_a_footer_in_another_language_is_no_record_and_a_name_that_begins_like_one_is(tmp_path, cell, is_record):
    found = result_of(tmp_path, f"Firma;Ort;Telefon\nAcme;Ulm;0731 5550\n{cell};;\nBeta;Bonn;0228 5550\n")
    assert [row["Firma"] for row in found.values] == ["Acme", *[cell] * is_record, "Beta"]


@pytest.mark.parametrize(
    ("text", "line", "names"),
    [
        ("Email\na@x.example\nb@x.example\n", 1, ["Email"]),
        ("sep=;\nName;Email\nAnn;a@x.example\n", 2, ["Name", "Email"]),
        ("Imię,Miasto,Ulica,Firma\nAnn,City of London,Main Street 5,Phone Company\n", 1, ["Imię", "Miasto", "Ulica", "Firma"]),
        ("名前,会社,電話\nAnn,Acme,020 5550\n", 1, ["名前", "会社", "電話"]),
        ("Contacts of 2024,,\nfor the team,,\nName,Email,Phone\nAnn,a@x.example,020 5550\n", 3, ["Name", "Email", "Phone"]),
        ("please,do not,touch\nName,Email,Phone\nAnn,a@x.example,020 5550\n", 2, ["Name", "Email", "Phone"]),
        ("Contacts\nName,Email\nAnn,a@x.example\n", 2, ["Name", "Email"]),
    ],
)
def test_the_header_is_found_where_it_is(tmp_path, text, line, names):
    found = result_of(tmp_path, text)
    assert (found.file["header_line"], list(found.columns)) == (line, names)


def test_rows_that_are_too_short_are_kept_and_too_long_ones_only_where_nothing_is_lost(tmp_path):
    found = result_of(tmp_path, "Name,Email,Phone\nAnn,ann@x.example\nBob,bob@x.example,1,2\nCy,cy@x.example,3,,\nDi,di@x.example,4\n")
    assert [row["Name"] for row in found.values] == ["Ann", "Cy", "Di"]
    assert found.skipped == {"it has more cells than the header": (1, [3])}
    assert any("fewer cells than the header" in note for note in found.file["notes"])


def test_a_short_record_in_the_middle_is_no_footer(tmp_path):
    found = result_of(tmp_path, "Name,Email,Phone\nAnn\nBob,bob@x.example,1\nTotal: 2\n")
    assert [row["Name"] for row in found.values] == ["Ann", "Bob"] and found.skipped == {"it is a footer or a caption": (1, [4])}


def test_an_id_that_comes_twice_is_one_record(tmp_path):
    rows = "1,Ann,Orr,ann@x.example,,,,\n2,Raj,Pal,,,,,\n1,Ann,Orr,ann@x.example,,,,\n1,Anne,Orr,,,,,\n"
    found = result_of(tmp_path, f"{HUBSPOT}\n{rows}")
    assert found.ids() == ["1", "2"] and found.values[0]["First Name"] == "Ann"
    assert found.skipped == {"its id came before, with the same cells": (1, [4]), "its id came before, with other cells": (1, [5])}


def test_without_an_id_rows_are_numbered_and_a_blank_id_is_the_line(tmp_path):
    found = result_of(tmp_path, "Name,Email\nAnn,a@x.example\n\nBob,b@x.example\n")
    assert found.ids() == ["1", "2"] and [row["line"] for row in found.rows] == [2, 4] and any("numbered" in note for note in found.file["notes"])
    found = result_of(tmp_path, f"{HUBSPOT}\n7,Ann,Orr,,,,,\n,Raj,Pal,,,,,\n")
    assert found.ids() == ["7", "line 3"] and any("without an id" in note for note in found.file["notes"])


def test_a_column_called_id_that_many_rows_share_is_none(tmp_path):
    found = result_of(tmp_path, "Customer ID,Name\n" + "".join(f"{at % 7},Ann {at}\n" for at in range(30)))
    assert found.report["records"] == 30 and found.roles["Customer ID"] == NEVER and found.ids()[:2] == ["1", "2"]


@pytest.mark.parametrize(("column", "gone"), [("IsDeleted", "true"), ("IsDeleted", "1")])
def test_deleted_records_of_salesforce_are_skipped(tmp_path, column, gone):
    text = f"Id,FirstName,LastName,AccountId,OwnerId,Email,{column},MasterRecordId\n1,Ann,Orr,,,a@x.example,0,\n2,Raj,Pal,,,r@x.example,{gone},1\n"
    found = result_of(tmp_path, text)
    assert found.ids() == ["1"] and found.skipped == {f"{column} is {gone}": (1, [3])} and found.roles["MasterRecordId"] in (NEVER, EMPTY)


def test_inactive_records_of_dynamics_are_skipped(tmp_path):
    names = ["(Do Not Modify) Contact", "(Do Not Modify) Row Checksum", "(Do Not Modify) Modified On", "Full Name", "Business Phone", "Status"]
    rows = [["a-1", "x", datetime.datetime(2024, 3, 12, 9, 14), "Ann Orr", "+49 30 5550", "Active"], ["b-2", "y", None, "Raj Pal", None, "Inactive"]]
    found = result(tmp_path, workbook(tmp_path, [names, *rows]))
    assert (found.ids(), found.source["crm"], found.rows[0]["changed"]) == (["a-1"], "dynamics", "2024-03-12T09:14:00")
    assert found.evidence == [{"Full Name": "Ann Orr", "Business Phone": "+49 30 5550"}] and found.skipped == {"Status is Inactive": (1, [3])}


# -- what columns are -------------------------------------------------------------------------------------------------------


def test_where_a_row_comes_from_says_nothing(tmp_path):
    found = result_of(tmp_path, "src,name,phone\nhs,Ann Orr,+44 20 5550 1000\nhs,Raj Pal,+44 20 5550 1000\n")
    assert found.roles == {"src": NEVER, "name": EVIDENCE, "phone": EVIDENCE}
    assert found.evidence[0] == {"name": "Ann Orr", "phone": "+44 20 5550 1000"} and found.values[0]["src"] == "hs"


def test_columns_that_are_the_same_in_every_row_say_nothing(tmp_path):
    found = result_of(tmp_path, "kind of lead,Name,Country\n" + "".join(f"lead,Ann {at},Germany\n" for at in range(30)))
    assert found.roles == {"kind of lead": CONSTANT, "Name": EVIDENCE, "Country": CONSTANT} and found.evidence[0] == {"Name": "Ann 0"}
    few = result_of(tmp_path, "Name,Country\nAnn,Germany\nAnne,Germany\n")
    assert few.roles["Country"] == EVIDENCE
    rare = result_of(tmp_path, "Name,Passport number\n" + "".join(f"Ann {at},{'C01X' if at < 2 else ''}\n" for at in range(30)))
    assert rare.roles["Passport number"] == EVIDENCE  # two records that share it say much


def test_what_is_missing_is_no_evidence(tmp_path):
    found = result_of(tmp_path, "Company,Name,Email,Zip,Phone\n20News,,test@test.com,02116,000\n20News,n/a,#N/A,02116,-\n")
    assert found.evidence == [{"Company": "20News", "Zip": "02116"}] * 2 and found.values[1]["Name"] == "n/a"


@pytest.mark.parametrize(
    ("name", "cells", "separator"),
    [
        ("Phone", ["020 5551 1000 ::: 020 5551 2000", "020 5551 3000"], " ::: "),
        ("Email", ["a@x.example; b@x.example"], ";"),
        ("E-mail", ["a@x.example,b@x.example", "c@x.example"], ","),
        ("Phone", ["020 5551 1000\n020 5551 2000"], "\n"),
        ("Phone", ["020 5551 1000, ask for Ann", "020 5551 2000"], None),
        ("Company", ["Orr; Pal"], None),
    ],
)
def test_several_values_in_a_cell_are_found(tmp_path, name, cells, separator):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["Full Name", name], *[[f"Ann {at}", cell] for at, cell in enumerate(cells)]])
    assert result_of(tmp_path, text.getvalue()).columns[name]["separator"] == separator


def test_two_columns_of_one_name_and_columns_without_a_name_are_kept(tmp_path):
    found = result_of(tmp_path, "Name,Phone,Phone,,\nAnn,020 5550,020 5551,x,\n")
    assert found.values == [{"Name": "Ann", "Phone": "020 5550", "Phone (2)": "020 5551", "Column 4": "x"}] and found.roles["Column 5"] == EMPTY
    assert found.columns["Phone (2)"]["concept"] == "phone" and any("Column 4" in note for note in found.file["notes"])


def test_a_column_full_of_json_is_kept_and_no_evidence(tmp_path):
    found = result_of(tmp_path, 'Name,Payload\nAnn,"{""a"": [1, 2]}"\nBob,"{""a"": []}"\n')
    assert found.roles["Payload"] == NEVER and found.values[0]["Payload"] == '{"a": [1, 2]}' and any("JSON" in note for note in found.file["notes"])


def test_formulas_html_and_text_from_right_to_left_are_text(tmp_path):
    rows = [["Name", "Notes"], ["دانا", "=HYPERLINK(1)"], ["\u202bדנה\u202c", "<script>alert(1)</script>"]]
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    found = result_of(tmp_path, text.getvalue())
    assert [[row["Name"], row["Notes"]] for row in found.values] == rows[1:] and found.evidence[1]["Name"] == "דנה"


def test_four_hundred_columns(tmp_path):
    names = ["Name", *(f"Custom {at}" for at in range(398)), "Email"]
    found = result_of(
        tmp_path, "".join(",".join(row) + "\n" for row in [names, [f"v{at}" for at in range(399)] + ["a@x.example"], ["w"] * 399 + ["b@x.example"]])
    )
    assert len(found.columns) == 400 and list(found.evidence[0])[:2] == ["Name", "Email"]  # what the policy knows is read first


@pytest.mark.parametrize(
    ("header", "profile", "crm", "kind"),
    [
        (HUBSPOT, "HubSpot contacts", "hubspot", "contact"),
        ("Record ID,Company name,Company Domain Name,Company owner,Create Date,Industry,Phone Number", "HubSpot companies", "hubspot", "account"),
        ("Id,FirstName,LastName,AccountId,MailingStreet,MailingCity,Email,OwnerId", "Salesforce contacts", "salesforce", "contact"),
        ("Id,Name,BillingStreet,BillingCity,BillingCountry,OwnerId,Website", "Salesforce accounts", "salesforce", "account"),
        ("Id,FirstName,LastName,Company,Status,IsConverted,LeadSource,Email", "Salesforce leads", "salesforce", "contact"),
        (
            "(Do Not Modify) Account,(Do Not Modify) Row Checksum,(Do Not Modify) Modified On,Account Name,Main Phone",
            "Dynamics accounts",
            "dynamics",
            "account",
        ),
        ("Person - ID,Person - Name,Person - Email - Work,Person - Organization", "Pipedrive people", "pipedrive", "contact"),
        ("Organization - ID,Organization - Name,Organization - Address,Organization - Owner", "Pipedrive organizations", "pipedrive", "account"),
        ("Record Id,Contact Owner.id,Contact Owner,First Name,Last Name,Account Name.id,Account Name,Email", "Zoho contacts", "zoho", "contact"),
        ("Record Id,Account Owner.id,Account Owner,Account Name,Parent Account.id,Phone,Created Time", "Zoho accounts", "zoho", "account"),
        ("First Name,Last Name,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Value", "Google Contacts", "", "contact"),
        ("Given Name,Family Name,Group Membership,E-mail 1 - Type,E-mail 1 - Value", "Google Contacts", "", "contact"),
        ("Title,First Name,Last Name,Company,Business Street,Business Phone,E-mail Address,E-mail Display Name", "Outlook contacts", "", "contact"),
        ("Record ID,Name", "spreadsheet", "", "contact"),
        ("Company,Website,VAT ID", "spreadsheet", "", "account"),
        ("Vorname,Nachname,Firma,E-Mail-Adresse", "spreadsheet", "", "contact"),
    ],
)
def test_exports_are_recognised_by_several_headers(tmp_path, header, profile, crm, kind):
    names = header.split(",")
    found = result_of(
        tmp_path, "".join(",".join(row) + "\n" for row in (names, [f"a{at}" for at in range(len(names))], [f"b{at}" for at in range(len(names))]))
    )
    assert (found.source["profile"], found.source["crm"], found.source["kind"], found.report["kind"]) == (profile, crm, kind, kind)
    administrative = [
        name for name in names if any(word in name for word in ("Owner", "owner", ".id", "Checksum", "Label", "Type", "OwnerId", "Status"))
    ]
    assert all(found.roles[name] == NEVER for name in administrative)


def test_times_are_read_in_the_way_of_the_file(tmp_path):
    found = result_of(tmp_path, f"{HUBSPOT}\n1,Ann,Orr,,,,2024-03-12 09:14,25/12/2023\n2,Raj,Pal,,,,n/a,03/04/2024\n")
    assert (found.roles["Create Date"], found.roles["Last Modified Date"]) == (CREATED, CHANGED) and found.roles["Record ID"] == ID
    assert [(row["created"], row["changed"]) for row in found.rows] == [("2024-03-12T09:14:00", "2023-12-25"), (None, "2024-04-03")]


def test_contacts_and_accounts_are_told_apart(tmp_path):
    contacts = put(tmp_path, f"{HUBSPOT}\n1,Ann,Orr,a@x.example,,,,\n")
    accounts = put(tmp_path, "Id,Name,BillingStreet,BillingCity,BillingCountry,OwnerId\n1,Acme,x,y,z,w\n", "accounts.csv")
    with pytest.raises(UserError, match=r"contacts\.csv holds contacts and .*accounts\.csv holds accounts"):
        result(tmp_path, contacts, accounts)


def test_two_files_are_linked(tmp_path):
    found = result(tmp_path, put(tmp_path, f"{HUBSPOT}\n1,Ann,Orr,,,,,\n"), put(tmp_path, "Name,Email\nAnn Orr,a@x.example\n", "list.csv"))
    assert found.report["link"] and [(row["source"], row["id"]) for row in found.rows] == [(0, "1"), (1, "1")]
    assert [source["profile"] for source in found.report["sources"]] == ["HubSpot contacts", "spreadsheet"]


# -- spreadsheets, Parquet, JSON Lines -----------------------------------------------------------------------------------


def test_cells_of_a_spreadsheet_are_what_a_person_sees(tmp_path):
    names = ["Name", "Zip", "Phone", "Customer no", "Birthday", "Score", "VIP", "Website", "Big"]
    row = ["Ann", 2116, 2025550123, 1234567890123, datetime.datetime(1980, 1, 1), 1.5, True, "=HYPERLINK(1)", 1234567890123456789]
    path = workbook(
        tmp_path, [["Our customers"], [], names, row], formats={"B4": "00000", "C4": r"[<=9999999]###\-####;\(###\)\ ###\-####", "D4": "0"}
    )
    found = result(tmp_path, path)
    assert list(found.values[0].values())[:8] == ["Ann", "02116", "(202) 555-0123", "1234567890123", "1980-01-01", "1.5", "TRUE", "=HYPERLINK(1)"]
    assert (
        found.file["header_line"] == 3
        and any("15 digits" in note for note in found.file["notes"])
        and any("formulas" in note for note in found.file["notes"])
    )


def test_serial_dates_become_dates(tmp_path):
    found = result(tmp_path, workbook(tmp_path, [["ID", "Name", "Date of birth", "Created"], [1, "Ann", 29221, 45363.5], [2, "Raj", 29222, None]]))
    assert found.evidence[0] == {"Name": "Ann", "Date of birth": "1980-01-01"} and found.rows[0]["created"] == "2024-03-12T12:00:00"
    assert found.values[0]["Date of birth"] == "29221"


def test_sheets_that_were_not_read_are_named(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "Hidden"
    for title in ("People", "More"):
        for row in (["Name", "Email"], ["Ann", f"{title}@x.example"]):
            (book[title] if title in book.sheetnames else book.create_sheet(title)).append(row)
    book["Hidden"].append(["x"])
    book["Hidden"].sheet_state = "hidden"
    book.active = 1
    book.save(tmp_path / "book.xlsx")
    found = result(tmp_path, tmp_path / "book.xlsx")
    assert found.values == [{"Name": "Ann", "Email": "People@x.example"}] and any("'More'" in note for note in found.file["notes"])


def test_parquet_of_any_types_is_text(tmp_path):
    table = pa.table(
        {
            "id": pa.array([1, 2], pa.int64()),
            "name": ["Ann", None],
            "zip": [2116.0, float("nan")],
            "created": pa.array([datetime.datetime(2024, 3, 12, 9, 14), None]),
            "email": pa.array(["a@x.example", "b@x.example"]).dictionary_encode(),
            "tags": [["x", "y"], []],
        }
    )
    pq.write_table(table, tmp_path / "contacts.parquet")
    found = result(tmp_path, tmp_path / "contacts.parquet")
    assert found.values[0] == {
        "id": "1",
        "name": "Ann",
        "zip": "2116",
        "created": "2024-03-12T09:14:00",
        "email": "a@x.example",
        "tags": '["x", "y"]',
    }
    assert found.values[1] == {"id": "2", "email": "b@x.example", "tags": "[]"} and found.rows[0]["created"] == "2024-03-12T09:14:00"


def test_json_lines_keep_digits_and_name_lines_that_are_none(tmp_path):
    text = '{"name": "Ann \\ud800", "zip": "02116", "n": 12345678901234567890, "f": 1.50}\nnot json\n{"name": "Bob", "f": {"a": 1}}\n{"na'
    found = result_of(tmp_path, text, "contacts.jsonl")
    assert found.values[0] == {"name": "Ann ?", "zip": "02116", "n": "12345678901234567890", "f": "1.50"} and found.values[1]["name"] == "Bob"
    assert found.skipped == {"it is no JSON object": (2, [2, 4])}


# -- what cannot be read --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("contacts.csv", b"", "is empty"),
        ("contacts.csv", b"\xef\xbb\xbf\r\n  \r\n", "is empty"),
        ("contacts.csv", b"Name,Email\n", "no records under the header in line 1"),
        ("contacts.csv", b"Ann Orr,a@x.example,020 5550\nBob,b@x.example,020 5551\n", "line 1: no line names the columns"),
        ("contacts.csv", b"Contact Owner,Lead Source\nMe,Web\nYou,Fair\n", "no column tells records apart"),
        ("contacts.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "password"),
        ("contacts.xlsx", b"PK\x03\x04" + b"x" * 100, "cut off or damaged"),
        ("contacts.xlsx", b"Name,Email\nAnn,a@x.example\n", "no XLSX file"),
        ("contacts.parquet", b"PAR1" + b"x" * 100, "cut off"),
        ("contacts.parquet", b"Name,Email\nAnn,a@x.example\n", "no Parquet file"),
        ("contacts.json", b'[{"name": "Ann"}]', "one object a line"),
        ("contacts.jsonl", b"[1]\n", "list of JSON"),
        ("contacts.jsonl", b"x\ny\n", "line 1: no line is a JSON object"),
        ("contacts.xls", b"<html><table><tr><td>Name", "web page"),
        ("contacts.csv.gz", b"\x1f\x8b\x08\0\0", "unpack"),
        ("contacts.pdf", b"%PDF-1.7", "is a document"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_with_its_name_and_the_cure(tmp_path, name, content, said):
    message = error_of(tmp_path, content, name)
    assert said in message and str(tmp_path / name) in message and ": " in message.removeprefix(str(tmp_path / name))


def test_most_rows_longer_than_the_header_are_an_error(tmp_path):
    said = error_of(tmp_path, "Name,Email\n" + "".join(f"Ann,a{at}@x.example,{'y,' * (at % 3)}z\n" for at in range(300)))
    assert "cells under a header of" in said and "line " in said


def test_parquet_that_was_cut_off_is_an_error(tmp_path):
    pq.write_table(pa.table({"name": [f"Ann {at}" for at in range(5000)]}), tmp_path / "whole.parquet")
    assert "cut off" in error_of(tmp_path, (tmp_path / "whole.parquet").read_bytes()[:-500], "contacts.parquet")


def test_files_that_are_not_there_or_named_twice(tmp_path):
    for files, said in (
        ([], "no file was named"),
        ([tmp_path / "no.csv"], "does not exist: check the path"),
        ([tmp_path], "cannot be read"),
        ([put(tmp_path, "Name\nA\n")] * 2, "twice"),
    ):
        with pytest.raises(UserError, match=said):
            result(tmp_path, *files)


# -- profiles ---------------------------------------------------------------------------------------------------------------


def test_every_profile_of_the_package_is_whole():
    known = profiles.shipped()
    assert {one.crm for one in known} == {"", "hubspot", "salesforce", "dynamics", "pipedrive", "zoho"}
    assert len({one.name for one in known}) == len(known) >= 13
    for one in known:
        assert {*one.survivors.values()} <= {*profiles.RULES} and profiles.DEFAULT in one.survivors
        assert {*one.survivors} <= {profiles.DEFAULT, *CONCEPTS, *one.recognised_by} and one.path.read_text(encoding="utf-8").startswith("# ")
        assert one.name == "spreadsheet" or (one.kind and one.needs >= 3)


def test_a_corrected_copy_of_a_profile_is_used_and_kept_in_the_run(tmp_path):
    text = (profiles.FOLDER / "spreadsheet.yml").read_text(encoding="utf-8")
    own = put(
        tmp_path, text.replace("name: spreadsheet", "name: ours\nkind: account\nconcepts: {Kunde: company}\nevidence: [Customer No]"), "ours.yml"
    )
    found = result_of(tmp_path, "ID,Kunde,Customer No,src\n1,Acme,C-1,a\n2,Acmo,C-2,b\n", profile=own)
    assert found.source["profile"] == "ours" and found.source["kind"] == "account" and found.columns["Kunde"]["concept"] == "company"
    assert found.roles == {"ID": ID, "Kunde": EVIDENCE, "Customer No": EVIDENCE, "src": NEVER}
    own.unlink()
    assert profiles.used(tmp_path / "run", 0).survivors["default"] == "most_complete"


def test_a_profile_of_the_package_can_be_named(tmp_path):
    found = result_of(tmp_path, "Record ID,Name\n1,Ann\n2,Bob\n", profile=Path("hubspot_contact"))
    assert found.source["crm"] == "hubspot" and found.ids() == ["1", "2"]
    with pytest.raises(UserError, match=r"'siebel' does not exist: name a YAML file, or one of dynamics_account"):
        result_of(tmp_path, "Name\nAnn\n", profile=Path("siebel"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\ncrm: none\nnevr: [a]\n", "unknown key 'nevr': use one of"),
        ("name: x\ncrm: none\nnever: a\n", "line 3: expected a list"),
        ("name: x\n", "the key 'crm' is missing: add it"),
        ("name: x\ncrm: siebel\n", "crm: 'siebel' is unknown: use one of hubspot"),
        ("name: x\ncrm: none\nkind: person\n", "kind: 'person' is unknown: use one of contact, account"),
        ("name: x\ncrm: none\nsurvivors: {email: newest}\n", "survivors, email: 'newest' is unknown: use one of primary"),
        ("name: x\ncrm: none\nconcepts: {Kunde: firm}\n", "concepts, Kunde: 'firm' is unknown"),
        ("name: x\ncrm: none\nrecognised_by: [a, b]\nneeds: many\n", "needs: 'many' is no number"),
        ("name: x\ncrm: none\nrecognised_by: [a, b]\nneeds: 1\n", "one header proves nothing"),
        ("name: x\ncrm: none\nencoding: latin99\n", "'latin99' is unknown"),
        ("name: [x\n", "not YAML"),
    ],
)
def test_a_wrong_profile_names_the_key_and_the_cure(tmp_path, text, said):
    with pytest.raises(UserError) as raised:
        result_of(tmp_path, "Name\nAnn\n", profile=put(tmp_path, text, "own.yml"))
    assert said in str(raised.value) and (str(tmp_path / "own.yml") in str(raised.value) or "latin99" in said)


# -- the stage ------------------------------------------------------------------------------------------------------------


def test_the_stage_is_done_once_and_again_when_a_file_changes(tmp_path):
    first = result_of(tmp_path, "Name,Email\nAnn,a@x.example\n")
    before = os.stat(tmp_path / "run" / "1-read" / "records.parquet").st_mtime_ns
    assert result(tmp_path, tmp_path / "contacts.csv").report == first.report
    assert os.stat(tmp_path / "run" / "1-read" / "records.parquet").st_mtime_ns == before
    assert result_of(tmp_path, "Name,Email\nAnn,a@x.example\nBob,b@x.example\n").report["records"] == 2


def test_a_reading_that_was_killed_leaves_no_half_file_and_is_done_by_the_next(tmp_path):
    path = put(tmp_path, "Name,Email\n" + "".join(f"Ann {at},a{at}@x.example\n" for at in range(30_000)))
    program = (
        f"from crm_dedup_plugin.matching.read import read; from pathlib import Path; read(Path({str(tmp_path / 'run')!r}), [Path({str(path)!r})])"
    )
    folder = tmp_path / "run" / "1-read"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob(".records.parquet*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not (folder / "records.parquet").exists() and not (folder / "report.json").exists()
    assert result(tmp_path, path).report["records"] == 30_000
    assert [one.name for one in folder.iterdir() if one.name.startswith(".")] == []


def test_memory_does_not_grow_with_the_file(tmp_path):
    """The peak of a process of its own, in MB, with a file and with one of six times its size."""
    program = (
        "import resource, sys; from pathlib import Path; from crm_dedup_plugin.matching.read import read; run, file = map(Path, sys.argv[1:]);"
        "read(run, [file]); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    peaks = []
    for rows in (4_000, 24_000):
        path = put(tmp_path, "Name,Notes\n" + "".join(f"Ann {at},{'x' * 500} {at}\n" for at in range(rows)), f"{rows}.csv")
        done = subprocess.run([sys.executable, "-c", program, tmp_path / f"run-{rows}", path], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 10  # the file grew by 10 MB


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2024-03-12 09:14", "2024-03-12T09:14:00"),
        ("2024-03-12T09:14:22.000Z", "2024-03-12T09:14:22+00:00"),
        ("12.03.2024", "2024-03-12"),
        ("3/12/2024 12:05 AM", "2024-03-12T00:05:00"),
        ("13/12/2024", "2024-12-13"),
        ("12 Mar 2024", "2024-03-12"),
        ("Mar 12, 2024, 9:14 PM", "2024-03-12T21:14:00"),
        ("1710234862000", "2024-03-12T09:14:22+00:00"),
        ("45363", "2024-03-12"),
        ("2024-13-45", None),
        ("yesterday", None),
        ("--03-07", None),
        ("", None),
    ],
)
def test_dates_as_crms_write_them(written, iso):
    assert dates.to_iso(written) == iso


@given(st.text(max_size=30))
@PROPERTY
def test_any_text_can_be_asked_for_its_date(text):
    assert dates.to_iso(text) is None or datetime.datetime.fromisoformat(dates.to_iso(text))


def test_the_examples_in_the_docstrings_hold():
    for module in (dates, headers, profiles):
        assert doctest.testmod(module).failed == 0

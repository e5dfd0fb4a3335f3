"""The plan of a run: who stays, what survives, and steps that really end in the surviving record."""

import csv
import io
import itertools
import json
import re

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder, sheets
from crm_dedup_plugin.matching.grouping import group
from crm_dedup_plugin.matching.plan import crm_merges, plan, survivors
from crm_dedup_plugin.matching.plan.members import Member, in_order, telling
from crm_dedup_plugin.matching.read import read
from crm_dedup_plugin.matching.records import Column
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.storage import write_table

REASONING = '=1+1 \u2028 the e-mail is "the same"'


def make_run(tmp_path, table, *groups, profile=None, name="run", decided=()):
    """Read a table (or several), and group rows as people said; return the folder of the run. `decided` holds (row, row, probabilities)."""
    tables = [table] if isinstance(table[0][0], str) else table
    files = []
    for number, one in enumerate(tables):
        files.append(tmp_path / f"{name}-{number}.csv")
        with files[-1].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(one)
    run = tmp_path / name
    read(run, files, profile)
    run_folder.stage(run, "candidates", {"tables": tables, "groups": groups}, lambda folder: {})
    run_folder.stage(run, "decide", {"decided": decided}, lambda folder: write_decided(folder, decided))
    yes = [(a, b, True) for one in groups for a, b in itertools.pairwise(one)]
    group(run, lambda pairs: [(1.0, 0.0, 0.0)] * len(pairs), 0.79, yes)
    return run


def write_decided(folder, decided):
    """Write what the model said of pairs, and its reasoning about the first of them."""
    kinds = {"a": "int64", "b": "int64", "duplicate": "float32", "possible": "float32", "no_match": "float32", "decision": "string"}
    found = [(a, b, *told, LABELS[told.index(max(told))]) for a, b, told in decided]
    columns = list(zip(*found, strict=True)) or [[]] * len(kinds)
    write_table(pa.table(columns, pa.schema([pa.field(*one) for one in kinds.items()])), folder / "decisions.parquet")
    told = [json.dumps({"a": a, "b": b, "decision": said, "reasoning": REASONING}, ensure_ascii=False) for a, b, *_, said in found[:1]]
    (folder / "reasons.jsonl").write_text("".join(f"{one}\n" for one in told), encoding="utf-8")
    return {}


def lines(run, name="merge_plan.jsonl"):
    return [json.loads(line) for line in (run / "5-plan" / name).read_text(encoding="utf-8").split("\n") if line]


def rows(run, name):
    text = (run / "5-plan" / name).read_bytes().decode("utf-8" if name == "cleaned.csv" else "utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))


# --- the merge of each CRM, as a small model of it ---


class Crm:
    """Records by id; `carry_out` takes the steps of a plan. A merge keeps the values of the record that stays."""

    def __init__(self, records):
        self.records, self.returned = {one["Id"]: {name: value for name, value in one.items() if value} for one in records}, {}

    def carry_out(self, steps):
        for step in steps:
            self.returned[step["step"]] = self.step(step)

    def id(self, value):
        return self.returned[value["id_of_step"]] if isinstance(value, dict) else value


class HubSpot(Crm):
    def step(self, step):
        if step["method"] == "PATCH":
            self.records[step["path"].removeprefix("/crm/v3/objects/contacts/")].update(step["body"]["properties"])
            return None
        assert (step["method"], step["path"]) == ("POST", "/crm/v3/objects/contacts/merge")
        stays, goes = (self.records.pop(self.id(step["body"][name])) for name in ("primaryObjectId", "objectIdToMerge"))
        new = f"new{len(self.returned)}"
        self.records[new] = {**goes, **stays, "Id": new}
        return new


class Salesforce(Crm):
    def step(self, step):
        assert step["call"] == "merge" and 1 <= len(step["recordToMergeIds"]) <= 2
        master = dict(step["masterRecord"])
        assert master.pop("type") == "Contact"
        for goes in step["recordToMergeIds"]:
            del self.records[goes]
        self.records[master["Id"]].update(master)


class Dynamics(Crm):
    def step(self, step):
        assert (step["method"], step["path"]) == ("POST", "/api/data/v9.2/Merge")
        body = step["body"]
        assert body["PerformParentingChecks"] is False
        kinds = {body[name].pop("@odata.type") for name in ("Target", "Subordinate", "UpdateContent")}
        assert kinds == {"Microsoft.Dynamics.CRM.contact"}
        del self.records[body["Subordinate"]["contactid"]]  # it is deactivated
        self.records[body["Target"]["contactid"]].update(body["UpdateContent"])


class Pipedrive(Crm):
    def step(self, step):
        assert step["method"] == "PUT"
        _, version, kind, one, *merge = step["path"].split("/")
        assert (version, kind) == ("v1", "persons")
        if not merge:
            self.records[one].update(step["body"])
            return
        goes, stays = self.records.pop(one), self.records[str(step["body"]["merge_with_id"])]
        stays.update({name: value for name, value in goes.items() if name not in stays})


CASES = {  # the model, the columns of an export and their names in the API
    "hubspot": (HubSpot, {"Record ID": "Id", "First Name": "firstname", "Last Name": "lastname", "Email": "email", "Phone Number": "phone",
                          "Job Title": "jobtitle", "City": "city", "Postal Code": "zip", "Create Date": "created", "Last Modified Date": "modified"}),
    "salesforce": (Salesforce, {"Id": "Id", "FirstName": "FirstName", "LastName": "LastName", "Email": "Email", "Phone": "Phone", "Title": "Title",
                                "MailingCity": "MailingCity", "MailingPostalCode": "MailingPostalCode", "CreatedDate": "CreatedDate",
                                "LastModifiedDate": "LastModifiedDate"}),
    "dynamics": (Dynamics, {"(Do Not Modify) Contact": "Id", "First Name": "firstname", "Last Name": "lastname", "Email": "emailaddress1",
                            "Business Phone": "telephone1", "Job Title": "jobtitle", "Address 1: City": "address1_city",
                            "Address 1: ZIP/Postal Code": "address1_postalcode",
                            "Created On": "createdon", "(Do Not Modify) Modified On": "modifiedon"}),
    "pipedrive": (Pipedrive, {"Person - ID": "Id", "Person - First name": "first_name", "Person - Last name": "last_name",
                              "Person - Email - Work": "email",
                              "Person - Phone - Work": "phone", "Person - Job title": "job_title", "City": "city", "Postcode": "postcode",
                              "Person - Person created": "created", "Person - Update time": "updated"}),
}  # fmt: skip
PEOPLE = [
    ["101", "Ann", "Orr", "ann@orr.example", "", "", "", "", "2020-01-01", "2021-01-01"],
    ["102", "Raj", "Pal", "raj@pal.example", "+44 20 5550 1", "CEO", "Leeds", "LS1", "2020-01-02", "2021-01-01"],
    ["103", "A.", "Orr", "a.orr@new.example", "+49 30 5550", "CTO", "Bonn", "53111", "2021-01-01", "2024-05-01"],
    ["104", "Ann", "Orr", "", "+49 30 5550", "", "Bonn", "", "2019-01-01", "2020-01-01"],
    ["105", "Ann", "Orr", "ann@orr.example", "+49 30 5551", "", "", "", "2022-01-01", "2022-01-01"],
]


@pytest.mark.parametrize("crm", CASES)
@pytest.mark.parametrize("primary", ["most_complete", "oldest", "last_changed"])
def test_the_steps_end_in_the_surviving_record(tmp_path, crm, primary):
    model, names = CASES[crm]
    run = make_run(tmp_path, [list(names), *PEOPLE], [0, 2, 3, 4])
    report = plan(run, primary)
    (merge,) = lines(run)
    assert merge["crm"] == crm
    assert merge["primary"]["id"] == {"most_complete": "103", "oldest": "104", "last_changed": "103"}[primary]
    there = model([dict(zip(names.values(), one, strict=True)) for one in PEOPLE])
    there.carry_out(merge["steps"])
    assert len(there.records) == 2 and "102" in there.records
    (stays,) = (record for one, record in there.records.items() if one != "102")
    for column, field in merge["fields"].items():
        said = stays.get(names[column])
        assert (said[0]["value"] if isinstance(said, list) else said) == field["value"].split(",")[0], column
        assert all(one in ("101", "103", "104", "105") for one in field["from"])
    assert report["merges"] == 1 and report["records_removed"] == 3 and report["per_crm"] == {crm: 3}
    assert report["changed_fields"] == sum(field["changed"] for field in merge["fields"].values())
    assert report["conflicts"] == sum(field["conflict"] for field in merge["fields"].values()) > 0


def test_a_large_group_of_hubspot_stops_at_its_limit():
    members = [Member(row, str(row), row, None, None, {}, {}, 0, row) for row in range(254)]
    steps, left_over = crm_merges.steps("hubspot", "contact", members, {})
    assert len(steps) == crm_merges.HUBSPOT_MOST == 250
    assert left_over == ["251", "252", "253"]
    there = HubSpot([{"Id": member.id} for member in members])
    there.carry_out(steps)
    assert len(there.records) == 4
    assert crm_merges.steps("hubspot", "account", members[:2], {})[0][0]["path"] == "/crm/v3/objects/companies/merge"


def test_zoho_is_a_work_list_of_three_at_a_time(tmp_path):
    header = [
        "Record Id",
        "First Name",
        "Last Name",
        "Email",
        "Phone",
        "Contact Owner",
        "Contact Owner.id",
        "Account Name.id",
        "Created Time",
        "Modified Time",
    ]
    table = [header, *([f"zcrm_{number}", "Ann", "Orr", "ann@orr.example", f"5550{number}", "Kim", "1", "2", "", ""] for number in range(4))]
    run = make_run(tmp_path, table, [0, 1, 2, 3])
    plan(run)
    assert [(step["by_hand"], step["master"], step["with"]) for step in lines(run)[0]["steps"]] == [
        ("merge", "zcrm_0", ["zcrm_1", "zcrm_2"]),
        ("merge", "zcrm_0", ["zcrm_3"]),
    ]


def test_what_points_to_another_record_is_set_by_hand_and_unknown_names_are_told(tmp_path):
    header = [*CASES["hubspot"][1], "Associated Company", "Shoe Size"]
    table = [header, [*PEOPLE[2], "", ""], [*PEOPLE[0], "Orr Ltd", "38"], [*PEOPLE[1], "Pal & Co", "44"]]
    run = make_run(tmp_path, table, [0, 1])
    report = plan(run)
    (merge,) = lines(run)
    assert merge["set_by_hand"] == {"Associated Company": "Orr Ltd"}
    assert merge["unknown_names"] == report["unknown_names"] == ["Shoe Size"]
    assert merge["steps"][0]["body"]["properties"]["Shoe Size"] == "38"


def test_records_without_an_id_are_merged_by_hand(tmp_path):
    header = list(CASES["hubspot"][1])
    people = [["", *PEOPLE[2][1:]], PEOPLE[0], PEOPLE[1], PEOPLE[3], [" ", *PEOPLE[4][1:]], ["", "Raj", "Pal", *[""] * 7], ["", "Kim"], ["", "Kim"]]
    run = make_run(tmp_path, [header, *people], [0, 1, 3, 4], [2, 5], [6, 7])
    report = plan(run, "last_changed")
    several, one, none = lines(run)
    assert several["by_hand"] == ["line 2", "line 6"] and several["primary"]["id"] == "101"  # although the others changed later
    assert [step["body"] for step in several["steps"] if step["method"] == "POST"] == [{"primaryObjectId": "101", "objectIdToMerge": "104"}]
    assert "line" not in json.dumps(several["steps"])
    assert (one["primary"]["id"], one["by_hand"], one["steps"]) == ("102", ["line 7"], [])
    assert (none["by_hand"], none["steps"]) == ([none["merged"][0]["id"]], [])
    assert (report["records_removed"], report["by_hand"], report["per_crm"]) == (5, 4, {"hubspot": 1, "by hand": 4})
    assert [row[1] for row in rows(run, "merge_plan.csv")[1:6]] == ["becomes", "stays", "goes into it", "by hand", "by hand"]
    assert len(rows(run, "cleaned.csv")) == 1 + 3


@pytest.mark.parametrize("crm", CASES)
def test_a_file_without_ids_has_no_steps(tmp_path, crm):
    names = list(CASES[crm][1])
    profile = tmp_path / "own.yml"
    profile.write_text(f"name: Ours\ncrm: {crm}\n", encoding="utf-8")
    for name, table in (("none", [names[1:], *(one[1:] for one in PEOPLE)]), ("blank", [names, *(["", *one[1:]] for one in PEOPLE)])):
        run = make_run(tmp_path, table, [0, 2, 3], profile=profile, name=f"{name}-{crm}")
        report = plan(run)
        (merge,) = lines(run)
        assert (merge["crm"], merge["steps"], merge["by_hand"]) == ("", [], [])
        assert (report["per_crm"], report["by_hand"]) == ({"cleaned file": 2}, 0)
        assert len(rows(run, "cleaned.csv")) == 1 + 3


# --- files ---


def test_tables_for_people_hold_no_formulas_and_files_for_programs_are_exact(tmp_path):
    evil = ["+49 30 5550", '=HYPERLINK("http://x.example","y")', "@sum", "-1+1", "\tx", "Ann", "=1"]
    header = ["ID", "Phone", "Notes", "Twitter", "Website", "City", "First Name", "Last Name"]
    run = make_run(tmp_path, [header, ["1", *evil], ["2", "", "other", "", "", "", "Ann", "Orr"], ["3", "", "", "", "", "", "Raj", "Pal"]], [0, 1])
    plan(run)
    shown = rows(run, "merge_plan.csv")
    assert "'+49 30 5550" in shown[1] and "+49 30 5550" not in shown[1]
    assert not [cell for row in shown for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    book = openpyxl.load_workbook(run / "5-plan" / "merge_plan.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert all(cell.quotePrefix for cell in cells if cell.value.startswith(("=", "+", "-", "@", "\t")))
    assert "+49 30 5550" in [cell.value for cell in cells]
    (merge,) = lines(run)
    assert merge["fields"]["Phone"]["value"] == "+49 30 5550"
    cleaned = rows(run, "cleaned.csv")
    assert cleaned == [
        header,
        ["1", *evil[:4], "\tx".strip() if cleaned[1][5] == "x" else "\tx", "Ann", cleaned[1][7]],
        ["3", *[""] * 5, "Raj", "Pal"],
    ]


@pytest.mark.parametrize("value", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", " =1", "＝1"])
def test_each_beginning_of_a_formula_is_escaped(value):
    assert sheets.escaped(value) == f"'{value}"
    assert sheets.escaped(f"a{value}") == f"a{value}"


def test_before_images_restore_everything(tmp_path):
    header, records = list(CASES["hubspot"][1]), PEOPLE
    run = make_run(tmp_path, [header, *records], [0, 2, 4], [1, 3])
    plan(run)
    kept = {row[0]: row for row in rows(run, "cleaned.csv")[1:]}
    assert len(kept) == 2
    for one in lines(run, "before.jsonl"):
        kept[one["id"]] = [one["values"].get(name, "") for name in header]
    assert sorted(kept.values()) == sorted(records)


def test_the_cleaned_file_keeps_columns_order_and_names(tmp_path):
    header = ["Name", "Mail", "Empty", "Mail", "City"]
    table = [
        header,
        ["Zoe Orr", "", "", "z@orr.example", "Bonn"],
        ["Raj Pal", "r@p.example", "", "", ""],
        ["Zoe Orr", "zoe@orr.example", "", "", "Bonn"],
    ]
    run = make_run(tmp_path, table, [0, 2])
    report = plan(run)
    cleaned = rows(run, "cleaned.csv")
    assert cleaned[0] == header
    assert cleaned[1:] == [["Zoe Orr", "zoe@orr.example", "", "z@orr.example", "Bonn"], ["Raj Pal", "r@p.example", "", "", ""]]
    assert report["per_crm"] == {"cleaned file": 1}
    assert lines(run)[0]["steps"] == []


def test_several_files_are_matched_not_merged(tmp_path):
    left = [["ID", "First Name", "Last Name", "Email"], ["1", "Ann", "Orr", "ann@orr.example"], ["2", "Raj", "Pal", "raj@pal.example"]]
    right = [["ID", "First Name", "Last Name", "Telefon"], ["7", "Ann", "Orr", "+49 30 5550"], ["8", "Kim", "Lee", "1"], ["9", "A", "Orr", "2"]]
    run = make_run(tmp_path, [left, right], [0, 2, 4], [1], [3])
    report = plan(run)
    assert (report["matches"], report["matched_records"], report["records_removed"]) == (1, 3, 0)
    (match,) = lines(run)
    assert [[one["id"] for one in side["records"]] for side in match["same"]] == [["1"], ["7", "9"]]
    assert [row[1:4] for row in rows(run, "merge_plan.csv")[1:]] == [["run-0.csv", "1", "2"], ["run-1.csv", "7", "2"], ["run-1.csv", "9", "4"]]
    assert not (run / "5-plan" / "cleaned.csv").exists()


def test_what_waits_for_a_person_can_be_read_by_one(tmp_path):
    header = ["Record ID", "First Name", "Last Name", "Email", "Notes", "Contact owner"]
    table = [
        header,
        ["11", "Ann", "Orr", "ann@orr.example", "+49 30 5550", "Kim"],
        ["12", "A.", "Orr", "", "@x", "Lee"],
        ["13", "Raj", "Pal", "r@p.example", "", ""],
    ]
    told = [(0, 1, (0.755, 0.2, 0.045)), (1, 2, (0.1, 0.6, 0.3)), (0, 2, (0.0, 0.1, 0.9))]
    run = make_run(tmp_path, table, decided=told)
    plan(run)
    shown = rows(run, "review.csv")
    assert shown[0] == ["pair", "why", "decision", "DUPLICATE in %", "these groups came before", "reasoning", "file", "id", "line", *header[1:5]]
    pair = ["1", "below the threshold", "DUPLICATE", "75.5", "", f"'{REASONING}", "run-0.csv"]
    assert shown[1:3] == [[*pair, "11", "2", "Ann", "Orr", "ann@orr.example", "'+49 30 5550"], [*pair, "12", "3", "A.", "Orr", "", "'@x"]]
    assert [row[:8] for row in shown[3:]] == [["2", "POSSIBLE", "POSSIBLE", "10.0", "", "", "run-0.csv", one] for one in ("12", "13")]
    sheet = openpyxl.load_workbook(run / "5-plan" / "merge_plan.xlsx")["review"]
    cells = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert len(cells) == 5 and cells[1][:6] == [1, "below the threshold", "DUPLICATE", 75.5, None, REASONING] and cells[1][12] == "+49 30 5550"
    assert sheet["F2"].quotePrefix and sheet["F2"].data_type == "s"


def test_what_waits_between_files_stands_in_the_columns_of_both(tmp_path):
    left, right = [["ID", "Name", "Email"], ["1", "Ann", "a@x.example"]], [["ID", "Name", "Telefon"], ["7", "Anne", "1"]]
    run = make_run(tmp_path, [left, right], decided=[(0, 1, (0.3, 0.6, 0.1))])
    plan(run)
    assert [row[6:] for row in rows(run, "review.csv")] == [
        ["file", "id", "line", "Name", "Email", "Telefon"],
        ["run-0.csv", "1", "2", "Ann", "a@x.example", ""],
        ["run-1.csv", "7", "2", "Anne", "", "1"],
    ]
    assert openpyxl.load_workbook(run / "5-plan" / "merge_plan.xlsx").sheetnames == ["matches", "review"]


def test_a_run_without_groups_has_an_empty_plan(tmp_path):
    run = make_run(tmp_path, [["ID", "First Name", "Email"], ["1", "Ann", "a@x.example"], ["2", "Raj", "r@x.example"]])
    report = plan(run)
    assert (report["merges"], report["records_removed"], lines(run), lines(run, "before.jsonl")) == (0, 0, [], [])
    assert len(rows(run, "cleaned.csv")) == 3


# --- rules ---


def members(*values, columns=None):
    found = [
        Member(row, f"id{row}", row, one.pop("created", None), one.pop("changed", None), one, telling(one), len(one), row)
        for row, one in enumerate([dict(one) for one in values])
    ]
    concepts = {
        "First": "first",
        "Last": "last",
        "Street": "street",
        "City": "city",
        "Zip": "postcode",
        "Other Street": "street",
        "Other City": "city",
    }
    concepts |= {"Email": "email", "Phone": "phone", "Notes": "notes"}
    names = dict.fromkeys(name for one in found for name in one.values)
    return found, columns or [Column(name, "evidence", concepts.get(name), None) for name in names]


def surviving(rule, *values, columns=None):
    found, columns = members(*values, columns=columns)
    fields = survivors.survive(found, columns, {column.name: rule for column in columns})
    return {name: field.value for name, field in fields.items()}


def test_each_rule_of_a_field():
    values = [{"Email": "b@x.example", "changed": "2020"}, {"Email": "aa@long.example", "changed": "2019", "created": "2001"},
              {"Email": "c@x.example", "changed": "2024", "created": "2002", "Notes": "x"},
              {"Email": "B@X.example", "changed": "2018"}, {"Notes": "y"}]  # fmt: skip
    assert surviving("primary", *values)["Email"] == "b@x.example"
    assert surviving("longest", *values)["Email"] == "aa@long.example"
    assert surviving("last_changed", *values)["Email"] == "c@x.example"
    assert surviving("oldest", *values)["Email"] == "aa@long.example"
    assert surviving("most_complete", *values)["Email"] == "c@x.example"
    assert surviving("most_frequent", *values)["Email"] == "b@x.example"
    column = [Column("Phones", "evidence", "phone", ";")]
    assert surviving("all", {"Phones": "+49 30 5550"}, {"Phones": "030 5550; +1 555 0100"}, columns=column) == {"Phones": "+49 30 5550;+1 555 0100"}


def test_an_address_comes_from_one_record():
    values = [{"City": "Leeds"}, {"Street": "Hauptstr. 1", "City": "Bonn", "Zip": "53111"}, {"Street": "High St 2", "City": "Leeds"}]
    assert surviving("primary", *values) == {"City": "Bonn", "Street": "Hauptstr. 1", "Zip": "53111"}
    assert surviving("primary", values[2], values[1]) == {"Street": "High St 2", "City": "Leeds"}  # no postcode of another town
    assert surviving("primary", {"Street": "Hauptstr. 1", "City": "Bonn"}, values[1])["Zip"] == "53111"  # but that of the same place
    with_state = {"Street": "High St 2", "City": "Dallas", "State/Region": "TX"}  # a part that has no concept of its own
    assert surviving("primary", {"Street": "A 1", "City": "Rome"}, with_state) == {"Street": "A 1", "City": "Rome"}
    both = {"Street": "A 1", "City": "Bonn", "Other Street": "B 2", "Other City": "Rome"}
    assert surviving("primary", {"Street": "C 3", "City": "Ulm"}, both) == {
        "Street": "C 3",
        "City": "Ulm",
        "Other Street": "B 2",
        "Other City": "Rome",
    }


def test_a_name_comes_from_one_record_and_not_from_an_initial():
    assert surviving("primary", {"First": "A.", "Last": "Orr"}, {"First": "Ann", "Last": "Orr-Lee"})["Last"] == "Orr"
    assert surviving("primary", {"Last": "Orr"}, {"First": "Ann", "Last": "Orr"}) == {"Last": "Orr", "First": "Ann"}


def test_a_placeholder_does_not_survive_a_value():
    assert surviving("primary", {"Email": "test@test.com"}, {"Email": "ann@orr.example"}) == {"Email": "ann@orr.example"}
    assert surviving("primary", {"Email": "test@test.com"}, {"Notes": "x"})["Email"] == "test@test.com"


def test_who_opted_out_anywhere_has_opted_out():
    columns = [Column("HasOptedOutOfEmail", "never", None, None), Column("Owner", "never", None, None)]
    found = surviving("primary", {"HasOptedOutOfEmail": "false", "Owner": "Kim"}, {"HasOptedOutOfEmail": "TRUE", "Owner": "Lee"}, columns=columns)
    assert found == {"HasOptedOutOfEmail": "TRUE"}


def test_another_way_to_write_a_value_is_no_conflict():
    found, columns = members({"Phone": "+49 30 5550123"}, {"Phone": "030 5550123"}, {"Phone": "+49 30 7770123"})
    field = survivors.survive(found, columns, {"Phone": "primary"})["Phone"]
    assert (field.conflict, field.lost) == (True, [(1, "030 5550123"), (2, "+49 30 7770123")])
    assert not survivors.survive(found[:2], columns, {"Phone": "primary"})["Phone"].conflict


def test_a_value_within_another_is_no_conflict_and_another_spelling_no_change():
    found, columns = members({"Phone": "2763428503", "changed": "2020"}, {"Phone": "+1 276-342-8503", "changed": "2021"})
    assert survivors.survive(found, columns, {"Phone": "last_changed"})["Phone"][:2] == ("2763428503", [0])
    found, columns = members({"Place": "Hauptstr. 1, 53111 Bonn"}, {"Place": "Bonn"}, {"Place": ""})
    assert not survivors.survive(found, columns, {"Place": "primary"})["Place"].conflict
    assert survivors.survive(found[:2], columns, {"Place": "primary"})["Place"].lost == [(1, "Bonn")]


def test_the_rule_of_a_column_is_that_of_its_name_its_concept_or_the_default():
    columns = [Column(*one) for one in (("Email", "evidence", "email", None), ("Tel", "evidence", "phone", None), ("Job", "evidence", None, None))]
    columns.append(Column("Tags", "evidence", None, ";"))
    rules = survivors.rules_of(columns, {"EMAIL": "longest", "email": "oldest", "phone": "most_frequent", "default": "last_changed"})
    assert rules == {"Email": "oldest", "Tel": "most_frequent", "Job": "last_changed", "Tags": "all"}
    assert survivors.rules_of(columns, {}) == {"Email": "primary", "Tel": "primary", "Job": "primary", "Tags": "all"}


def test_a_rule_for_the_record_that_stays_must_be_known(tmp_path):
    run = make_run(tmp_path, [list(CASES["hubspot"][1]), *PEOPLE], [0, 2])
    for primary, said in (("newest", "'newest' is unknown"), ("column:Score", "no file has a column 'Score'")):
        with pytest.raises(UserError, match=re.escape(said)):
            plan(run, primary)


@pytest.mark.parametrize(("cells", "stays"), [(["no", "", "yes"], 2), (["3", "12", "-1"], 1), (["", "x", ""], 1), (["", "", ""], 0)])
def test_a_column_can_name_the_primary(cells, stays):
    found, _ = members(*({"Master": cell, "Notes": "x"} for cell in cells))
    assert in_order(found, "column:Master")[0].row == stays


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(5)), st.sampled_from(["most_complete", "oldest", "last_changed"]))
def test_the_order_of_the_rows_makes_no_difference(order, primary):
    found, _ = members(
        {"Email": "a", "created": "2020"}, {"Email": "b", "created": "2020"}, {"changed": "2021"}, {"Email": "c", "Notes": "d"}, {"City": "e"}
    )
    assert in_order([found[at] for at in order], primary) == in_order(found, primary)

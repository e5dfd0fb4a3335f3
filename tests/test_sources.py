"""Real, public sources: each reader on a miniature of its source, what folds hold out, plausible labels, and errors with a cure."""

import csv
import io
import json
import random
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import real_pairs  # noqa: E402
from sources import people, registry  # noqa: E402
from sources.organisations import _one_form  # noqa: E402
from sources.readers import READERS  # noqa: E402

from crm_dedup_plugin.dataset.families import learned_from  # noqa: E402
from crm_dedup_plugin.dataset.plausible import plausible  # noqa: E402
from crm_dedup_plugin.errors import UserError  # noqa: E402
from crm_dedup_plugin.pair.files import read_rows  # noqa: E402
from crm_dedup_plugin.policy.values import fold  # noqa: E402

KNOWN = registry.registry()
SOURCES = {source.name: source for source in KNOWN.sources}
SYLLABLES = ("bal", "dor", "kem", "lis", "mun", "pra", "sot", "vig")
WORDS = [(one + other).title() for one in SYLLABLES for other in SYLLABLES if one != other]


def table(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def ofac() -> dict[str, str]:
    blank = "-0- "
    remarks = "DOB 04 Mar 1964; POB Kakanj; nationality Bosnia; Passport 16650550 (Iran)."
    sdn = [["1", "KUBURA, Amir Hasan", "individual", "X", *[blank] * 7, remarks]]
    sdn += [["2", "BANCO NACIONAL DE CUBA", blank, "X", *[blank] * 8]]
    alt = [["1", "9", "aka", "KUBURA, Ameer Hasan", blank], ["2", "8", "aka", "NATIONAL BANK OF CUBA", blank]]
    return {"sdn": table(sdn), "alt": table(alt), "add": table([["2", "7", "Zweierstrasse 35", "Zurich", "Switzerland", blank]])}


def brands() -> dict[str, str]:
    item = {"displayName": "Aargauische Kantonalbank", "id": "akb-1", "locationSet": {"include": ["ch"]}}
    item["tags"] = {"brand:wikidata": "Q301269", "short_name": "AKB", "name:en": "Cantonal Bank of Aargau"}
    plain = {"displayName": "Coop", "id": "coop-1", "locationSet": {"include": ["ch"]}, "tags": {"name": "Coop"}}
    return {"brands/amenity/bank.json": json.dumps({"items": [item, plain]})}


def congress() -> dict[str, str]:
    first = random.Random(3)
    members, offices = [], []
    for number in range(40):
        key, last = f"K{number}", WORDS[number]
        name = {"first": first.choice(("Robert", "Maria", "James")), "last": last, "nickname": "Bob", "middle": "Lee"}
        terms = [
            {
                "type": "rep",
                "state": "WA",
                "party": "Democrat",
                "phone": f"202-225-{1000 + 2 * number + year}",
                "address": f"{100 + number} Cannon Building",
            }
            for year in range(2)
        ]
        bio = {"birthday": f"19{40 + number}-03-0{1 + number % 9}", "gender": "M"}
        members.append({"id": {"bioguide": key}, "name": name, "bio": bio, "terms": terms})
        offices.append(
            {
                "id": {"bioguide": key},
                "offices": [{"address": f"{number} Main St.", "suite": 12, "city": "Newton", "zip": "02458", "phone": f"617-332-{number + 3000}"}],
            }
        )
    return {"legislators-current.yaml": yaml.safe_dump(members), "legislators-district-offices.yaml": yaml.safe_dump(offices)}


def febrl() -> dict[str, str]:
    head = "rec_id, given_name, surname, street_number, address_1, address_2, suburb, postcode, state, date_of_birth, soc_sec_id\n"
    rows = [f"rec-{n}-{kind}, sarah, {word}, 44, forbes street, wintersloe, kellerberrin, 0451, vic, 19300213, 7535316\n"
            for n, kind, word in ((1, "org", "bruhn"), (1, "dup-0", "bruhm"), (2, "org", "lanyon"))]  # fmt: skip
    return {f"dataset{number}.csv": head + "".join(rows) for number in (1, 2, 3)}


def names() -> dict[str, str]:
    lines = ["robert, róbert, роберт => Q1", "maria, marija, мария => Q2", "igumnov, igumnow, игумнов => Q3", "chelomey, tschelomej => Q4"]
    return {"data/names/persons.txt": "\n".join([*lines, "alone => Q5"]) + "\n"}


def transliterations() -> dict[str, str]:
    whole = ["Victor Hugo\tויקטור הוגו", "Adele Hugo\tאדל הוגו", "Louis IX of France\tלואי התשיעי, מלך צרפת", "Hedi Slimane\tהדי סלימאן"]
    parts = [f"{word.lower()}\tф {number % 7} я\t5" for number, word in enumerate(WORDS)]
    return {"data/wd_hebrew": "\n".join(whole) + "\n", "data/wd_russian_80": "\n".join([*parts, "rare\tр е\t1"]) + "\n"}


def refdata() -> dict[str, str]:
    surnames = table([["name", "rank", "count"], *[[word.upper(), "1", "1"] for word in WORDS[:20]]])
    return {
        "data/given_name_aliases.json": json.dumps({"aliases": {"alexander": ["alex", "al"], "albert": ["al", "bert"]}}),
        "data/legal_forms.json": json.dumps({"legal_forms": {"uk": ["Ltd", "Limited", "PLC"]}}),
        "data/address_abbreviations.json": json.dumps({"street_suffixes": {"ave": ["avenue"]}}),
        "data/business_aliases.json": json.dumps({"aliases": {"federal express": ["fedex"]}}),
        "data/census_surnames.csv": surnames,
    }


MINIATURES = {made.__name__: made for made in (ofac, brands, congress, febrl, names, transliterations, refdata)}


def placed(name: str, folder: Path) -> registry.Source:
    """Write the miniature of a source below `folder`, and return the source with its checksums."""
    texts = MINIATURES[name]()
    for path, text in texts.items():
        (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / path).write_bytes(text.encode())
    return SOURCES[name]._replace(files={path: sha256(text.encode()).hexdigest() for path, text in texts.items()})


def benchmark(name: str, folder: Path) -> registry.Source:
    pairs = [
        {
            "pair_id": f"{number}",
            "label": number % 2,
            "record_a": {"name": word, "city": "Rome"},
            "record_b": {"name": word if number % 2 else word[::-1]},
        }
        for number, word in enumerate(WORDS[:12])
    ]
    pairs.append({"pair_id": "false", "label": 0, "record_a": {"name": WORDS[1], "city": "Rome"}, "record_b": {"name": WORDS[1]}})
    text = "".join(json.dumps(pair) + "\n" for pair in pairs)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.jsonl").write_text(text)
    return SOURCES[name]._replace(files={f"{name}.jsonl": sha256(text.encode()).hexdigest()})


def read(name: str, folder: Path) -> list[dict]:
    source = placed(name, folder)
    return READERS[name](registry.files(source, folder, None), random.Random(7))


@pytest.mark.parametrize("name", sorted(MINIATURES))
def test_a_reader_returns_rows_with_known_fields_and_entities_of_several_rows(name, tmp_path):
    rows = read(name, tmp_path)
    assert len({row["id"] for row in rows}) == len(rows)
    assert {field for row in rows for field in row} <= {"id", "entity", *KNOWN.columns}
    entities = [row["entity"] for row in rows]
    assert (max(map(entities.count, entities)) > 1 and len(set(entities)) > 1) or name == "brands"
    assert rows == read(name, tmp_path)


def test_what_the_readers_understand(tmp_path):
    person = next(row for row in read("ofac", tmp_path) if row["kind"] == "individual")
    assert (person["last"], person["birth"], person["identifier"]) == ("KUBURA", "04 Mar 1964", "16650550")
    assert {row["company"] for row in read("brands", tmp_path)} <= {"Aargauische Kantonalbank", "AKB", "Cantonal Bank of Aargau"}
    assert {row["postcode"] for row in read("febrl", tmp_path)} == {"0451"}
    assert not any("7535316" in row.values() for row in read("febrl", tmp_path))
    assert "02458" in {row.get("postcode") for row in read("congress", tmp_path)}
    assert not any("Louis" in row["first"] for row in read("transliterations", tmp_path))
    assert not any(row.get("first") == "Al" for row in read("refdata", tmp_path))  # both Alexander and Albert


def test_spellings_of_a_legal_form_and_names_that_resemble_each_other():
    same = [("Ltd.", "Limited"), ("Inc", "Incorporated"), ("SpA", "Societa per Azioni"), ("GmbH", "Gesellschaft mit beschrankter Haftung")]
    other = [("Ltd", "PLC"), ("SpA", "Srl"), ("Oy", "Oyj"), ("SARL", "Societe par Actions Simplifiee"), ("LLP", "LP")]
    assert all(_one_form(*pair) for pair in same) and not any(_one_form(*pair) for pair in other)
    assert people.apart([("osolin", "ozolin"), ("ozolins",), ("valuev",)], 9) == [("osolin", "ozolin"), ("valuev",)]


@pytest.mark.parametrize(
    ("decision", "left", "right", "seen"),
    [
        ("DUPLICATE", {"company": "CAMELLIA", "identifier": "IMO 9171462"}, {"company": "SAVEH", "identifier": "IMO 9171462"}, True),
        ("DUPLICATE", {"company": "CAMELLIA", "country": "Iran"}, {"company": "SAVEH", "country": "Iran"}, False),
        ("DUPLICATE", {"company": "AKB"}, {"company": "Aargauische Kantonal Bank"}, True),
        ("DUPLICATE", {"name": "Мария Игумнова"}, {"name": "Marija Igumnova"}, True),
        ("NO_MATCH", {"name": "Ann Lee", "country": "US"}, {"name": "Ann Lee", "country": "GB"}, False),
        ("NO_MATCH", {"name": "Ann Lee", "birth": "1990"}, {"name": "Ann Lee", "birth": "1950"}, True),
        ("POSSIBLE", {"name": "Terence Malloy"}, {"name": "Madeline Catalan", "street": "390 Marinelli Wall"}, False),
    ],
)
def test_a_label_is_what_a_person_could_see(decision, left, right, seen):
    assert plausible(decision == "DUPLICATE", decision, left, right, random.Random(1)) == seen


def test_every_fold_holds_out_families_as_a_whole():
    assert {"dupehell", "patents"}.isdisjoint(SOURCES)
    assert {source.reader for source in KNOWN.sources} - {None} == set(READERS)
    for families in KNOWN.folds.values():
        assert {source.family for source in registry.without(KNOWN, families)}.isdisjoint(families)
    assert SOURCES["ofac"].family == SOURCES["nomenklatura_names"].family and SOURCES["names"].family == SOURCES["splink_historical50k"].family
    with pytest.raises(UserError, match=r"--without nobody: no source is of this family: name one of .*chicago"):
        registry.without(KNOWN, ["nobody"])


def test_the_command_leaves_out_a_fold_and_repeats_itself(tmp_path, capsys):
    sources = [placed("congress", tmp_path), benchmark("splink_fake1000", tmp_path / "public"), benchmark("oar_facilities", tmp_path / "public")]
    known = KNOWN._replace(sources=sources, folds={"a": ("splink",)})
    words = ["--folder", str(tmp_path), "--benchmarks", str(tmp_path / "public"), "--pairs", "40", "--seed", "3"]
    found = {}
    for run in ("one", "two"):
        out = tmp_path / f"{run}.jsonl"
        real_pairs.main([*words, "--fold", "a", "--out", str(out)], known)
        found[run] = out.read_bytes()
    assert found["one"] == found["two"]
    rows, cut = read_rows(tmp_path / "one.jsonl")
    card = json.loads((tmp_path / "one.card.json").read_text())
    assert not cut and {row["slice"] for row in rows} == {"real_congress_congress", "real_oar_oar_facilities"}
    assert learned_from(tmp_path / "one.jsonl") == ["congress", "oar"]
    assert card["held_out"] == ["splink"] and card["sha256"] == sha256(found["one"]).hexdigest() and card["pairs"] == len(rows)
    assert "congress: 40 pairs, 20 of one entity" in capsys.readouterr().out
    for row in rows:
        left, right = row["input"].values()
        same, decision = row["cluster_a"] == row["cluster_b"], row["output"]["decision"]
        assert left != right and decision in ("POSSIBLE", "DUPLICATE" if same else "NO_MATCH")
    # A label that contradicts another one is left out: records that a pair joins are one entity.
    factories = [row for row in rows if row["slice"] == "real_oar_oar_facilities"]
    assert not any(
        fold(a["name"]) == fold(b["name"]) and row["output"]["decision"] == "NO_MATCH" for row in factories for a, b in [row["input"].values()]
    )


def test_files_that_are_missing_or_wrong_are_named_with_a_cure(tmp_path):
    source = placed("brands", tmp_path)
    path = tmp_path / "brands" / "brands" / "amenity" / "bank.json"
    path.write_text("{}")
    with pytest.raises(UserError, match=r"bank\.json has the SHA-256 .*: delete it and get it anew from osmlab"):
        registry.files(source, tmp_path, None)
    path.unlink()
    with pytest.raises(UserError, match=r"bank\.json is missing .*: add --download"):
        registry.files(source, tmp_path, None)
    with pytest.raises(UserError, match=r"--benchmarks FOLDER or the variable CRM_DEDUP_BENCHMARKS"):
        registry.files(SOURCES["oar_facilities"], tmp_path, None)


def test_downloads_are_written_only_where_they_are_missing_and_then_checked(tmp_path, monkeypatch):
    source, asked = placed("ofac", tmp_path), []
    (tmp_path / "ofac" / "alt").unlink()

    def answer(address, timeout):
        asked.append(address)
        return io.BytesIO(ofac()["alt"].encode())

    monkeypatch.setattr(registry.urllib.request, "urlopen", answer)
    assert registry.files(source, tmp_path, None, download=True)["alt"].read_text() == ofac()["alt"].replace("\r\n", "\n")
    assert len(asked) == 1 and f"{source.repository}/{source.commit}/alt" in asked[0]
    monkeypatch.setattr(registry.urllib.request, "urlopen", lambda address, timeout: io.BytesIO(b"<html>"))
    (tmp_path / "ofac" / "alt").unlink()
    with pytest.raises(UserError, match="alt has the SHA-256"):
        registry.files(source, tmp_path, None, download=True)


def test_a_package_is_got_by_pip_and_a_failure_says_so(tmp_path, monkeypatch):
    source = placed("names", tmp_path)
    path = next(iter(source.files))
    (tmp_path / "names" / path).unlink()

    def pip(command, **_):
        wheel = Path(command[command.index("-d") + 1]) / "rigour.whl"
        assert "--require-hashes" in command and source.sha256 in Path(command[-1]).read_text()
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr(path, names()[path])
        return registry.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(registry.subprocess, "run", pip)
    assert registry.files(source, tmp_path, None, download=True)[path].read_text() == names()[path]
    monkeypatch.setattr(registry.subprocess, "run", lambda command, **_: registry.subprocess.CompletedProcess(command, 1, "", "no such version"))
    (tmp_path / "names" / path).unlink()
    with pytest.raises(UserError, match=r"rigour==1\.3\.0 could not be downloaded(.|\n)*no such version"):
        registry.files(source, tmp_path, None, download=True)

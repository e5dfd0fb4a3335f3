"""Nothing private is published: no records, no addresses, no paths, no pairs of real people."""

import json
from pathlib import Path

import pytest
import yaml
from hub_workspace import REPO, dry, enter, measure, refused, sha256, write

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.hub import generated_pairs, licences, privacy


@pytest.fixture
def root(tmp_path, monkeypatch):
    return enter(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ann.lee@bigbank.com", "an e-mail address"),
        ("call +44 7400 104729", "a telephone number"),
        ("(212) 736-5000", "a telephone number"),
        ("07400 104 729", "a telephone number"),
        ("/home/ann/crm/all.jsonl", "a path of this machine"),
        ("C:\\Users\\ann", "a path of this machine"),
        ("~/crm", "a path of this machine"),
        ("hf_abcdefghijklmnopqrst", "an access token"),
    ],
)
def test_private_things_in_results_stop_the_push_without_being_repeated(root, text, what):
    measure(root, command=f"lm_eval {text}")
    said = refused(f"results/metrics.json, line [0-9]+: {what}")
    assert text not in said


@pytest.mark.parametrize(
    "text",
    ["0.8499632216486148", "ann@lee.example", "a@mail.example.com", "2025-11-22 10:30:00", "a6cfb176273b", "/v1/chat", "AMD EPYC 7763 64-Core"],
)
def test_numbers_dates_and_reserved_domains_are_not_private(text):
    privacy.check({"a": text}, {"b": text}, None, REPO)


def test_values_of_test_records_are_found_wherever_they_stand(root):
    row = json.loads(Path("data/splits/test.jsonl").read_text().splitlines()[0])
    field, value = max(row["input"]["record_a"].items(), key=lambda item: len(item[1]))
    measure(root, slices={f"like {value.upper()}": json.loads(Path("outputs/results/tiny/metrics.json").read_text())["slices"]["easy"]})
    said = refused(f"results/metrics.json: a value of the field {field!r} of a test pair")
    assert value.casefold() not in said.casefold()


def test_the_account_that_is_published_to_is_no_secret_and_other_user_names_are(monkeypatch):
    monkeypatch.setattr(privacy.getpass, "getuser", lambda: "annlee")
    privacy.check({"README.md": "serve annlee/crm-dedup-tiny"}, {}, None, "annlee/crm-dedup-tiny")
    with pytest.raises(UserError, match="your user name"):
        privacy.check({"README.md": "made by annlee"}, {}, None, "annlee/crm-dedup-tiny")
    privacy.check({"README.md": "annlee"}, {}, None, "x/y", public="a word of the card: annlee")


def test_only_generated_pairs_are_published(root):
    summary = json.loads(Path("data/splits/summary.json").read_text())
    write(root / "data/splits/summary.json", json.dumps({**summary, "source": "data/all.jsonl"}))
    assert "records of real people stay here" in refused("--dataset publishes generated pairs only", dataset=True)
    text = dry()
    assert "Trained on pairs that are not published" in text and "can repeat what it was trained on" in text and "all.jsonl" not in text
    assert "YOUR_PAIRS.jsonl" in text
    made = {"command": "crm-dedup synth --n 90 --seed 7", "sha256": "f" * 64}
    write(root / "data/all.card.json", json.dumps(made))
    assert generated_pairs.read().commands is None
    write(root / "data/splits/summary.json", json.dumps({**summary, "source": "data/all.jsonl", "source_sha256": "f" * 64}))
    assert generated_pairs.read().commands == ("crm-dedup synth --n 90 --seed 7 --out data/all.jsonl", "crm-dedup prepare --seed 7")
    dry(dataset=True)
    assert "f" * 64 in Path("outputs/tiny-hub-dataset/README.md").read_text()
    with Path("data/splits/val.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(UserError, match=r"no summary\.json that fits its files"):
        dry(dataset=True)


def test_a_row_that_the_generator_did_not_write_is_somebodys(root):
    path = Path("data/splits/val.jsonl")
    path.write_text(path.read_text().replace('"synth-', '"crm-', 1))
    summary = json.loads(Path("data/splits/summary.json").read_text())
    summary["splits"]["val"]["sha256"] = sha256(path)
    write(root / "data/splits/summary.json", json.dumps(summary))
    with pytest.raises(UserError, match="generated pairs only"):
        dry(dataset=True)


@pytest.mark.parametrize("config", sorted((Path(__file__).parents[1] / "axolotl_configs").glob("*.yml")), ids=lambda path: path.stem)
def test_the_configurations_here_can_be_published_and_their_licences_are_known(config):
    text = config.read_text()
    privacy.check({"README.md": text}, {}, None, REPO)
    base = yaml.safe_load(text)["base_model"]
    assert base == "outputs/smollm2-135m-base" or licences.of(base).id in ("apache-2.0", "mit", "llama3.2")


def test_the_words_of_the_toolkit_are_nobodys(root):
    test = Path("data/splits/test.jsonl")
    rows = [json.loads(line) for line in test.read_text().splitlines()]
    rows[0]["input"]["record_a"] |= {"Source": "online", "Status": "Duplicate", "Size": "1500", "Kind": "calibration", "By": "torch"}
    test.write_text("".join(json.dumps(row) + "\n" for row in rows))
    measure(root, tasks={"online": {"pairs": 1500}})
    dry()

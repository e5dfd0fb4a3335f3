"""The command that writes a generated set: its file, its card, and what it refuses."""

import hashlib
import json
import signal
import subprocess
import sys
import time

import pytest

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.dataset.prepare import prepare
from crm_dedup_plugin.dataset.synth.write import write
from crm_dedup_plugin.errors import UserError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "data" / "all.jsonl"
    assert main(["synth", "--n", "240", "--seed", "3", "--out", str(out)]) == 0
    return out


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_the_file_holds_as_many_pairs_as_asked_for_and_prepare_takes_it(written, tmp_path):
    assert len(rows(written)) == 240
    summary = prepare(written, tmp_path)
    assert sum(part["pairs"] for part in summary["splits"].values()) == 240
    assert summary["cut_fields"] == {}


def test_the_card_counts_what_is_in_the_file(written):
    card, pairs = json.loads(written.with_name("all.card.json").read_text()), rows(written)
    assert card["sha256"] == hashlib.sha256(written.read_bytes()).hexdigest()
    assert card["command"] == "crm-dedup synth --n 240 --seed 3"
    assert card["pairs"] == sum(card["locale"].values()) == sum(card["prompt_chars"].values()) == 240
    for key, count in card["slice"].items():
        name, decision = key.split()
        assert count == sum(row["slice"] == name and row["output"]["decision"] == decision for row in pairs)
    text = written.with_name("all.card.md").read_text()
    assert all(name.split()[0] in text for name in card["slice"])
    assert written.with_name("all.card.png").read_bytes().startswith(b"\x89PNG")


def test_the_card_holds_no_record(written):
    text = "".join(written.with_name(f"all.card.{ending}").read_text() for ending in ("json", "md"))
    assert not [row for row in rows(written) if row["input"]["record_a"].get("email", "no e-mail") in text]


def test_a_file_is_not_replaced_unless_told_to(written, capsys):
    before = written.read_bytes()
    assert main(["synth", "--n", "12", "--out", str(written)]) == 1
    assert "--force" in capsys.readouterr().err
    assert written.read_bytes() == before


def test_force_replaces_the_file(tmp_path):
    out = tmp_path / "all.jsonl"
    out.write_text("mine\n")
    assert main(["synth", "--n", "6", "--out", str(out), "--force"]) == 0
    assert len(rows(out)) == 6


def test_what_makes_no_sense_is_refused(tmp_path, capsys):
    out = tmp_path / "all.jsonl"
    with pytest.raises(SystemExit, match="2"):
        main(["synth", "--out", str(out), "--n", "0"])
    assert "--n: 0 is not a whole number above 0" in capsys.readouterr().err
    assert main(["synth", "--out", str(out), "--compact", "--unseen"]) == 1
    assert "leave one out" in capsys.readouterr().err
    with pytest.raises(UserError, match="at least 1"):
        write(0, 7, out)
    assert not list(tmp_path.iterdir())


def test_unseen_pairs_come_from_other_countries(tmp_path, written):
    assert main(["synth", "--n", "60", "--unseen", "--out", str(tmp_path / "unseen.jsonl")]) == 0
    places = [{row["id"].split("-")[1] for row in rows(path)} for path in (written, tmp_path / "unseen.jsonl")]
    assert not places[0] & places[1]


@pytest.mark.parametrize("before", [None, "mine\n"], ids=["new", "--force"])
def test_an_interrupted_run_says_that_it_starts_again_and_leaves_nothing_behind(tmp_path, before):
    out = tmp_path / "all.jsonl"
    if before:
        out.write_text(before)
    command = [sys.executable, "-m", "crm_dedup_plugin", "synth", "--n", "500000", "--out", str(out), "--force"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        partial, deadline = tmp_path / f".all.jsonl.{process.pid}.part", time.monotonic() + 120
        while not (partial.exists() and partial.stat().st_size) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "interrupted: run the same command again to start over; nothing was written"
    assert [path.name for path in tmp_path.iterdir()] == ([out.name] if before else [])
    assert not before or out.read_text() == before

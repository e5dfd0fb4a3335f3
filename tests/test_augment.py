"""Augmentation: only the training split grows, decisions stay, and reasonings stay true."""

import json
from collections import Counter

import pytest
from compact_pairs import generate

from crm_dedup_plugin.augment import KINDS, augment
from crm_dedup_plugin.cli import main
from crm_dedup_plugin.steward import attacks, reasoning
from crm_dedup_plugin.steward.fields import concept_of
from crm_dedup_plugin.steward.identity import identities

ROWS = list(generate(300, seed=5))
BY_ID = {row["id"]: row for row in ROWS}


def copies(kind: str) -> list[tuple[dict, dict]]:
    """Return (row, its changed copy) for each copy of one kind."""
    made = [row for row in augment(ROWS, (kind,)) if row["id"] not in BY_ID]
    return [(BY_ID[row["id"].removesuffix(f"-{kind}")], row) for row in made]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("plain", "brief")])
def test_the_rows_at_hand_are_kept_and_decisions_stay(kind):
    made = augment(ROWS, (kind,))
    assert set(BY_ID) <= {row["id"] for row in made}
    assert len(made) > len(ROWS)
    for before, after in copies(kind):
        assert before["output"]["decision"] == after["output"]["decision"]
        assert (before["cluster_a"], before["slice"]) == (after["cluster_a"], after["slice"])


def test_the_same_seed_gives_the_same_rows():
    assert augment(ROWS, KINDS, 3) == augment(ROWS, KINDS, 3)
    assert augment(ROWS, KINDS, 3) != augment(ROWS, KINDS, 4)
    assert augment(ROWS, ()) != [] and len(augment(ROWS, ())) == len(ROWS)


def test_a_kind_that_is_named_twice_gives_twice_as_many_copies():
    once, twice = (len(augment(ROWS, ("injected",) * times)) - len(ROWS) for times in (1, 2))
    assert 1.5 * once < twice < 2.5 * once


def test_brief_reasonings_make_two_true_claims_that_argue_for_the_decision():
    for row in augment(ROWS, ("brief",)):
        said, decision = row["output"]["reasoning"], row["output"]["decision"]
        assert len(reasoning.claims(said)) == 2 or len(reasoning.claims(said)) == 1 + said.count(",")
        assert reasoning.is_grounded(said, **row["input"])
        assert not reasoning.contradicts(decision, said, **row["input"])


def test_plain_reasonings_say_the_same_fields_in_the_same_words():
    made = augment(ROWS, ("plain",))
    assert {row["id"] for row in made} == set(BY_ID)
    words = {claim: set() for row in made for claim in reasoning.claims(row["output"]["reasoning"])}
    for row in made:
        said = row["output"]["reasoning"]
        assert reasoning.is_grounded(said, **row["input"])
        for clause, claim in zip(said.rstrip(".").casefold().split(", "), reasoning.claims(said), strict=True):
            words[claim].add(clause)
    assert all(len(ways) == 1 for ways in words.values())


def test_shuffled_copies_hold_the_same_values():
    for before, after in copies("shuffled"):
        for side in ("record_a", "record_b"):
            old, new = before["input"][side], after["input"][side]
            assert sorted(old.values()) == sorted(new.values())
            assert Counter(map(concept_of, old)) == Counter(map(concept_of, new))


def test_injected_copies_carry_attacks_that_evaluation_never_uses():
    made = copies("injected")
    assert made
    told = {attack.text(label)[:25] for attack in attacks.EVAL for label in ("DUPLICATE", "NO_MATCH")}
    for before, after in made:
        assert before["input"] != after["input"]
        assert not [text for text in told if text in json.dumps(after["input"], ensure_ascii=False)]


def test_rare_slices_come_closer_to_the_others():
    before, after = (Counter(row["slice"] for row in rows) for rows in (ROWS, augment(ROWS, ("oversampled",))))
    assert min(after.values()) / max(after.values()) > min(before.values()) / max(before.values())
    assert all(after[name] <= 3 * before[name] for name in before)


def test_only_the_training_split_is_augmented(tmp_path):
    for out, options in (("plain", []), ("more", ["--augment", "shuffled", "injected"])):
        assert main(["prepare", "--demo", "120", "--out", str(tmp_path / out), *options]) == 0
    lines = {
        (out, name): (tmp_path / out / f"{name}.jsonl").read_text().splitlines() for out in ("plain", "more") for name in ("train", "val", "test")
    }
    assert lines["plain", "test"] == lines["more", "test"] and lines["plain", "val"] == lines["more", "val"]
    assert set(lines["plain", "train"]) < set(lines["more", "train"])


def test_one_name_beside_one_address_is_one_identity_whatever_the_format():
    def row(a: dict, b: dict) -> dict:
        return {"input": {"record_a": a, "record_b": b}}

    one = identities(row({"Name": "Lee, Ann", "Phone": "+44 20 7946 0958"}, {"Name": "Bo Ray"}))
    other = identities(row({"First Name": "Ann", "Last Name": "Lee", "Mobile": "(020) 7946-0958"}, {"Company": "Acme"}))
    assert one & other
    assert not one & identities(row({"Name": "Tom Lee", "Phone": "+44 20 7946 0958"}, {"Name": "Ann Lee", "Email": "n/a"}))

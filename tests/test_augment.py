"""Augmentation: only the training split grows, decisions stay, and reasonings stay true."""

import json
from collections import Counter
from itertools import product
from random import Random

import pytest
from compact_pairs import generate
from hypothesis import given
from hypothesis import strategies as st

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.dataset import augment as augmentation
from crm_dedup_plugin.dataset.augment import KINDS, augment
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy import attacks, reasoning
from crm_dedup_plugin.policy.fields import CONCEPTS, SCHEMAS, UNSEEN_SCHEMAS, concept_of
from crm_dedup_plugin.policy.identity import identities

ROWS = list(generate(300, seed=5))
BY_ID = {row["id"]: row for row in ROWS}


def copies(kind: str) -> list[tuple[dict, dict]]:
    """Return (row, its changed copy) for each copy of one kind."""
    made = [row for row in augment(ROWS, (kind,)) if row["id"] not in BY_ID]
    return [(BY_ID[row["id"].removesuffix(f"-{kind}")], row) for row in made]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("renamed", "plain", "brief")])
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


def test_brief_reasonings_rather_say_what_can_be_seen():
    alike = {"First name": "Jon", "Last name": "Smith", "Mobile": "+44 7400 104729", "Email": "jon.smith@mail.example"}
    other = {"First name": "John", "Last name": "Smith", "Mobile": "07400 104729", "Email": "jon.smith@mail.example"}
    row = {"input": {"record_a": alike, "record_b": other}, "output": {"decision": "DUPLICATE", "reasoning": "First name close."}}
    (made,) = augment([row], ("brief",))
    assert reasoning.claims(made["output"]["reasoning"]) == [("email", "same"), ("mobile", "same")]
    for record in row["input"].values():
        del record["Last name"], record["Email"], record["Mobile"]
    (made,) = augment([row], ("brief",))  # same or close: who looks at letters cannot always tell
    assert reasoning.claims(made["output"]["reasoning"]) == [("first", "alike")]
    alike["First name"], other["First name"] = "William", "Bill"
    (made,) = augment([row], ("brief",))  # where nothing can be seen, what is true still has to be said
    assert reasoning.claims(made["output"]["reasoning"]) == [("first", "alike")]


def test_renamed_fields_go_by_names_of_no_schema_and_hold_their_values():
    unseen = {name.lower().replace("_", "") for schema in UNSEEN_SCHEMAS.values() for names in schema.values() for name in names}
    made, changed = augment(ROWS, ("renamed",), 3), 0
    assert {row["id"] for row in made} == set(BY_ID)
    for row in made:
        before = BY_ID[row["id"]]
        assert (before["output"], before["slice"]) == (row["output"], row["slice"])
        for side in ("record_a", "record_b"):
            assert list(before["input"][side].values()) == list(row["input"][side].values())
            changed += before["input"][side] != row["input"][side]
    assert 0.2 < changed / (2 * len(ROWS)) < 0.4
    whole = {names[0]: "x" for names in SCHEMAS["salesforce"].values()}
    drawn = {name for seed in range(500) for record in augmentation.rename((whole, whole), Random(seed)) for name in record}
    assert len(drawn) > 400 and not unseen & {name.lower().replace("_", "") for name in drawn}


@given(st.dictionaries(st.sampled_from(sorted(concept for concept in CONCEPTS)), st.text(min_size=1), min_size=1), st.integers())
def test_renaming_loses_no_field(values, seed):
    record = {SCHEMAS["spreadsheet"][concept][0]: value for concept, value in values.items()}
    for renamed in augmentation.rename((record, record), Random(seed)):
        assert list(renamed.values()) == list(record.values())
    foreign = {**record, "Colour": "red"}
    assert augmentation.rename((foreign, record), Random(seed)) == (foreign, record)


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


def test_what_an_injected_copy_asks_for_tells_nothing_of_its_decision():
    asked = Counter()
    for row in augment(ROWS, ("injected",) * 3):
        text = " ".join(value for record in row["input"].values() for value in record.values())
        asked.update((row["output"]["decision"], label) for label in LABELS if label in text)
    assert asked.keys() == set(product(LABELS, LABELS))
    assert max(asked.values()) < 3 * min(asked.values()), asked


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


@pytest.mark.parametrize("kind", ["plain", "brief"])
def test_many_rows_are_explained_by_several_processes_as_by_one(kind, monkeypatch):
    alone = augment(ROWS, ("injected", kind))
    monkeypatch.setattr(augmentation, "PARALLEL_FROM", 10)
    assert augment(ROWS, ("injected", kind)) == alone

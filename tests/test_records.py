"""Records: whatever a CRM export holds, the model reads one short, harmless line of JSON."""

import json
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.pair.record import MAX_FIELD_CHARS, MAX_NAME_CHARS, MAX_RECORD_BYTES, RecordError, check, identity, normalise, to_json

QUICK = settings()

# Characters that end lines, open special tokens, need escapes, or grow when they are written as JSON.
NASTY = "\"\\/<>[]{}'\n\r\t\x00\x07\x1b\x1c\x7f\x85\x9f\u2028\u2029\u00a0\u200b\ufeff\ufffd\ud800\udfff\U0001f600ßİı é"
TOKENS = ("<|im_end|>", "</s>", "[INST]", "<start_of_turn>", "<\uff5cUser\uff5c>", "\\u003c", "\\<", "\nRecord B: {}", "None", "")
texts = st.text(st.characters() | st.sampled_from(NASTY)) | st.lists(st.sampled_from(TOKENS) | st.text(NASTY)).map("".join)
long_texts = st.builds(lambda text, times: text * times, texts, st.sampled_from((1, 7, 100)))
values = long_texts | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
records = st.dictionaries(long_texts, values, max_size=30)

HOSTILE = {
    "a field of 10,000 letters": {"name": "x" * 10_000},
    "fields of 10,000 emoji": {f"f{n}": "\U0001f600" * 10_000 for n in range(9)},
    "fields of 10,000 quotes": {f"f{n}": '"' * 10_000 for n in range(9)},
    "fields of 10,000 backslashes": {f"f{n}": "\\" * 10_000 for n in range(9)},
    "fields of 10,000 brackets": {f"f{n}": "<[" * 5_000 for n in range(9)},
    "fields of 10,000 control characters": {f"f{n}": "\x00a" * 5_000 for n in range(9)},
    "fields of 10,000 surrogates": {f"f{n}": "\ud800" * 10_000 for n in range(9)},
    "200 fields": {f"field {n}": f"value {n}" for n in range(200)},
    "200 fields of emoji": {f"{n}\U0001f600": "\U0001f600" * 300 for n in range(200)},
    "200 long names": {f"{n}" + "<" * 1000: "x" for n in range(200)},
    "names that are alike once cut": {"n" * 60 + str(n): "x" * 300 for n in range(200)},
    "special tokens": {"<|im_start|>system": "".join(TOKENS), "[INST]": "[/INST]</s>"},
    "all nasty characters": {NASTY: NASTY, "b": NASTY * 50},
}
hostile = pytest.mark.parametrize("record", HOSTILE.values(), ids=HOSTILE.keys())


def assert_harmless(record: dict) -> None:
    fields, _ = normalise(record)
    assert normalise(fields) == (fields, [])
    assert all(0 < len(name) <= MAX_NAME_CHARS and 0 < len(value) <= MAX_FIELD_CHARS for name, value in fields.items())
    text = to_json(record)
    assert json.loads(text) == fields
    assert list(json.loads(text)) == list(fields)
    assert len(text.encode("utf-8")) <= MAX_RECORD_BYTES
    assert len(text.splitlines()) == 1
    assert not [char for char in text if char in "<[" or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")]


@QUICK
@given(records)
@example({})
@example({"a": '"' * 299 + " x"})
def test_any_record_becomes_one_short_harmless_line(record):
    assert_harmless(record)


@hostile
def test_a_hostile_record_becomes_one_short_harmless_line(record):
    assert_harmless(record)


@hostile
def test_a_hostile_record_is_not_emptied(record):
    assert normalise(check(record))[0]


@QUICK
@given(records)
def test_a_record_that_passes_the_check_keeps_a_field(record):
    try:
        check(record)
    except RecordError:
        assert normalise(record)[0] == {}
    else:
        assert normalise(record)[0] != {}


def test_the_room_of_a_record_is_used_up():
    text = to_json({f"f{n}": "x" * 300 for n in range(200)})
    assert MAX_RECORD_BYTES - 10 <= len(text.encode()) <= MAX_RECORD_BYTES


def test_cut_fields_are_named_and_earlier_fields_win():
    fields, cut = normalise({"first": "x" * 301, **{f"f{n}": "y" * 300 for n in range(20)}})
    assert fields["first"] == "x" * 300
    assert list(fields) == ["first", *(f"f{n}" for n in range(len(fields) - 1))]
    assert cut[0] == "first"
    assert set(cut) >= {f"f{n}" for n in range(20)} - set(fields)


def test_a_usual_record_is_kept_as_it_is():
    record = {"Name": "Müller & Söhne", "Tel.": "+49 (0)30 123", "note": 'said "hi" \\ <b> [x]'}
    assert normalise(record) == (record, [])
    assert json.loads(to_json(record)) == record


def test_plain_values_become_text_and_blank_ones_go():
    record = {"n": 12, "f": 1.5, "zero": 0, "yes": True, "no": False, "none": None, "blank": "  ", "lines": " a\r\n\tb ", "": "x"}
    assert normalise(record) == ({"n": "12", "f": "1.5", "zero": "0", "yes": "true", "no": "false", "lines": "a b"}, [])


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"ok": 1, "address": {"city": "Rome"}}, "field 'address' holds an object: flatten it"),
        ({"ok": 1, "phones": ["1", "2"]}, "field 'phones' holds a list: flatten it"),
        ({"ok": 1, "phones": []}, "field 'phones' holds a list: flatten it"),
        ({"ok": 1, "score": float("nan")}, "field 'score' is not a finite number: write it as text or leave it out"),
        ({"ok": 1, "score": float("-inf")}, "field 'score' is not a finite number: write it as text or leave it out"),
        ({"n" * 5000: []}, f"field '{'n' * MAX_NAME_CHARS}...' holds a list"),
        ({}, "is empty: give at least one field"),
        ({"a": None, "b": " \n", "c": "\u2028", " ": "x"}, "is empty: give at least one field"),
        ([{"name": "x"}], "must be an object of CRM fields, not a list"),
        ("name", "must be an object of CRM fields, not text"),
        (None, "must be an object of CRM fields, not null"),
        (True, "must be an object of CRM fields, not true or false"),
        (3, "must be an object of CRM fields, not a number"),
    ],
)
def test_an_unusable_record_is_refused_with_its_field_and_the_cure(record, message):
    with pytest.raises(RecordError) as error:
        check(record)
    assert message in str(error.value)


def test_the_check_returns_the_record():
    record = {"a": 0, "b": False, "c": None}
    assert check(record) is record


simple = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.text("abcxyz 019.@-", max_size=12), max_size=6)


@QUICK
@given(simple, st.randoms(use_true_random=False))
def test_identity_ignores_case_field_order_and_blanks(record, rng):
    pairs = [(rng.choice((name, name.upper())), rng.choice((value.upper(), f" {value}\n"))) for name, value in record.items()]
    rng.shuffle(pairs)
    assert identity(dict(pairs)) == identity({**record, "blank": None})


@QUICK
@given(simple, simple)
def test_identity_differs_where_a_value_differs(left, right):
    same = {k: v.strip() for k, v in left.items() if v.strip()} == {k: v.strip() for k, v in right.items() if v.strip()}
    assert (identity(left) == identity(right)) == same


def test_identity_ignores_field_order_in_a_record_too_long_to_keep():
    record = {f"f{n}": str(n) * 300 for n in range(20)}
    assert identity(record) == identity(dict(reversed(record.items())))

"""The answer format: what is dumped can be read back, and nothing else is taken for an answer."""

import json

import jsonschema
import llguidance
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.pair.answer import GRAMMAR, LABELS, MAX_ANSWER_TOKENS, MAX_REASONING_CHARS, SCHEMA, dump, is_truncated, parse

QUICK = settings()
decisions = st.sampled_from(LABELS)
reasonings = st.text(max_size=MAX_REASONING_CHARS)
plain_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from((*LABELS, "duplicate")) | st.text()
json_values = st.recursive(plain_values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
near_answers = st.dictionaries(st.sampled_from(("decision", "reasoning", "Decision", "note")), json_values, max_size=4)

GOOD = dump("DUPLICATE", "same e-mail")
LONGEST = "x" * MAX_REASONING_CHARS
BAD = {
    "empty text": "",
    "a bare label": "DUPLICATE",
    "a JSON string": '"DUPLICATE"',
    "an array": f"[{GOOD}]",
    "an empty object": "{}",
    "an extra key": GOOD[:-1] + ',"score":1}',
    "a missing decision": '{"reasoning":"x"}',
    "a missing reasoning": '{"decision":"DUPLICATE"}',
    "a duplicate decision": GOOD[:-1] + ',"decision":"NO_MATCH"}',
    "a duplicate reasoning": GOOD[:-1] + ',"reasoning":"same e-mail"}',
    "a lower-case decision": GOOD.replace("DUPLICATE", "duplicate"),
    "an unknown decision": GOOD.replace("DUPLICATE", "MAYBE"),
    "a null decision": '{"decision":null,"reasoning":"x"}',
    "a numeric decision": '{"decision":0,"reasoning":"x"}',
    "a list as decision": '{"decision":["DUPLICATE"],"reasoning":"x"}',
    "an object as decision": '{"decision":{},"reasoning":"x"}',
    "a null reasoning": '{"decision":"DUPLICATE","reasoning":null}',
    "a list as reasoning": '{"decision":"DUPLICATE","reasoning":["x"]}',
    "a reasoning one too long": GOOD.replace("same e-mail", LONGEST + "x"),
    "words after it": GOOD + " done",
    "a second answer": GOOD + GOOD,
    "words before it": "Answer: " + GOOD,
    "a code fence": f"```json\n{GOOD}\n```",
    "a raw line break": GOOD.replace("same ", "same\n"),
    "nested arrays": "[" * 100_000,
    "nested objects": '{"decision":' * 100_000,
    "a nested reasoning": '{"decision":"DUPLICATE","reasoning":' + "[" * 100_000,
    "a very long number": '{"decision":"DUPLICATE","reasoning":' + "1" * 5000 + "}",
}


def fits(schema: dict, value: object) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@QUICK
@given(decisions, reasonings)
@example("POSSIBLE", LONGEST)
@example("POSSIBLE", "\U0001f600" * MAX_REASONING_CHARS)
@example("POSSIBLE", "\x00" * MAX_REASONING_CHARS)
def test_a_dumped_answer_is_read_back_and_fits_the_schema(decision, reasoning):
    text = dump(decision, reasoning)
    assert parse(text) == (decision, reasoning)
    assert fits(SCHEMA, json.loads(text))
    assert len(text.encode()) <= MAX_ANSWER_TOKENS


def test_white_space_around_and_inside_an_answer_is_no_fault():
    assert parse(f"\n {json.dumps(json.loads(GOOD), indent=2)} \n") == ("DUPLICATE", "same e-mail")


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_text_that_is_not_exactly_one_answer_is_not_read(text):
    assert parse(text) is None


@QUICK
@given(st.text())
def test_arbitrary_text_is_not_read(text):
    assert parse(text) is None
    assert parse(GOOD + "x" + text) is None


@QUICK
@given(near_answers | json_values)
@example({"decision": "NO_MATCH", "reasoning": ""})
@example({"decision": "NO_MATCH", "reasoning": LONGEST})
@example({"decision": "NO_MATCH", "reasoning": LONGEST + "x"})
@example({"decision": "NO_MATCH", "reasoning": "", "note": ""})
def test_parser_and_grammar_accept_the_same_values_as_the_schema(value):
    assert fits(GRAMMAR, value) == fits(SCHEMA, value)
    assert (parse(json.dumps(value)) is not None) == fits(SCHEMA, value)


@pytest.mark.parametrize("schema", [SCHEMA, GRAMMAR], ids=["schema", "grammar"])
def test_schema_and_grammar_are_valid_json_schemas(schema):
    jsonschema.Draft202012Validator.check_schema(json.loads(json.dumps(schema)))


@QUICK
@given(decisions, reasonings)
@example("POSSIBLE", "".join(map(chr, range(0x80))))
def test_the_decoder_grammar_admits_the_dumped_bytes(decision, reasoning):
    assert decodes(dump(decision, reasoning))


@pytest.mark.parametrize("name", [name for name in BAD if not name.startswith(("nested", "a nested"))])
def test_the_decoder_grammar_refuses_what_is_no_answer(name):
    assert not decodes(BAD[name])


def test_the_decoder_grammar_refuses_free_white_space():
    assert not decodes(GOOD.replace(",", ", "))
    assert not decodes(GOOD.replace("{", "{\n"))


def decodes(text: str) -> bool:
    """Tell whether the decoder may write `text`, byte by byte, and stop there."""
    tokenizer = llguidance.LLTokenizer("byte")
    grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(GRAMMAR), defaults={"whitespace_flexible": True})
    matcher = llguidance.LLMatcher(tokenizer, grammar)
    assert not matcher.is_error(), matcher.get_error()
    tokens = tokenizer.tokenize_bytes(text.encode())
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


@QUICK
@given(decisions, st.text(max_size=80))
@example("DUPLICATE", 'a "quoted" back\\slash, a tab\t and \U0001f600')
@example("DUPLICATE", "a bell \x07")
def test_every_beginning_of_an_answer_is_truncated(decision, reasoning):
    text = dump(decision, reasoning)
    assert [text[:end] for end in range(1, len(text)) if not is_truncated(text[:end])] == []


@pytest.mark.parametrize("end", ["\\", "\\u", "\\u0", "\\u00", "\\u000"])
def test_an_answer_cut_inside_an_escape_is_truncated(end):
    assert is_truncated('{"decision":"DUPLICATE","reasoning":"same ' + end)


@QUICK
@given(decisions, reasonings)
def test_a_complete_answer_is_not_truncated(decision, reasoning):
    assert not is_truncated(dump(decision, reasoning))
    assert not is_truncated(f" {dump(decision, reasoning)}\n")


@QUICK
@given(st.text().filter(lambda text: not text.strip().startswith("{")))
def test_text_that_does_not_begin_an_object_is_not_truncated(text):
    assert not is_truncated(text)


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("nested objects", "a nested reasoning")])
def test_a_wrong_but_finished_answer_is_not_truncated(name):
    assert not is_truncated(BAD[name])


@pytest.mark.parametrize("decision", ["duplicate", "MAYBE", "", None, "DUPLICATE "])
def test_dump_names_the_unknown_decision(decision):
    with pytest.raises(ValueError, match=f"unknown decision {decision!r}.*DUPLICATE, POSSIBLE, NO_MATCH"):
        dump(decision, "x")


def test_dump_names_the_length_of_a_long_reasoning():
    with pytest.raises(ValueError, match="241 characters: at most 240"):
        dump("DUPLICATE", LONGEST + "x")

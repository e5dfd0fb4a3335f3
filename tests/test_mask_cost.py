"""The benchmark of grammar masks: both matchers read real answers, and only one without the limit reads a longer one."""

import json
import sys
from pathlib import Path

import pytest

from crm_dedup_plugin.pair import tokens
from crm_dedup_plugin.pair.answer import LABELS, dump

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "experiments"))

import mask_cost

LONG = json.dumps({"decision": "DUPLICATE", "reasoning": "e-mail same, " * 30}, separators=(",", ":"))


@pytest.fixture(scope="module", params=mask_cost.MATCHERS)
def matchers(request, tokenizer):
    """The matcher with the limit of characters, and without."""
    return [mask_cost.MATCHERS[request.param](tokenizer, len(tokenizer), limited) for limited in (True, False)]


def test_every_decision_is_read_and_timed(matchers, tokenizer):
    answers = [tokens.answer_ids(tokenizer, dump(label, "Straße same, 名 differs."))[:-1] for label in LABELS]
    for start in matchers:
        found = mask_cost.measure(start, answers, repeats=1)
        assert found.keys() == {"mask_us", "take_us"} and all(0 < value < 1e6 for value in found.values())


def test_only_the_limit_keeps_a_long_reasoning_out(matchers, tokenizer):
    answers = [tokens.answer_ids(tokenizer, LONG)[:-1]]
    limited, unlimited = matchers
    with pytest.raises(ValueError, match="does not fit the schema"):
        mask_cost.measure(limited, answers, repeats=1)
    assert mask_cost.measure(unlimited, answers, repeats=1)["mask_us"] > 0


def test_the_table_has_a_row_for_every_reading(tmp_path):
    runs = [{"matcher": "llguidance", "limited": limited, "mask_us": 40.4, "take_us": 5.0} for limited in (True, False)]
    path = tmp_path / "mask_cost.json"
    path.write_text(json.dumps({"answers": 3, "tokens_an_answer": 26.4, "vocabulary": 49152, "runs": runs}))
    lines = mask_cost.table(path).splitlines()
    assert lines[0].startswith("3 answers of 26 tokens, 49,152 tokens") and "| 240 characters " in lines[4] and "| none " in lines[5]

"""What a model has learned from real sources is read from its training pairs, and names the public files that cannot measure it."""

import json
from pathlib import Path

from compact_pairs import generate
from hypothesis import given
from hypothesis import strategies as st

from crm_dedup_plugin.dataset.families import learned_from, of_file


def test_families_are_those_of_the_real_pairs_alone(tmp_path):
    rows = list(generate(3))
    rows[0] |= {"slice": "real_splink_fake1000"}
    rows[1] |= {"slice": "real_oar_facilities"}
    rows[2]["input"]["record_a"]["note"] = '"slice": "real_chicago_sites"'  # a record cannot say that
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [*rows, *rows]))
    assert learned_from(tmp_path / "train.jsonl") == ["oar", "splink"]


@given(st.text("abc_1", min_size=1), st.lists(st.text("abc1", min_size=1)))
def test_a_public_file_is_of_a_family_that_its_name_begins_with(stem, families):
    found = of_file(Path(f"{stem}.jsonl"), families)
    assert (found is None) == (not any(stem.startswith(family) for family in families))
    assert found is None or (found in families and stem.startswith(found))

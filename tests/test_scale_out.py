"""The benchmark of several copies: what it reads from an evaluation's screen, and its table."""

import json
import sys
from pathlib import Path

import pytest

from crm_dedup_plugin.errors import UserError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "experiments"))

import scale_out

ONE = (
    "Processed prompts:   0%|          | 0/5001 [00:00<?, ?it/s]\rProcessed prompts: 100%|█████████▉| 4990/5001 [01:58<00:00, 42.1it/s]\r"
    "Processed prompts: 100%|██████████| 5001/5001 [02:05<00:00, 42.1it/s, est. speed input: 1.0 toks/s]\n"
    "Running generate_until requests: 100%|██████████| 5001/5001 [02:30<00:00, 33.3it/s]\n"
)
TWO = (
    "\x1b[36m(dp_replica pid=71)\x1b[0m \rProcessed prompts: 100%|██████████| 2501/2501 [01:03<00:00, 39.1it/s]\r"
    "\x1b[36m(dp_replica pid=72)\x1b[0m \rProcessed prompts: 100%|██████████| 2500/2500 [01:01<00:00, 40.1it/s]\n"
    "Running generate_until requests: 100%|██████████| 5001/5001 [02:30<00:00, 33.3it/s]\n"
)


def test_the_slowest_copy_counts_and_neither_loading_nor_unfinished_bars_do():
    assert scale_out.slowest(ONE, 5001, 1) == 125
    assert scale_out.slowest(TWO, 5001, 2) == 63
    assert scale_out.slowest(ONE.replace("02:05", "1:02:05"), 5001, 1) == 3725


@pytest.mark.parametrize(
    ("said", "answers", "copies"),
    [("", 5001, 1), (ONE, 5001, 2), (TWO, 5001, 1), (ONE + TWO, 5001, 1), (ONE.replace("02:05", "00:00"), 5001, 1)],
    ids=["nothing", "one bar for two", "two bars for one", "several rounds", "no time"],
)
def test_what_cannot_be_read_is_no_number(said, answers, copies):
    with pytest.raises(UserError, match="answers"):
        scale_out.slowest(said, answers, copies)


def test_the_table_says_how_many_times_as_fast_several_are(tmp_path):
    one = {"model": "m", "random_weights": True, "copies": 1, "answers": 100, "seconds": 10, "answers_per_second": 10.0, "hardware": {"name": "H"}}
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{**one, "copies": 2, "seconds": 6, "answers_per_second": 19.0}, one]))
    first, second = scale_out.table(path).splitlines()[2:]
    assert "m, random weights" in first and first.rstrip(" |").endswith("-") and second.rstrip(" |").endswith("1.90")


def test_more_copies_than_can_be_had_are_refused_before_anything_runs(tmp_path):
    with pytest.raises(UserError, match="--data-parallel-size 99"):
        scale_out.main(["outputs/none", "--copies", "1", "99", "--results", str(tmp_path / "results.json")])

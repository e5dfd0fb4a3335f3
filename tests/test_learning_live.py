"""A real tuning through Axolotl, of a two-layer model: what it learns from, what it leaves, and that it is not done twice."""

import json
import time

import numpy as np
import tiny_models

from crm_dedup_plugin.learning import Tuning, score, tune
from crm_dedup_plugin.matching.probability import log_odds

PAIRS = [({"Name": f"Ann {at}", "City": "Leeds"}, {"Name": f"{'Ann' if at % 8 else 'Zoe'} {at}"}, at % 8 > 0) for at in range(24)]


def test_a_model_learns_from_decisions_alone(tmp_path, tokenizer, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tiny_models.build("llama32-3b", tmp_path / "tiny", tokenizer)
    settings = Tuning(passes=8, learning_rate=0.003, share=0.25)
    merged = tune(str(model), PAIRS, tmp_path / "work", settings)
    before, after = (score(str(folder), [pair[:2] for pair in PAIRS]) for folder in (model, merged))
    assert np.isfinite(after).all() and log_odds(after).mean() > log_odds(before).mean() + 0.5, "most answers say same"
    assert (after.argmax(axis=1) == 0).all() and after[:, 0].min() > before[:, 0].max()
    lines = [json.loads(line)["output"] for line in (tmp_path / "work" / "train.jsonl").read_text().splitlines()]
    assert [len(one) for one in lines] == [1] * 24 + [2] * 6
    assert "Zoe" not in (tmp_path / "work" / "axolotl" / "train.log").read_text(errors="replace"), "records stay out of logs"
    began = time.monotonic()
    assert tune(str(model), PAIRS, tmp_path / "work", settings) == merged and time.monotonic() - began < 10

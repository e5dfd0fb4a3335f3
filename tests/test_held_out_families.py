"""The protocol for public files: a set counts only with trainings that have learned nothing of its family, and its numbers are right."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "experiments"))

import held_out_tables as tables


def kept(folder: Path, name: str, what: str, families: list[str], shift: float = 0.0) -> None:
    """Write what a training says of two public files and the lists: odds that rank well, and are `shift` too high."""
    rng, found = np.random.default_rng(len(name)), {}
    for stem in ("oar_sites", "splink_people", tables.LISTS):
        labels = np.random.default_rng(len(stem)).random(200) < 0.4
        found |= {
            f"labels {stem}": labels.astype(np.int8),
            f"odds {stem}": np.where(labels, 2, -2) + rng.normal(size=200) + shift * (stem != tables.LISTS),
        }
    np.savez_compressed(folder / f"{name}.npz", **found)
    about = {"name": name, "what": what, "families": families, "public": ["oar_sites", "splink_people"]}
    (folder / f"{name}.json").write_text(json.dumps(about))


def taught(odds: np.ndarray, same: np.ndarray, vectors: list[dict[str, float]]) -> tables.list_evidence.Taught:
    return tables.list_evidence.Taught(odds, same, vectors, np.ones(len(same)))


@pytest.fixture
def summary(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "families.json")
    monkeypatch.setattr(tables, "RESAMPLES", 40)
    monkeypatch.setattr(tables, "OTHERS", {"strings": "baseline-strings"})
    monkeypatch.setattr(tables, "RIVALS", ("strings",))
    link = {"linking": {"slices": {stem: {"f1": {"value": 0.5}} for stem in ("oar_sites", "splink_people")}}}
    (tmp_path / "baseline-strings").mkdir()
    (tmp_path / "baseline-strings" / "metrics.json").write_text(json.dumps(link))
    (tmp_path / "scores").mkdir()
    for name, what, families, shift in (
        ("a-1", "model", ["oar"], 0),
        ("a-22", "model", ["oar"], 0),
        ("b-333", "model", ["splink"], 3),
        ("boost-a", "boosting", ["oar"], 0),
        ("boost-bb", "boosting", ["splink"], 0),
    ):
        kept(tmp_path / "scores", name, what, families, shift)
    monkeypatch.setattr(tables.list_evidence, "public", lambda path, odds: taught(odds[0], np.arange(200) % 2 == 0, [{}] * 200))
    monkeypatch.setattr(tables.list_evidence, "exports", lambda: [])
    tables.summarise(tmp_path / "scores", [Path("oar_sites.jsonl"), Path("splink_people.jsonl")])
    return json.loads((tmp_path / "families.json").read_text())["sets"]


def test_a_set_is_measured_by_trainings_that_have_not_seen_its_family(summary, capsys):
    trainings = {stem: one["model, real sources too"]["trainings"] for stem, one in summary.items()}
    assert trainings == {"oar_sites": ["b-333"], "splink_people": ["a-1", "a-22"]}
    assert tables.LISTS not in summary


def test_a_threshold_that_does_not_fit_costs_f1_but_neither_the_ranks_nor_the_best_f1(summary):
    off, fits = (summary[stem]["model, real sources too"] for stem in ("oar_sites", "splink_people"))
    assert off["f1"]["value"] < fits["f1"]["value"] - 0.1
    assert abs(off["auroc"]["value"] - fits["auroc"]["value"]) < 0.03 and abs(off["best_f1"]["value"] - fits["best_f1"]["value"]) < 0.05
    assert fits["f1"]["least"] <= fits["f1"]["value"] <= fits["f1"]["most"] and fits["f1"]["low"] < fits["f1"]["high"]
    assert summary["oar_sites"]["ahead of boosting"]["high"] < 0


def test_a_set_is_weighed_by_what_other_families_teach_alone():
    """The same evidence points one way in each family: what the own family teaches would rank its pairs rightly, the other's wrongly."""
    same, stems = np.arange(100) % 2 == 0, ("oar_sites", "oar_plants", "splink_people")
    signs = {"oar_sites": 1.0, "oar_plants": 1.0, "splink_people": -1.0}
    vectors = {stem: [{"email same": sign if one else -sign} for one in same] for stem, sign in signs.items()}
    rng = np.random.default_rng(7)
    models = [tables.Scored({stem: rng.normal(size=100) for stem in stems}, {}, 0.0, {"families": families}) for families in (["oar"], ["splink"])]
    found = tables.with_evidence(models, {Path(f"{stem}.jsonl"): taught(rng.normal(size=100), same, vectors[stem]) for stem in stems})
    for one in found:
        assert [tables.auroc(same, one.odds[stem]) < 0.05 for stem in stems] == [True] * 3


def test_the_columns_of_a_set_say_more_without_its_labels():
    rng = np.random.default_rng(7)
    same = np.arange(400) % 2 == 0
    agree = rng.random((400, 4)) < np.where(same, 0.8, 0.2)[:, None]
    levels = [{f"column {at}": 4 if one else 0 for at, one in enumerate(row)} for row in agree]
    odds = {stem: rng.normal(np.where(same, 1, -1), 1.5) for stem in ("oar_sites", "splink_people")}
    sets = {Path(f"{stem}.jsonl"): taught(one, same, [{}] * 400)._replace(levels=levels) for stem, one in odds.items()}
    model = tables.Scored(odds, {}, 0.0, {"families": ["oar", "splink"]})
    plain, more = (tables.with_evidence([model], sets, columns=columns)[0].odds["oar_sites"] for columns in (False, True))
    assert tables.auroc(same, more) > tables.auroc(same, plain) + 0.05


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_f1_is_that_of_the_field_and_rare_pairs_weigh_less(cases):
    labels, said = (np.array(column) for column in zip(*cases, strict=True))
    assert tables.f1(labels, said) == pytest.approx(f1_score(labels, said, zero_division=0.0))
    if 0 < labels.sum() < len(labels):
        assert tables.f1(labels, said, labels.mean()) == pytest.approx(tables.f1(labels, said))
        assert tables.f1(labels, said, labels.mean() / 2) <= tables.f1(labels, said) + 1e-9

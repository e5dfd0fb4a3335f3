"""Tables and pictures show the numbers of the metrics, each with its interval."""

import json
import struct

import pytest

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.reporting import quality_figures, tables
from crm_dedup_plugin.reporting.comparison import Row
from crm_dedup_plugin.reporting.metric_names import QUALITY
from crm_dedup_plugin.reporting.results import Metrics, load

MADE_FROM = {"model": "outputs/mine-merged", "inputs": {"data_sha256": "d", "model_sha256": "m"}}


def result(unreadable: int = 0, wrong: int = 4) -> dict:
    gold = [label for label in LABELS for _ in range(10)]
    predicted = ["NO_MATCH" if number < wrong else label for number, label in enumerate(gold)]
    predicted[20 : 20 + unreadable] = [None] * unreadable
    slices = [("easy", "hard, very", None)[number % 3] for number in range(30)]
    return {**metrics.evaluate(gold, predicted, slices), "valid_json": 1 - unreadable / 30, "truncated": 0.0, **MADE_FROM}


def shown(metric: dict) -> str:
    return f"{metric['value']:.2f} ({metric['low']:.2f}-{metric['high']:.2f})"


def cells(text: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return {first: rest for first, *rest in rows}


def test_the_table_shows_each_number_of_each_model_with_its_interval():
    one, two = result(), result(unreadable=3, wrong=0)
    rows = cells(tables.quality({"base": one, "tuned": two}))
    assert rows[""] == ["base", "tuned"]
    for key, (title, *_) in QUALITY.items():
        assert rows[title] == [shown(one[key]), shown(two[key])]
    assert rows["accuracy"][0].startswith("0.87 (0.7")
    assert rows["valid JSON"] == ["100%", "90.0%"]
    assert rows["truncated answers"] == ["0.0%", "0.0%"]
    assert rows["pairs"] == ["30", "30"]
    assert {"macro F1", "precision DUPLICATE", *(f"F1 {label}" for label in LABELS)} <= set(rows)


def test_robustness_is_shown_where_it_was_measured():
    plain, tested = result(), {**result(), "flip_rate": metrics.rate([True, False, False, False]), "reasoning_grounded": None}
    rows = cells(tables.quality({"base": plain, "tuned": tested}))
    assert rows["flips, records swapped"] == ["-", shown(tested["flip_rate"])]
    assert "reasoning grounded" not in rows and "moved by injections" not in rows
    assert list(cells(tables.quality({"base": plain}))) == list(cells(tables.quality({"base": {**plain, "flip_rate": None}})))


def test_other_tasks_are_shown_with_their_files():
    public = metrics.evaluate_pairs([1, 0] * 5, ["DUPLICATE", "NO_MATCH"] * 5, ["febrl", "orgs"] * 5)
    tasks = {"tasks": {"crm_dedup_unseen": result(), "crm_dedup_public": public}}
    links = metrics.evaluate_pairs([1, 0] * 5, ["NO_MATCH", "NO_MATCH"] * 5, ["febrl", "orgs"] * 5)
    rows = cells(tables.tasks(tasks))
    assert rows["crm_dedup_unseen"] == ["30", shown(result()["macro_f1"]), "-", "-", "-", "-"]
    assert rows["crm_dedup_public"] == ["10", "-", shown(public["f1"]), shown(public["mean_f1"]), "-", "-"]
    assert rows["- febrl"] == ["5", "-", "1.00 (1.00-1.00)", "-", "-", "-"]
    rows = cells(tables.tasks({**tasks, "linking": links}))
    assert rows["crm_dedup_public"][2:] == [shown(part[key]) for part in (public, links) for key in ("f1", "mean_f1")]
    assert rows["- febrl"] == ["5", "-", "1.00 (1.00-1.00)", "-", "0.00 (0.00-0.00)", "-"]
    assert rows["crm_dedup_unseen"][-2:] == ["-", "-"]
    assert len(tables.tasks(result()).splitlines()) == 2


def calibrated() -> dict:
    parts = {"as_is": [{"confidence": 0.9, "accuracy": 0.5, "pairs": 30}], "calibrated": [{"confidence": 0.52, "accuracy": 0.5, "pairs": 30}]}
    error = {"value": 0.4, "low": 0.3, "high": 0.5}
    return {"pairs": 30, "temperature": 2.5, "ece": error, "ece_calibrated": error, "reliability": parts}


def test_the_reliability_is_drawn_where_there_are_probabilities(tmp_path):
    (tmp_path / "a").mkdir()
    assert quality_figures.draw(result(), tmp_path / "a", "mine") == [tmp_path / "a" / "confusion.png"]
    assert quality_figures.draw({**result(), "calibration": calibrated()}, tmp_path, "mine")[1] == tmp_path / "reliability.png"
    assert 400 < min(size(tmp_path / "reliability.png")) < 800
    first = (tmp_path / "reliability.png").read_bytes()
    quality_figures.draw({**result(), "calibration": calibrated()}, tmp_path, "mine")
    assert (tmp_path / "reliability.png").read_bytes() == first
    quality_figures.draw({**result(), "calibration": {**calibrated(), "temperature": 1.0}}, tmp_path, "mine")
    assert (tmp_path / "reliability.png").read_bytes() != first


def test_the_slices_are_shown_the_weakest_first():
    measured = result()
    rows = cells(tables.slices(measured))
    names = [name for name in rows if name in measured["slices"]]
    values = [measured["slices"][name]["accuracy"]["value"] for name in names]
    assert sorted(names) == ["easy", "hard, very"]
    assert values == sorted(values) and values[0] < values[1]
    for name in names:
        part = measured["slices"][name]
        assert rows[name] == [str(part["pairs"]), shown(part["accuracy"]), shown(part["macro_f1"])]


def test_a_result_without_slices_has_an_empty_table():
    measured = result()
    del measured["slices"]
    assert tables.slices(measured).splitlines()[0].strip("|").split() == ["slice", "|", "pairs", "|", "accuracy", "|", "macro", "F1"]
    assert len(tables.slices(measured).splitlines()) == 2


def size(path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", head[16:24])


def drawn(measured: dict) -> quality_figures.Figure:
    return quality_figures.confusion(Row("mine", Metrics.model_validate(measured)))


def test_the_picture_is_a_png_with_a_column_for_unreadable_answers_only_if_there_are_any(tmp_path):
    (width, height), (wider, same) = (size(drawn(result(unreadable)).png(tmp_path / f"{unreadable}.png")) for unreadable in (0, 2))
    assert 500 < width < wider < 1200
    assert 300 < height == same < 800
    assert all(5_000 < path.stat().st_size < 200_000 for path in tmp_path.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "2.png"]


@pytest.mark.parametrize("unreadable", [0, 2])
def test_the_picture_shows_counts_and_shares(unreadable):
    picture = drawn(result(unreadable))
    (axes,) = picture.figure.axes
    cells = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}
    ticks = [tick.get_text().replace("\n", "_") for tick in axes.get_xticklabels()]
    assert ticks == [*LABELS, *["no JSON"] * bool(unreadable)]
    assert (cells[0, 0], cells[0, 2]) == ("6\n60%", "4\n40%")
    assert unreadable == 0 or cells[2, 3] == "2\n20%"
    assert "DUPLICATE: 6 DUPLICATE, 0 POSSIBLE, 4 NO_MATCH" in picture.alt


def test_the_same_result_gives_the_same_bytes(tmp_path):
    one, two = (drawn(result()).png(tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert one == two and drawn(result()).svg() == drawn(result()).svg()


def test_a_label_without_pairs_can_be_drawn(tmp_path):
    measured = metrics.evaluate(["DUPLICATE", "NO_MATCH"], ["DUPLICATE", "POSSIBLE"])
    assert size(drawn({**measured, **MADE_FROM}).png(tmp_path / "a.png"))[0] > 500


def test_results_are_loaded_by_name_or_their_absence_explained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"outputs/results/mine/metrics\.json does not exist: run `crm-dedup kpi mine` first"):
        load("mine")
    (tmp_path / "outputs" / "results" / "mine").mkdir(parents=True)
    (tmp_path / "outputs" / "results" / "mine" / "metrics.json").write_text(json.dumps(result()))
    assert load("mine") == result()

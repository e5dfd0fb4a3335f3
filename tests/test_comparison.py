"""The comparison: what is ranked and what is not, the rule, stale and broken files, hostile names, the same bytes."""

import base64
import copy
import functools
import json
import random
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.reporting import comparison as loading
from crm_dedup_plugin.reporting import recommendation, templates
from crm_dedup_plugin.reporting import speed_figures as figures
from crm_dedup_plugin.reporting.comparison import compare_rows, load
from crm_dedup_plugin.reporting.figures import looks, shown
from crm_dedup_plugin.reporting.page import compare
from crm_dedup_plugin.reporting.recommendation import texts
from crm_dedup_plugin.reporting.tables import percent, rate
from crm_dedup_plugin.reporting.templates import clean

HOSTILE = "<img src=x onerror=alert(1)> | `$x^2$` [a](b)\n*"
LONG = "<svg onload=alert(2)>\"'&{{ 7 * 7 }}" + "x" * 90
VERSIONS = {"torch": "2.0", "vllm": "1.0"}


def span(value: float, half: float = 0.05) -> dict:
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half)}


def around(value: float) -> dict:
    return {"value": value, "low": 0.9 * value, "high": 1.1 * value}


@functools.cache
def scored(wrong: int, seed: int) -> dict:
    """The metrics of 60 pairs of which so many are wrong; a tenth of the usual resamples is enough for a page. Do not change them."""
    rng = random.Random(seed)
    gold = [label for label in LABELS for _ in range(20)]
    predicted = list(gold)
    for at in rng.sample(range(60), wrong):
        predicted[at] = LABELS[(LABELS.index(gold[at]) + 1) % 3]
    with mock.patch.object(metrics, "RESAMPLES", 100):
        return metrics.evaluate(gold, predicted, [f"kind_{number % 7}" for number in range(60)])


def quality(wrong: int = 6, name: str = "mine", covered: float = 0.5, seed: int = 0) -> dict:
    """What `crm-dedup kpi` writes, of a model that gets so many of 60 pairs wrong."""
    result = copy.deepcopy(scored(wrong, seed))
    steps = [number / 20 for number in range(21)]
    bins = [{"confidence": 0.4 + 0.1 * number, "accuracy": min(1.0, 0.3 + 0.13 * number), "pairs": 10} for number in range(6)]
    calibration = {
        "pairs": 60,
        "temperature": 1.4,
        "ece": span(0.2),
        "ece_calibrated": span(0.05),
        "merge_at_99": {"threshold": 0.9, "merged": 10, "precision": span(1.0), "precision_exact_low": 0.7, "coverage": span(covered)},
        "precision_recall": {"threshold": steps, "recall": steps[::-1], "precision": [1 - (1 - step) * wrong / 60 for step in steps]},
        "reliability": {"as_is": bins, "calibrated": bins[2:]},
    }
    robust = {"flip_rate": span(0.1), "injection_moved": span(0.2), "injection_success": span(0.05), "reasoning_grounded": span(0.6)}
    inputs = {"model_sha256": f"model-{name}", "data_sha256": "d" * 64, "task_sha256": "t" * 64}
    rest = {"valid_json": 1.0, "truncated": 0.0, "model": f"outputs/{name}-merged", "inputs": inputs, "versions": VERSIONS}
    return {**result, **robust, "calibration": calibration, **rest}


def baseline(wrong: int = 3, covered: float = 0.6, seed: int = 1) -> dict:
    result = quality(wrong, "", covered, seed)
    for key in ("valid_json", "truncated", "injection_moved", "injection_success", "reasoning_grounded"):
        del result[key]
    return {**result, "model": "baseline-x", "inputs": {"data_sha256": "d" * 64, "train_sha256": "e" * 64}, "versions": {"numpy": "2"}}


def speed(name: str = "mine", pairs: float = 10.0, hardware: str = "NVIDIA H100", **changes) -> dict:
    """What `crm-dedup bench` writes."""

    def times(value: float) -> dict:
        return {"mean": around(value), "p50": around(value), "p95": around(2 * value), "p99": around(3 * value)}

    online = [
        {
            **{"concurrency": number, "requests": 16, "repeats": 3, "pairs_per_second": around(pairs * number / (number + 4))},
            **{"ttft_ms": times(20.0 + number), "e2el_ms": times(300.0 + 20 * number), "tpot_ms": times(5.0), "itl_ms": None},
        }
        for number in (1, 4, 16)
    ]
    arm = {"pairs_per_second": around(pairs), "share_of_limit": 0.43, "cost_per_million_pairs": 9.1, "valid_json": 1.0}
    return {
        **{"model": f"outputs/{name}-merged", "random_weights": False, "quick": False, "pairs": 60, "dtype": "bfloat16", "quantization": None},
        **{"hardware": {"name": hardware, "kind": "cuda", "flops": 1e15, "bandwidth": 3e12, "source": "data sheet"}, "price_per_hour": 2.5},
        **{"inputs": {"model_sha256": f"model-{name}", "data_sha256": "d" * 64, "prompt_sha256": "p" * 64}, "versions": VERSIONS},
        **{"offline": {"full": arm, "decision": {**arm, "pairs_per_second": around(5 * pairs)}, "full_cold": None}, "online": online},
        **changes,
    }


def write(results: Path, name: str, measured: dict | None = None, benchmark: dict | None = None) -> Path:
    folder = results / name
    folder.mkdir(parents=True)
    for file, content in (("metrics.json", measured), ("benchmark.json", benchmark)):
        if content is not None:
            (folder / file).write_text(json.dumps(content))
    return folder


def configure(folder: Path, monkeypatch, *names: str) -> None:
    """Go to a folder in which models of these names can be trained."""
    (folder / "axolotl_configs").mkdir()
    for name in names:
        (folder / "axolotl_configs" / f"{name}.yml").touch()
    monkeypatch.chdir(folder)


def several(results: Path) -> Path:
    """Models fast and slow, quick, with random weights, on two machines, baselines, other data; and what cannot be compared."""
    write(results, "small", quality(12, "small", 0.4), speed("small", 80.0, quick=True))
    write(results, "middle", quality(5, "middle", 0.55, 2), speed("middle", 30.0))
    write(results, "large", quality(4, "large", 0.6, 3), speed("large", 12.0, quantization="fp8"))
    write(results, "laptop", quality(9, "laptop", 0.3, 4), speed("laptop", 0.4, "Some CPU (2 cores)"))
    write(results, "shape", None, speed("shape", 6.0, random_weights=True))
    write(results, "baseline-trees", baseline())
    write(results, "baseline-strings", baseline(20, 0.1, 5))
    write(results, HOSTILE.replace("/", ""), {**quality(7, "odd"), "inputs": {**quality(name="odd")["inputs"], "data_sha256": "f" * 64}})
    write(results, LONG, quality(8, LONG, 0.35, 6))
    write(results / "more", "baseline-trees", baseline())
    return results


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(metrics, "RESAMPLES", 50)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> tuple[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "RESAMPLES", 50)
        return tuple(path.read_text() for path in compare(places=[several(tmp_path_factory.mktemp("results"))]))


def rows(*found: tuple) -> list:
    return [loading.Row(name, loading.Metrics.model_validate(measured) if measured else None) for name, measured in found]


def test_the_pages_show_every_number_with_its_interval(tmp_path):
    measured = quality(6)
    write(tmp_path, "mine", measured, speed())
    html, markdown = (path.read_text() for path in compare(places=[tmp_path]))
    for key in ("macro_f1", "accuracy", "f1_duplicate", "precision_duplicate", "flip_rate", "injection_moved", "reasoning_grounded"):
        value, low, high = (f"{measured[key][part]:.2f}" for part in ("value", "low", "high"))
        assert f"{value} ({low}–{high})" in markdown and f">{value}<small>{low}–{high}</small>" in html
    for text in ("10.0 (9.00–11.0)", "50.0 (45.0–55.0)", "320 (288–352)", "9.10", "43.0%", "NVIDIA H100"):
        assert text in markdown
    assert html.count("data:image/svg+xml") == 9


def test_links_of_public_pairs_have_a_column_where_any_were_measured(tmp_path, pages):
    write(tmp_path, "mine", {**quality(6), "linking": {"threshold": 0.5, "mean_f1": span(0.77)}})
    write(tmp_path, "theirs", {**quality(7, "theirs"), "linking": None})
    html, markdown = (path.read_text() for path in compare(places=[tmp_path]))
    (line,) = (line for line in markdown.splitlines() if line.startswith("| F1 of public links"))
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["0.77 (0.72–0.82)", "–"] and "F1 of public links" in html
    assert not any(line.startswith("| F1 of public links") for line in pages[1].splitlines())


def test_the_same_results_give_the_same_bytes(pages, tmp_path):
    again = compare(places=[several(tmp_path)])
    assert list(pages) == [path.read_text() for path in again]
    figures = [base64.b64decode(part) for part in re.findall(r'base64,([^"]+)"', pages[0])]
    assert len(figures) > 15 and not any(b"date" in figure for figure in figures)
    assert {ElementTree.fromstring(figure).tag for figure in figures} == {"{http://www.w3.org/2000/svg}svg"}


def test_what_comes_from_files_is_escaped(pages):
    html, markdown = pages
    assert "<img src=x" not in html and "<svg" not in html and "&lt;img src=x" in html and "&lt;svg onload" in html
    assert "49xxx" not in html and "http://" not in html and "https://" not in html
    outside = "".join(part for number, part in enumerate(markdown.split("`")) if number % 2 == 0)
    assert "<img" not in outside and "<svg" not in outside


@given(st.text(max_size=30))
@settings()
def test_any_name_stays_text(name):
    assert "<" not in str(templates.rich(name)).replace("<code>", "").replace("</code>", "")
    line = templates.markdown(name)
    assert "\n" not in line and not re.search(r"(?<!\\)\|", line)
    assert "<" not in templates.markdown(name.replace("`", "")) and clean(name).isprintable()


def test_other_pairs_are_left_out_with_the_reason_and_the_cure(tmp_path):
    other = quality(0, "champion", 1.0)
    other["inputs"]["data_sha256"] = "f" * 64
    for name in ("one", "two"):
        write(tmp_path, name, quality(9, name))
    write(tmp_path, "champion", other)
    found = load((), [tmp_path])
    assert [row.name for row in found.rows] == ["one", "two"]
    ((row, reason),) = found.others
    assert row.name == "champion" and "data ffffffff" in reason and "data dddddddd" in reason and row.command == "`crm-dedup kpi champion`"
    html, markdown = (path.read_text() for path in compare(places=[tmp_path]))
    assert "Take champion" not in html and html.count("champion") == markdown.count("champion") == 2


def test_fewer_pairs_of_the_same_data_are_other_pairs():
    few = {**quality(2, "few"), "pairs": 30}
    found = compare_rows(rows(("all", quality()), ("few", few), ("too", quality())))
    assert [row.name for row, _ in found.others] == ["few"]


def test_another_prompt_is_left_out_but_baselines_have_none():
    other = quality(0, "other", 1.0)
    other["inputs"]["task_sha256"] = "u" * 64
    found = compare_rows(rows(("a", quality()), ("b", quality()), ("other", other), ("baseline-x", baseline())))
    assert [row.name for row in found.rows] == ["a", "b", "baseline-x"] and "another prompt" in found.others[0][1]


def test_the_models_choose_the_pairs_even_where_baselines_are_more():
    model = quality()
    model["inputs"]["data_sha256"] = "f" * 64
    found = compare_rows(rows(("mine", model), ("baseline-a", baseline()), ("baseline-b", baseline())))
    assert [row.name for row in found.rows] == ["mine"]
    assert all(row.command.endswith("scripts/measure_baselines.py`") for row, _ in found.others)


def test_mixed_names_are_refused_with_their_groups(tmp_path):
    other = quality(3, "other")
    other["inputs"]["data_sha256"] = "f" * 64
    write(tmp_path, "mine", quality())
    write(tmp_path, "other", other)
    with pytest.raises(
        UserError, match=r"different pairs \(60 pairs of the data dddddddd: mine; 60 pairs of the data ffffffff: other\): name those of"
    ):
        compare(["mine", "other"], [tmp_path])
    assert [row.name for row in load(["mine"], [tmp_path]).rows] == ["mine"]
    other["inputs"] |= {"data_sha256": "d" * 64, "task_sha256": "u" * 64}
    (tmp_path / "other" / "metrics.json").write_text(json.dumps(other))
    with pytest.raises(UserError, match="different code or prompts"):
        load(["mine", "other"], [tmp_path])


def test_other_versions_are_marked_not_left_out():
    old = {**quality(name="old"), "versions": {**VERSIONS, "torch": "1.9"}}
    found = compare_rows(rows(("a", quality()), ("b", quality()), ("old", old), ("baseline-x", baseline())))
    notes = {row.name: row.notes for row in found.rows}
    assert notes.pop("old") == ["quality measured with other versions than most: torch 1.9"]
    assert not any(notes.values())


def test_what_has_to_be_known_of_a_result_stands_below_the_table(tmp_path):
    write(tmp_path, "mine", quality())
    write(tmp_path, "baseline-rules", {**baseline(0), "note": "the labels are its own"})
    html, markdown = (path.read_text() for path in compare(places=[tmp_path]))
    assert "| baseline-rules [1] " in markdown and "[1] the labels are its own." in markdown and "the labels are its own" in html


def test_no_two_of_many_rows_look_alike():
    for row in (quality(), baseline()):
        found = looks(rows(*((f"row-{number}", row) for number in range(8))))
        assert len(set(found.values())) == 8


@pytest.mark.parametrize(("changed", "message"), [({"model_sha256": "old"}, "of another model"), ({"data_sha256": "old"}, "of other pairs")])
def test_a_stale_benchmark_is_not_used(tmp_path, changed, message):
    stale = speed(pairs=777.0)
    stale["inputs"] |= changed
    write(tmp_path, "mine", quality(), stale)
    html, markdown = (path.read_text() for path in compare(places=[tmp_path]))
    assert "777" not in html + markdown and message in html and message in markdown and "crm-dedup bench mine" in markdown


def test_quick_runs_and_random_weights_are_labelled_at_each_number(tmp_path):
    write(tmp_path, "mine", quality(), speed(quick=True))
    write(tmp_path, "shape", None, speed("shape", 50.0, random_weights=True))
    html, markdown = (path.read_text() for path in compare(places=[tmp_path]))
    speeds = [line for line in markdown.splitlines() if line.startswith(("| pairs/s", "| p50", "| cost", "| share of"))]
    assert len(speeds) == 6
    assert all(", quick" in line and ", random weights" in line for line in speeds)
    assert html.count('<small class="mark">quick</small>') == html.count('<small class="mark">random weights</small>') == 6
    assert "`crm-dedup train MODEL --name shape`, then `crm-dedup kpi shape`" in markdown
    found = load((), [tmp_path])
    assert figures.front("NVIDIA H100", found.rows, looks(found.rows)).alt.endswith("On the Pareto front: mine.")


def test_speed_alone_comes_last_and_names_the_configuration_that_trains_the_model(tmp_path, monkeypatch):
    configure(tmp_path, monkeypatch, "shape")
    results = tmp_path / "results"
    write(results, "mine", quality(), speed("mine"))
    write(results, "a-fp8", None, {**speed("a-fp8", random_weights=True), "model": "outputs/shapes/shape", "quantization": "fp8"})
    write(results, "b-other", None, {**speed("b-other", random_weights=True), "model": "org/other"})
    found = load([], [results])
    assert [row.name for row in found.rows] == ["mine", "a-fp8", "b-other"] and found.missing == ["shape"]
    assert [row.notes[-1] for row in found.rows[1:]] == [
        "quality not measured: run `make train-shape`, then `make kpi-shape`",
        "quality not measured: run `crm-dedup train MODEL --name b-other`, then `crm-dedup kpi b-other`",
    ]


def test_random_weights_need_no_fitting_hash_but_are_never_set_against_quality(tmp_path):
    write(tmp_path, "mine", quality(), {**speed("other"), "random_weights": True})
    found = load((), [tmp_path])
    assert found.rows[0].benchmark and figures.front("NVIDIA H100", found.rows, looks(found.rows)) is None


def test_each_machine_has_figures_of_its_own(pages):
    html, _ = pages
    assert html.count("<h2>Speed against quality</h2>") == html.count("<h2>Under load</h2>") == 2
    other = speed("mine")
    other["inputs"]["data_sha256"] = "f" * 64
    pair = [loading.Row(name, None, loading.Benchmark.model_validate(one)) for name, one in (("mine", other), ("too", speed("too")))]
    assert list(figures.machines(pair)) == ["NVIDIA H100, data dddddddd", "NVIDIA H100, data ffffffff"]


def test_models_without_results_are_listed_with_their_command(tmp_path, monkeypatch):
    configure(tmp_path, monkeypatch, "mine", "absent")
    write(tmp_path / "results", "mine", quality())
    html, markdown = (path.read_text() for path in compare(places=[tmp_path / "results"]))
    assert "make train-absent kpi-absent bench-absent" in markdown and "make train-absent kpi-absent bench-absent" in html
    assert "make train-mine" not in html


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"macro_f1": {"value": 0.8,', "Invalid JSON"),
        ("", "Invalid JSON"),
        ("[]", "object"),
        ("{}", "model: Field required"),
        (json.dumps({**quality(), "macro_f1": {**span(0.5), "value": float("nan")}}), "macro_f1.value"),
        (json.dumps({**quality(), "accuracy": {**span(0.5), "value": 0.9}}), "value must lie between low and high"),
        (json.dumps({**quality(), "accuracy": span(1.5) | {"high": 2.0}}), "accuracy.value"),
        (json.dumps({**quality(), "pairs": 0}), "pairs"),
        (json.dumps({**quality(), "inputs": {}}), "inputs.data_sha256"),
    ],
)
def test_a_broken_file_is_named_with_the_cure(tmp_path, text, message):
    write(tmp_path, "good", quality())
    (write(tmp_path, "bad") / "metrics.json").write_text(text)
    with pytest.raises(UserError) as raised:
        compare(places=[tmp_path])
    assert str(tmp_path / "bad" / "metrics.json") in str(raised.value) and message in str(raised.value)
    assert "crm-dedup kpi bad" in str(raised.value) and not list(tmp_path.glob("model_comparison*"))


def test_a_broken_benchmark_is_named(tmp_path):
    folder = write(tmp_path, "mine", quality(), speed())
    (folder / "benchmark.json").write_text(json.dumps(speed())[:200])
    with pytest.raises(UserError, match=r"mine/benchmark\.json: .*crm-dedup bench mine"):
        load((), [tmp_path])


def test_errors_say_nothing_of_what_stands_in_a_file(tmp_path):
    write(tmp_path, "mine", {**quality(), "model": {"name": "Ann Lee"}, "pairs": "ann@lee.example"})
    with pytest.raises(UserError) as raised:
        load((), [tmp_path])
    assert "Ann" not in str(raised.value) and "ann@" not in str(raised.value)


def test_any_part_of_a_benchmark_may_be_missing(tmp_path):
    write(tmp_path, "none", quality(name="none"), {**speed("none"), "offline": None, "online": None, "versions": None})
    write(tmp_path, "some", quality(name="some"), {**speed("some"), "offline": {"full": {"pairs_per_second": around(3.0)}}, "online": []})
    thin = [{"concurrency": 1, "e2el_ms": {"p50": around(5.0)}}, {"concurrency": 2, "pairs_per_second": around(4.0)}]
    write(tmp_path, "thin", quality(name="thin"), {**speed("thin"), "online": thin})
    assert len(compare(places=[tmp_path])) == 2


def test_no_results_are_an_error_that_says_what_to_do(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="holds no results: run `crm-dedup kpi NAME` first"):
            compare(places=[folder])
    with pytest.raises(UserError, match=r"mine/metrics\.json does not exist"):
        compare(["mine"], [tmp_path])


def test_a_thousand_slices_and_many_models_still_make_a_page(tmp_path):
    measured = quality()
    measured["slices"] = {f"slice_{number}": {"pairs": 1, "accuracy": span(number % 10 / 10)} for number in range(1000)}
    for number in range(9):
        write(tmp_path, f"model-{number}", measured | {"inputs": {**measured["inputs"], "model_sha256": str(number)}})
    html, _ = (path.read_text() for path in compare(places=[tmp_path]))
    assert "The 200 hardest of 1000 slices." in html and len(html) < 5_000_000


def test_other_folders_are_tables_of_their_own(tmp_path):
    write(tmp_path, "mine", quality())
    inner = baseline(1)
    inner["inputs"]["data_sha256"] = "f" * 64
    write(tmp_path / "big", "baseline-x", inner)
    (tmp_path / "data").mkdir()
    html, markdown = (path.read_text() for path in compare(places=[tmp_path]))
    assert "## Other data: big" in markdown and "data ffffffff: other pairs than above" in html
    assert "Take mine" in html and "Other data: data" not in html


def test_the_rule_takes_coverage_then_macro_f1_and_names_ties():
    far, near, best = quality(0, "far", 0.2), quality(20, "near", 0.52), quality(3, "best", 0.5, 7)
    choice = recommendation.choose(rows(("far", far), ("near", near), ("best", best)))
    assert choice.winner.name == "best" and not choice.ties
    twin = quality(4, "twin", 0.5, 8)
    choice = recommendation.choose(rows(("far", far), ("best", best), ("twin", twin)))
    assert choice.winner.name == "best" and [row.name for row in choice.ties] == ["twin"]


def test_merges_that_are_not_precise_cover_nothing():
    bold, careful = quality(1, "bold", 0.95), quality(6, "careful", 0.3)
    bold["calibration"]["merge_at_99"]["precision"] = span(0.8)
    assert recommendation.choose(rows(("bold", bold), ("careful", careful))).winner.name == "careful"


def test_models_that_break_the_schema_or_have_no_probabilities_do_not_win():
    broken, blind = {**quality(0, covered=1.0), "valid_json": 0.99}, {**quality(0), "calibration": None}
    choice = recommendation.choose(rows(("broken", broken), ("blind", blind), ("plain", quality(9, covered=0.1))))
    assert choice.winner.name == "plain" and {row.name for row, _ in choice.out} == {"broken", "blind"}
    assert recommendation.choose(rows(("blind", blind), ("baseline", {**baseline(20), "calibration": None}))).winner.name == "blind"
    assert recommendation.choose(rows(("broken", broken), ("nothing", None))).winner is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((("mine", quality(2, covered=0.9)), ("baseline-x", baseline(20, 0.1))), "Take mine."),
        ((("mine", quality(30, covered=0.1)), ("baseline-x", baseline(1, 0.9))), "Take baseline-x: it is a baseline, and no language model"),
        ((("mine", quality(3, covered=0.6)), ("baseline-x", baseline(2, 0.6))), "or mine: these pairs do not show which of the two is better"),
        ((("mine", {**quality(), "valid_json": 0.5}), ("baseline-x", baseline())), "no language model here qualifies"),
        ((("mine", {**quality(), "valid_json": 0.5}),), "No recommendation: no row qualifies."),
    ],
)
def test_the_recommendation_is_plain(found, said):
    assert said in " ".join(texts(compare_rows(rows(*found)))["recommendation"])


def test_the_recommendation_says_where_another_row_links_lists_better():
    def said(mine: dict | None, other: dict | None) -> str:
        parts = (("mine", quality(2, covered=0.9), mine), ("baseline-x", baseline(20, 0.1), other))
        found = compare_rows(rows(*((name, {**part, "linking": links and {"mean_f1": links}}) for name, part, links in parts)))
        return " ".join(texts(found)["recommendation"])

    warning = (
        "For lists that do not come from a CRM, baseline-x links better, with an F1 of 0.90 (0.88–0.92) against 0.77 (0.75–0.79) on public ones."
    )
    low, high, near = span(0.77, 0.02), span(0.9, 0.02), span(0.8, 0.02)
    assert said(low, high).endswith(warning)
    for mine, other in ((high, low), (low, near), (low, low), (None, high), (low, None), (None, None)):
        assert "For lists that" not in said(mine, other)


def test_long_names_that_differ_at_the_end_stay_apart():
    one, other = (shown("model-" + "x" * 50 + end) for end in ("-base", "-tuned"))
    assert one != other and len(one) == len(other) == 26 and shown("a\x00\ud800b") == "a\ufffd\ufffdb"


POINT = st.tuples(st.floats(0, 100), st.floats(0, 1))


@given(st.lists(POINT, max_size=30))
@settings()
def test_the_front_is_what_no_other_beats(points):
    front = figures.pareto(points)

    def beaten(one):
        return any(other[0] >= one[0] and other[1] >= one[1] and other != one for other in points)

    assert sorted(front) == [number for number, point in enumerate(points) if not beaten(point)]
    assert [points[number][0] for number in front] == sorted(points[number][0] for number in front)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.4, "0.400"), (0.01234, "0.0123"), (1.0, "1.00"), (99.96, "100.0"), (615.4, "615"), (12345.6, "12,346")]
)
def test_rates_have_three_digits_and_no_exponent(value, text):
    assert rate(value) == text


def test_all_of_them_is_said_only_of_all():
    assert [percent(value) for value in (1.0, 0.99999, 0.9985, 0.0, 1.2)] == ["100%", "99.9%", "99.9%", "0.0%", "120.0%"]


def test_your_own_results_count_and_committed_ones_are_for_reference(tmp_path):
    own, committed = tmp_path / "own", tmp_path / "committed"
    for name in ("a", "b", "mine"):
        write(committed, name, quality(9, name))
    write(committed / "demo", "b", quality(9, "b"))
    write(own, "mine", quality(3))
    found = load((), [own, committed])
    assert [(row.name, row.reference) for row in found.rows] == [("a", True), ("b", True), ("mine", False)]
    assert found.rows[2].metrics.macro_f1.value == quality(3)["macro_f1"]["value"] and list(found.elsewhere) == ["demo"]
    other = quality(3)
    other["inputs"]["data_sha256"] = "f" * 64
    (own / "mine" / "metrics.json").write_text(json.dumps(other))
    found = load((), [own, committed])
    assert [row.name for row in found.rows] == ["mine"] and not found.others
    assert [row.name for row in found.elsewhere[str(committed)].rows] == ["a", "b"]
    assert {path.parent for path in compare(places=[own, committed])} == {own} and not list(committed.glob("*.*"))
    assert [row.name for row in load(["mine", "a"], [own / "none", committed]).rows] == ["a", "mine"]

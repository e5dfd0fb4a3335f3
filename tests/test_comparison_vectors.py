"""Comparison vectors: evidence as numbers, the same whichever record comes first, and weights that answers give them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_dedup_plugin.cli import main
from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.learning import Prior, calibrate
from crm_dedup_plugin.learning.calibrate import probabilities
from crm_dedup_plugin.matching import deciding
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.policy.comparison import vector

NAMES = st.sampled_from(["Email", "First Name", "Last Name", "Phone", "Company", "Vendor code", "Notes", "Ünïcode", "x alike"])
RECORDS = st.dictionaries(NAMES, st.text(min_size=1, max_size=20).filter(str.strip), max_size=6)


@given(RECORDS, RECORDS)
def test_the_order_of_the_records_makes_no_difference_and_every_number_is_bounded(a, b):
    found = vector(a, b)
    assert found == vector(b, a)
    assert all(-1 <= value <= 1 for value in found.values()) and json.loads(json.dumps(found)) == found


@given(RECORDS)
def test_a_record_is_wholly_like_itself(record):
    assert {value for name, value in vector(record, record).items() if name.endswith(" alike") and name != "x alike"} <= {1.0}


def test_columns_without_a_known_meaning_are_compared_letter_by_letter():
    found = vector({"Vendor code": "A-17", "City": "Leeds"}, {"Vendor code": "a 17", "Zip": "LS1"})
    assert found == {"postcode missing": 1.0, "city missing": 1.0, "Vendor code alike": 1.0}


@pytest.fixture(scope="module")
def source():
    """Pairs whose model knows nothing, and whose truth is in a column that no model was taught."""
    rng = np.random.default_rng(7)
    pairs = [({"Name": "Ann", "Vendor code": f"{a}7777"}, {"Name": "Ann", "Vendor code": f"{b}7777"}) for a, b in rng.integers(100, 104, (400, 2))]
    y = np.array([a["Vendor code"] == b["Vendor code"] for a, b in pairs])
    return rng.normal(0, 2, len(pairs)), y, pairs


def test_answers_teach_what_evidence_is_worth(source):
    z, y, pairs = source
    vectors = [vector(*pair) for pair in pairs]
    fit = calibrate(z[:100], y[:100], Prior(), vectors[:100])
    assert fit.weights["Vendor code alike"] > 1 and fit.slope < 1
    p = probabilities(z[100:], fit, vectors[100:])
    blind = probabilities(z[100:], calibrate(z[:100], y[:100]))
    assert -np.log(np.where(y[100:], p, 1 - p)).mean() < 0.6 * -np.log(np.where(y[100:], blind, 1 - blind)).mean()


def test_a_calibration_uses_the_weights_of_what_it_is_shown(source):
    z, y, pairs = source
    fit = calibrate(z, y, Prior(), [vector(*pair) for pair in pairs])
    learned = Calibration(1.0, 0.98, True, fit.slope, fit.bias, 0.1, fit.weights)
    rows = np.stack([np.exp(z) / (1 + np.exp(z)), np.zeros(len(z)), 1 / (1 + np.exp(z))], axis=1)
    found = learned.apply(rows, learned.evidence(pairs))
    assert found[:, 0] == pytest.approx(probabilities(z, fit, [vector(*pair) for pair in pairs]), abs=1e-6)
    assert Calibration(**json.loads(json.dumps(learned._asdict()))) == learned
    assert Calibration().evidence(iter(lambda: 1 / 0, None)) == 0.0, "without weights no record is looked at"


@pytest.mark.parametrize(
    ("header", "crm"), [("Record ID,First Name,Last Name,Email,Lifecycle Stage,HubSpot Owner", True), ("id,first,last,e-mail", False)]
)
def test_contacts_of_a_crm_and_other_lists_are_each_decided_by_their_own_evidence(tmp_path, monkeypatch, header, crm):
    monkeypatch.chdir(tmp_path)
    rows = [f"{row},Ann{row},Lee,ann{row}@example.com" + ",lead,Bo" * crm for row in range(20)]
    Path("contacts.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    assert main(["match", "contacts.csv", "--until", "read"]) == 0
    model, plain = str(embedded.home() / "embedded-merged"), Calibration(1.0, 0.9, True)
    found = deciding.before_answers(Path("runs/contacts"), model, plain)
    assert found == Calibration(**json.loads((embedded.CONTACTS if crm else embedded.LISTS).read_text(encoding="utf-8"))["calibration"])
    assert found.threshold < 1 and 0 < found.review_from < found.threshold
    same, other = ({"First Name": "Ann", "Email": mail} for mail in ("a@x.example", "b@y.example"))
    assert found.evidence([(same, same)])[0] > found.evidence([(same, other)])[0] + 1
    learned = Calibration(1.0, 0.98, True, slope=2.0)
    assert deciding.before_answers(Path("runs/contacts"), model, learned) == learned, "what answers taught comes first"
    assert deciding.before_answers(Path("runs/contacts"), "another/model", plain) == plain


@pytest.mark.parametrize("weights", [embedded.CONTACTS, embedded.LISTS])
def test_the_weights_of_evidence_belong_to_the_embedded_model(weights):
    told = json.loads(weights.read_text(encoding="utf-8"))
    assert told["model"] == f"embedded {embedded.CHECKSUM.read_text(encoding='utf-8')[:16]}", "a new adapter needs new weights"
    assert told["calibration"]["weights"]["email same"] > told["calibration"]["weights"]["email differs"]

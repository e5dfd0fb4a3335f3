"""Learn what evidence is worth in the contacts of a CRM: ``.venv/bin/python scripts/experiments/contact_evidence.py``.

Generates exports of a CRM that no result is about, lets the embedded model decide about their candidates (minutes with a GPU, hours without),
and calibrates as `crm-dedup learn` does, as if a person had answered about every candidate. Writes
``crm_dedup_plugin/inference/adapter/contacts.json``; `match_quality.py` measures what it is worth on exports of other CRMs.
"""

import json
import sys
from pathlib import Path

import numpy as np

from crm_dedup_plugin.dataset.synth import export
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.learning.calibrate import Fit, Prior, Vector, calibrate, probabilities, review_from
from crm_dedup_plugin.learning.start import candidates
from crm_dedup_plugin.matching.deciding import SURE
from crm_dedup_plugin.matching.probability import Calibration, log_odds
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.policy import comparison
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.storage import write_atomically

sys.path.insert(0, str(Path(__file__).resolve().parent))
import command
import match_sets

CRM, ROWS, SEEDS, FOLDER = "zoho", 10_000, (8, 9), Path("outputs/evidence")


def decided(seed: int) -> tuple[Path, Path]:
    """Return an export, and the run that decided about its candidates; both are made if they are missing."""
    folder = FOLDER / f"{CRM}-{ROWS}-{seed}"
    file, run = folder / "export.csv", Path(f"runs/evidence-{folder.name}")
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        export.write(ROWS, seed, file, CRM, force=True)
        export.truth_of(file).replace(folder / "truth.csv")
    command.run("match", str(file), "--run", run.name, "--until", "decide", "--explain", "0")
    return folder, run


def pairs(seed: int) -> tuple[np.ndarray, np.ndarray, list[Vector], dict[str, str]]:
    """Return the log-odds of the candidates of an export, whether both are one entity, their evidence, and the checksum of the export."""
    folder, run = decided(seed)
    truth, records = match_sets.truth(folder), Records(run)
    rows, chances = candidates(run)
    same = np.array([truth[records.ids[a]] == truth[records.ids[b]] for a, b in rows.tolist()])
    vectors = [comparison.elsewhere(comparison.vector(*pair)) for pair in records.pairs(rows.tolist())]
    return log_odds(chances), same, vectors, {folder.name: digest([folder / "export.csv", folder / "truth.csv"])}


def main() -> None:
    """Decide, calibrate, and write."""
    z, y, vectors, data = zip(*map(pairs, SEEDS), strict=True)
    z, y, vectors = np.concatenate(z), np.concatenate(y), [vector for part in vectors for vector in part]
    temperature = Calibration.of(str(embedded.folder())).temperature
    fit = calibrate(z, y, Prior(1 / temperature), vectors)
    found = packaged(fit, temperature, review_from(probabilities(z, fit, vectors)))
    keep(embedded.CONTACTS, found, y, {name: sha256 for part in data for name, sha256 in part.items()}, f"scripts/experiments/{Path(__file__).name}")


def packaged(fit: Fit, temperature: float, looked_at: float) -> Calibration:
    """Return what the package keeps of a fit; pairs less probable than `looked_at` need no person."""
    weights = {name: round(weight, 3) for name, weight in fit.weights.items()}
    return Calibration(temperature, SURE, True, fit.slope, fit.bias, round(looked_at, 4), weights)


def keep(target: Path, found: Calibration, same: np.ndarray, data: dict[str, str], command: str) -> None:
    """Write a calibration of the embedded model to a file of the package, with what it was learned from: pairs, and checksums by name."""
    told = {
        "calibration": found._asdict(),
        "pairs": len(same),
        "same": int(same.sum()),
        "data": data,
        "model": f"{embedded.NAME} {embedded.CHECKSUM.read_text(encoding='utf-8')[:16]}",
        "versions": versions(),
        "command": command,
    }
    write_atomically(target, json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))

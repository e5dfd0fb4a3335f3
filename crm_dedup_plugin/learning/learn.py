"""Learn from the answers about a run: ``crm-dedup learn RUN``.

Three ways to tell that two records are one entity are compared on answers that each of them has not seen: the general model, the same model
calibrated on the answers, with weights of evidence, and the model tuned on them. The more complex one is taken only where it is better
(`compare`).
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crm_dedup_plugin.dataset.synth.generate import generate
from crm_dedup_plugin.evaluation.metrics import evaluate
from crm_dedup_plugin.learning import compare, result, tuning
from crm_dedup_plugin.learning.answered import Answered
from crm_dedup_plugin.learning.calibrate import Fit, Prior, calibrate, of_tuned, probabilities, review_from
from crm_dedup_plugin.learning.compare import Way
from crm_dedup_plugin.learning.kept import Kept, key
from crm_dedup_plugin.learning.start import Start, candidates
from crm_dedup_plugin.learning.tuning import Tuning
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.probability import log_odds, weighed
from crm_dedup_plugin.matching.progress import clock, shown, tell
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.record import Record
from crm_dedup_plugin.provenance import FAMILIES, families, model_digest, private_records, versions
from crm_dedup_plugin.storage import read_json, write_atomically

BEFORE, CALIBRATED, TUNED = "before", "calibrated", "tuned"
CHECKED = 200  # generated pairs that show whether a tuned model forgot something
LOST = 0.01  # of macro F1 on them, at the most
SURE = 0.98  # the least probability of a merge, calibrated on answers about the source itself; other models need `deciding.SURE`
SAMPLE, KNOWN_SAMPLE = 256, 4_096  # candidates that place `review_from`: those that a model must be asked about, or was
STARTING, STEP = 25.0, 2.5  # without a GPU: seconds until a training begins; how much longer a row takes than a question
SPEED = 3.0  # questions a second without a GPU, where the run does not tell


class Options(NamedTuple):
    """What can be chosen about a learning."""

    tune: bool | None = None  # by default with a GPU, from `answered.ENOUGH` answers on
    tuning: Tuning = tuning.USUAL


DEFAULT = Options()


def learn(run: Path, options: Options = DEFAULT) -> dict:
    """Learn from the answers about a run, write what is better than before, and return the report; go on where an interrupted one stopped.

    Raises UserError where the run is not finished, the answers are too few, or the model cannot be trained on this machine.
    """
    began, answered = time.monotonic(), Answered.of(run)
    tune = answered.can_tune(options.tune)
    start = Start.of(run)
    if tune:
        tuning.check(start.model)
    made_from = key([start.sha256, start.calibration, answered.rows.tolist(), answered.y.tolist(), answered.pairs, tune and options.tuning])
    found = result.report(run)
    if not found or found["made_from"] != made_from or (found["model"] and not result.merged(found["model"]).is_dir()):
        found = _Learning(run, answered, start, options.tuning).report(tune)
        found |= {"made_from": made_from, "versions": versions(), "seconds": round(time.monotonic() - began, 1)}
        write_atomically(run / result.FOLDER / result.REPORT, json.dumps(found, indent=1) + "\n")
    return found


class _Learning:
    """One learning: its steps, each of which is kept."""

    def __init__(self, run: Path, answered: Answered, start: Start, settings: Tuning):
        self.run, self.answered, self.start, self.tuning = run, answered, start, settings
        self.vectors = [start.calibration.vector(pair) for pair in answered.pairs]
        self.kept = Kept(run / result.FOLDER / "steps")
        self.name = result.name_for(run)
        self.scratch = Path("outputs") / self.name  # copies of records lie here while a model is tuned

    def report(self, tune: bool) -> dict:
        """Compare, write the result, and return the report."""
        one, start = self.answered, self.start
        tell(self._plan(tune))
        raw = self._raw()
        ways = {way.name: way for way in (self._before(raw), self._calibrated(CALIBRATED, log_odds(raw), start.prior))}
        if tune:
            held_out = self._held_out()
            ways[TUNED] = self._calibrated(TUNED, held_out, of_tuned(start.prior))
        taken, comparisons = compare.choose(one.y, list(ways.values()), one.entity)
        model, generated = Path(start.model), None
        if taken.name == TUNED:
            model, generated = self._tuned()
        if generated and generated["lost"] > LOST:
            taken, _ = compare.choose(one.y, [ways[BEFORE], ways[CALIBRATED]], one.entity)
        z, prior = (held_out, of_tuned(start.prior)) if taken.name == TUNED else (log_odds(raw), start.prior)
        fit = calibrate(z, one.y, prior, self.vectors)
        found = {
            "answers": {"same": int(one.y.sum()), "different": int((~one.y).sum()), "unsure": one.unsure, "changed": one.changed},
            "entities": len(np.unique(one.entity)),
            "folds": len(np.unique(one.fold)),
            "from": start.name,
            "ways": {name: compare.measures(one.y, way, one.entity) for name, way in ways.items()},
            "comparisons": comparisons,
            "generated": generated,
            "taken": taken.name,
            "tuning": self.tuning._asdict() if tune else None,
            "threshold_before": start.calibration.threshold,
            **self._result(taken.name, model, fit),
        }
        shutil.rmtree(self.scratch, ignore_errors=True)
        return found

    def _plan(self, tune: bool) -> str:
        """Say what is going to happen, and without a GPU how long it will take."""
        one = self.answered
        said = f"learn: {len(one.y)} answers"
        if not tune:
            return f"{said}: a calibration"
        import torch

        parts = len(np.unique(one.fold))
        if torch.cuda.is_available():
            return f"{said}: {parts} tunings to check, then one with all answers"
        speed = run_folder.report(self.run, "decide").get("pairs_per_second") or SPEED
        rows = len(one.y) * (1 + self.tuning.share) * self.tuning.passes * (parts + 1)
        asked = len(one.y) + 2 * CHECKED + SAMPLE
        seconds = (rows * STEP + asked) / speed + STARTING * (parts + 1)
        return f"{said}: {parts} tunings to check, then one with all answers; about {clock(seconds)} without a GPU, and it can be interrupted"

    def _raw(self) -> np.ndarray:
        one = self.answered
        made_from = [self.start.sha256, self.start.decided, one.rows.tolist(), one.pairs]
        return np.array(self.kept("start", made_from, lambda: self.start.raw(self.run, one.rows, one.pairs, _say("answers", len(one.y))).tolist()))

    def _before(self, raw: np.ndarray) -> Way:
        """Return what the general model says: its even odds for the comparison, its own rule for merges."""
        calibration = self.start.calibration
        rows = calibration.apply(raw, weighed(calibration.weights, self.vectors))
        merged = (calibration.labels(rows) == 0) & (rows[:, 0] >= calibration.threshold)
        return Way(BEFORE, probabilities(log_odds(raw), self.start.prior, self.vectors), merged)

    def _calibrated(self, name: str, z: np.ndarray, prior: Prior) -> Way:
        p = compare.held_out(z, self.answered.y, self.answered.fold, prior, self.vectors)
        return Way(name, p, p >= SURE)

    def _held_out(self) -> np.ndarray:
        """Return the log-odds (n,) that each answered pair has from a model which was tuned on the other folds."""
        one, z = self.answered, np.empty(len(self.answered.y))
        parts = np.unique(one.fold)
        for number in parts:
            own = one.fold == number
            training = [pair for pair, out in zip(one.labelled, own, strict=True) if not out]
            pairs = [pair for pair, out in zip(one.pairs, own, strict=True) if out]
            # As many steps as with all answers: with fewer, a model is another one.
            settings = self.tuning._replace(passes=round(self.tuning.passes * len(own) / len(training), 2))
            place, what = self.scratch / f"part-{number + 1}", f"part {number + 1} of {len(parts)}"

            def work(training=training, pairs=pairs, place=place, what=what, settings=settings) -> list:
                model = tuning.tune(self.start.model, training, place, settings, what)
                found = tuning.score(str(model), pairs, _say(what, len(pairs))).tolist()
                shutil.rmtree(place)
                return found

            made_from = [self.start.sha256, tuning.made_from(training, settings), pairs]
            z[own] = log_odds(self.kept(f"part-{number + 1}", made_from, work))
        return z

    def _tuned(self) -> tuple[Path, dict]:
        """Return the folder of the model that is tuned on all answers, and what it lost on generated pairs that it was not trained on."""
        model = tuning.tune(self.start.model, self.answered.labelled, self.scratch / "all", self.tuning, "with all answers")
        rows = list(generate(CHECKED, self.tuning.seed + 1))
        pairs, gold = [tuple(row["input"].values()) for row in rows], [row["output"]["decision"] for row in rows]
        told = {}
        for name, folder, digest in ((BEFORE, self.start.model, self.start.sha256), ("after", str(model), model_digest(str(model)))):
            say = _say(f"generated pairs, {name}", len(pairs))
            raw = self.kept(f"generated-{name}", [digest, rows], lambda folder=folder, say=say: tuning.score(folder, pairs, say).tolist())
            told[name] = evaluate(gold, [LABELS[int(np.argmax(row))] for row in raw])["macro_f1"]
        return model, {"pairs": CHECKED, **told, "lost": round(told[BEFORE]["value"] - told["after"]["value"], 6), "most": LOST}

    def _result(self, taken: str, model: Path, fit: Fit) -> dict:
        """Write the model and what names it; return what the report says of it."""
        counts = {"answers": len(self.answered.y), "unsure": self.answered.unsure}
        if taken == BEFORE:
            (self.run / result.FILE).unlink(missing_ok=True)
            return {"model": None, "calibration": None}
        tuned = taken == TUNED
        calibration = self.start.calibration._replace(threshold=SURE, known=True, **fit._asdict())
        calibration = calibration._replace(columns=calibration.columns or None)  # the answers have come: no list changes this any more
        pairs, rows = self._candidates(model if tuned else Path(self.start.model))
        calibration = calibration._replace(review_from=review_from(calibration.apply(rows, calibration.evidence(pairs))[:, 0]))
        history = {}
        if tuned:
            trained = json.loads((model / tuning.MANIFEST).read_text(encoding="utf-8"))
            known = read_json(Path(self.start.model) / tuning.MANIFEST) or {"base_model": self.start.name}
            history = {**trained, "base_model": known["base_model"], "tuned_from": self.start.name, "fingerprint": key(trained)}
            history[FAMILIES] = families(self.start.model)
        trained_on = {"answers": len(self.answered.y), "records": len(np.unique(self.answered.rows))} if tuned else {"answers": 0, "records": 0}
        trained_on["records"] += private_records(Path(self.start.model))
        result.write(self.name, model if tuned else Path(self.start.model), calibration, {"trained_on": trained_on, "calibrated_on": counts}, history)
        write_atomically(self.run / result.FILE, json.dumps({"model": self.name, "from": self.start.name, "taken": taken, **counts}) + "\n")
        return {"model": self.name, "calibration": calibration._asdict()}

    def _candidates(self, model: Path) -> tuple[list[tuple[Record, Record]], np.ndarray]:
        """Return candidates of the run that stand for all, and what `model` says (n, 3) of them."""
        rows, raw = candidates(self.run)
        sha = model_digest(str(model))
        known = self.start.decided and sha == self.start.sha256
        order = np.argsort(log_odds(raw), kind="stable")
        chosen = order[np.unique(np.linspace(0, len(rows) - 1, KNOWN_SAMPLE if known else SAMPLE).astype(int))]
        pairs = list(Records(self.run).pairs(rows[chosen].tolist()))
        if known:
            return pairs, raw[chosen]
        say = _say("candidates", len(pairs))
        return pairs, np.array(self.kept("candidates", [sha, pairs], lambda: tuning.score(str(model), pairs, say).tolist()))


def _say(what: str, total: int):
    return shown(f"learn: {what}", "pairs", total)

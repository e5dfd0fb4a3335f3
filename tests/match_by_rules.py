"""`crm-dedup match` where the written policy stands in for the model, which makes it quick: ``python match_by_rules.py RUN FILE ...``.

Every other part is the real one, with the report. For tests of what a run does when it is killed, and of how its stages fit together.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from crm_dedup_plugin.matching import pipeline, run_folder
from crm_dedup_plugin.matching.matcher import NONE, SHARD, Answered, Decision
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy import evidence, reasoning, rules
from crm_dedup_plugin.reporting import match_report


class Rules:
    """What a `Matcher` is to a run; `asked` counts the pairs."""

    name, calibration, shard = "rules", Calibration(1.0, 0.79, True), SHARD

    def __init__(self, folder: Path):
        self.model, self.asked = str(folder), 0
        (folder / "config.json").write_text("{}", encoding="utf-8")

    def each(self, shards: Iterable[Sequence[tuple[dict, dict]]], explain: str | None = None, count: int | None = None) -> Iterator[Answered]:
        for at, shard in enumerate(shards):
            yield at, self.probabilities(shard) if explain is None else self.decide_many(shard, explain)

    def decide_many(self, pairs: Iterable[tuple[dict, dict]], explain: str) -> list[Decision]:
        found = []
        for pair in pairs:
            known = evidence.compare(*pair)
            decision = rules.decide(known)
            probabilities = dict(zip(LABELS, self.probabilities([pair])[0], strict=True))
            found.append(Decision(decision, probabilities, None if explain == NONE else reasoning.write_plainly(known), True))
        return found

    def probabilities(self, pairs: Sequence[tuple[dict, dict]]) -> list[list[float]]:
        self.asked += len(pairs)
        return [[0.998 if label == rules.decide(evidence.compare(*pair)) else 0.001 for label in LABELS] for pair in pairs]


def match(run: Path, *files: Path, **settings: object) -> tuple[dict, int]:
    """Take a run as far as its plan; return the reports of its stages and how many pairs were asked."""
    with run_folder.alone(run):
        model = run.parent / "rules"
        model.mkdir(exist_ok=True)
        asked = Rules(model)
        return pipeline.match(run, files, asked, pipeline.Settings(**settings)), asked.asked


if __name__ == "__main__":
    match(Path(sys.argv[1]), *map(Path, sys.argv[2:]))
    match_report.write(Path(sys.argv[1]))

"""Learn from what a reviewer answered about a run of `crm-dedup match`: ``learn(run)``.

Scripts may tune and calibrate without a run: ``tune(model, pairs, out)``, ``score(model, pairs)`` and ``calibrate(z, y)``.
"""

from crm_dedup_plugin.learning.calibrate import Fit, Prior, calibrate, probabilities, review_from
from crm_dedup_plugin.learning.folds import entities, folds
from crm_dedup_plugin.learning.learn import Options, learn
from crm_dedup_plugin.learning.result import model_of, report
from crm_dedup_plugin.learning.tuning import Tuning, score, tune

__all__ = [
    "Fit",
    "Options",
    "Prior",
    "Tuning",
    "calibrate",
    "entities",
    "folds",
    "learn",
    "model_of",
    "probabilities",
    "report",
    "review_from",
    "score",
    "tune",
]

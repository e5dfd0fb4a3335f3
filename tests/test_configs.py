"""Every configuration is valid for Axolotl, holds no key that Axolotl would drop, and keeps what all must share."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from axolotl.cli.config import prepare_plugins
from axolotl.utils.config import validate_config
from axolotl.utils.dict import DictDefault

from crm_dedup_plugin.learning import tuning
from crm_dedup_plugin.training import plugin
from crm_dedup_plugin.training.train import unknown_keys

FOLDER = Path(__file__).parents[1] / "axolotl_configs"
MODELS = {
    "llama32-3b": "meta-llama/Llama-3.2-3B-Instruct",
    "mistral7b": "mistralai/Mistral-7B-Instruct-v0.3",
    "phi4mini": "microsoft/Phi-4-mini-instruct",
    "qwen3-4b": "Qwen/Qwen3-4B-Instruct-2507",
    "smollm2-135m": "outputs/smollm2-135m-base",
}
ON_GPU = sorted(set(MODELS) - {"smollm2-135m"})
KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel")
DEVICES = {
    "cpu": {"bf16": False, "fp8": False, "tf32": False, "n_gpu": 1, "compute_capability": None},
    "one gpu": {"bf16": True, "fp8": False, "tf32": True, "n_gpu": 1, "compute_capability": "sm_80"},
    "two gpus": {"bf16": True, "fp8": False, "tf32": True, "n_gpu": 2, "compute_capability": "sm_80"},
}


def raw(name: str) -> dict:
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))


def validated(settings: dict, device: str) -> DictDefault:
    settings = DictDefault(settings)
    prepare_plugins(settings)
    version = torch.__version__.partition("+")[0]
    return validate_config(settings, capabilities=DEVICES[device], env_capabilities={"torch_version": version})


def unknown(settings: dict) -> set[str]:
    """Return the keys that Axolotl would drop without a word."""
    return set(unknown_keys(settings))


def test_there_is_a_configuration_for_each_model():
    assert {path.stem: raw(path.stem)["base_model"] for path in FOLDER.glob("*.yml")} == MODELS


@pytest.mark.parametrize(("name", "device"), [*((name, "one gpu") for name in MODELS), ("smollm2-135m", "cpu")])
def test_axolotl_accepts_the_configuration_and_keeps_its_values(name, device, monkeypatch):
    monkeypatch.setattr(plugin, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: device != "cpu")))
    settings, kept = raw(name), validated(raw(name), device)
    for key in set(settings) - {"datasets", "test_datasets", "dataset_prepared_path"}:
        if device == "cpu" and key in plugin.GPU_ONLY:  # the plugin turns them off where there is no GPU
            assert kept[key] is False
            continue
        value = float(settings[key]) if key == "learning_rate" else settings[key]
        assert kept[key] == value, key
    for part in {"datasets", "test_datasets"} & set(settings):
        assert [{key: entry[key] for key in settings[part][0]} for entry in kept[part]] == settings[part]


@pytest.mark.parametrize("name", MODELS)
def test_no_key_is_unknown_to_axolotl(name):
    assert not unknown(raw(name))


def test_a_misspelt_key_would_be_found():
    settings = raw("qwen3-4b")
    planted = {**settings, "learning_rat": 1, "datasets": [{**settings["datasets"][0], "paht": "x"}]}
    assert unknown(planted) == {"learning_rat", "datasets.paht"}
    assert "learning_rat" not in validated(planted, "one gpu")


@pytest.mark.parametrize(("large", "device"), [(False, "cpu"), (False, "one gpu"), (True, "one gpu")])
def test_what_learning_gives_to_axolotl_is_valid(large, device, monkeypatch, tmp_path):
    monkeypatch.setattr(plugin, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: device != "cpu")))
    monkeypatch.setattr(tuning, "parameters", lambda model: 4e9 if large else 1e8)
    settings = tuning.configuration("outputs/embedded-merged", tmp_path, tuning.Tuning(passes=3, batch=16))
    assert not unknown(settings)
    kept = validated(settings, device)
    assert kept["adapter"] == ("qlora" if large else None) and kept["load_in_4bit"] is large
    assert kept["micro_batch_size"] * kept["gradient_accumulation_steps"] == 16 and kept["num_epochs"] == 3
    assert kept["micro_batch_size"] == 1 or kept["crm_dedup_shared_prefix"], "no row is padded on the left"
    assert str(tmp_path) in kept["dataset_prepared_path"] and kept["save_strategy"] == "no" and kept["warmup_steps"] == 5


@pytest.mark.parametrize("name", MODELS)
def test_what_all_configurations_share(name):
    settings = raw(name)
    assert settings["load_in_4bit"] is True and settings["adapter"] == "qlora" and settings["lora_target_linear"] is True
    assert not settings.get("bnb_config_kwargs")  # Axolotl's defaults are NF4 and double quantisation
    assert all(isinstance(settings[key], bool) for key in (*KERNELS, "bf16", "fp16"))
    assert settings["plugins"] == ["crm_dedup_plugin.training.plugin.CrmDedupPlugin"]
    for entry in [*settings["datasets"], *settings.get("test_datasets", [])]:
        assert (entry["ds_type"], entry["type"]) == ("text", "crm_dedup_plugin.training.formatter")
    assert settings["datasets"][0]["path"] == "data/splits/train.jsonl"
    assert settings["output_dir"] == f"outputs/{name}"
    assert settings["sequence_len"] == 2048 and settings["seed"] == 7 and settings["auto_resume_from_checkpoints"] is True
    if settings["crm_dedup_shared_prefix"]:
        assert not settings["sample_packing"] and not settings["gradient_checkpointing"]


@pytest.mark.parametrize("name", ON_GPU)
def test_packed_pairs_are_kept_apart_and_the_best_checkpoint_is_kept(name):
    kept = validated(raw(name), "one gpu")
    assert kept["attn_decontaminates_packing"] is True
    assert kept["evals_per_epoch"] == kept["saves_per_epoch"]
    assert kept["test_datasets"][0]["path"] == "data/splits/val.jsonl"
    assert kept["micro_batch_size"] * kept["gradient_accumulation_steps"] == 8


@pytest.mark.parametrize("name", ON_GPU)
def test_the_options_for_several_gpus_in_the_header_are_valid(name):
    header = (FOLDER / f"{name}.yml").read_text(encoding="utf-8").partition("\nbase_model")[0]
    words = header.replace('"', " ").split()
    options = dict(word.removeprefix("--").split("=") for word in words if word.startswith("--fsdp"))
    settings = raw(name) | {"fsdp_version": int(options.pop("fsdp_version"))}
    settings["fsdp_config"] = {key.removeprefix("fsdp_config__"): value for key, value in options.items()}
    assert not unknown(settings)
    assert validated(settings, "two gpus")["fsdp_config"]["auto_wrap_policy"] == "TRANSFORMER_BASED_WRAP"


@pytest.mark.parametrize("form", ["name=demo ", "name=demo-small "])
def test_the_options_of_the_demo_are_valid_without_a_gpu(form):
    script = (FOLDER.parent / "scripts" / "demo.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    numbers = dict(word.rstrip(";").split("=") for word in (form + script.partition(form)[2].partition("\n")[0]).split() if "=" in word)
    line = next(line for line in script.splitlines() if line.startswith("$crm_dedup train"))
    for name, value in numbers.items():
        line = line.replace(f"${name}", value)
    options = {key: yaml.safe_load(value) for key, value in (word.removeprefix("--").split("=") for word in line.split() if "=" in word)}
    decay = options.pop("lr_scheduler_kwargs__num_decay_steps")
    settings = raw("smollm2-135m") | options | {"lr_scheduler_kwargs": {"num_decay_steps": decay}}
    assert not unknown(settings)
    kept = validated(settings, "cpu")
    assert kept["max_steps"] == int(numbers["steps"]) > kept["lr_scheduler_kwargs"]["num_decay_steps"] and kept["bf16"] is False

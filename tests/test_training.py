"""Every configuration trains and merges: two-layer twins of the models, through Axolotl's own command line, on a CPU."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import bitsandbytes
import pytest
import tiny_models
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from crm_dedup_plugin.pair import tokens
from crm_dedup_plugin.training import merge, plugin

ROOT = Path(__file__).parents[1]
MODELS = sorted(tiny_models.TWINS)
SHARDED = "mistral7b"
WHOLE = f"qwen3-4b{tiny_models.WHOLE}"
NF4 = BitsAndBytesConfig(
    load_in_4bit=True,
    bnb_4bit_quant_type="nf4",
    bnb_4bit_use_double_quant=True,
    bnb_4bit_compute_dtype=torch.float32,
    bnb_4bit_quant_storage=torch.bfloat16,
)


@pytest.fixture(scope="module")
def workspace(tokenizer, tmp_path_factory):
    """A folder with the twins in base/ and a few pairs in data/splits/."""
    folder = tmp_path_factory.mktemp("workspace")
    tiny_models.write_splits(folder)
    for name in MODELS:
        tiny_models.build(name, folder / "base" / name, tokenizer, max_shard_size="100KB" if name == SHARDED else "5GB")
    return folder


@pytest.fixture(scope="module")
def restored(workspace):
    """Train and merge all twins; return for each the tensors that Axolotl's merge had changed without need."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(tiny_models.__file__)), *MODELS, WHOLE]
    done = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    names, original = {}, merge.restore

    def restore(merged, base, adapter):
        names[base.name] = original(merged, base, adapter)

    with contextlib.chdir(workspace), pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "restore", restore)
        for name in MODELS:
            folder = Path("outputs") / name
            merge.complete(folder / "merged", f"base/{name}", folder, Path(f"{folder}-merged"))
    return names


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def logits(model, tokenizer) -> torch.Tensor:
    """Return the logits (tokens, vocabulary) for one question and its answer."""
    records = {"name": "Ann Lee", "email": "ann@example.com"}, {"name": "Anne Lee", "phone": "555 0100"}
    ids = tokens.prompt_ids(tokenizer, *records) + tokens.answer_ids(tokenizer, '{"decision":"POSSIBLE","reasoning":"x"}')
    with torch.no_grad():
        return model.eval()(torch.tensor([ids])).logits[0].float()


@pytest.mark.parametrize("name", MODELS)
def test_training_reached_its_last_step_and_left_its_mark(restored, workspace, name):
    folder = workspace / "outputs" / name
    assert (folder / plugin.DONE).is_file()
    state = json.loads((folder / "checkpoint-3" / "trainer_state.json").read_text())
    assert state["global_step"] == 3
    assert [entry["step"] for entry in state["log_history"] if "eval_loss" in entry]
    assert all(entry["grad_norm"] > 0 for entry in state["log_history"] if "grad_norm" in entry)


@pytest.mark.parametrize("name", MODELS)
def test_the_merge_changes_what_was_trained_and_nothing_else(restored, workspace, name):
    base, merged = weights(workspace / "base" / name), weights(workspace / "outputs" / f"{name}-merged")
    assert base.keys() == merged.keys()
    changed = {key for key in base if not torch.equal(base[key], merged[key])}
    assert changed == {key for key in base if "_proj" in key}
    tied = tiny_models.TWINS[name][1]
    assert ("lm_head.weight" in base) is not tied
    # These are what Axolotl's merge alone would have rounded to 4 bits.
    assert sorted(restored[name]) == (["model.embed_tokens.weight"] if tied else ["lm_head.weight", "model.embed_tokens.weight"])


def test_a_model_in_several_files_is_merged_into_several_files(restored, workspace):
    files = {path.name for path in (workspace / "outputs" / f"{SHARDED}-merged").glob("*.safetensors")}
    index = json.loads((workspace / "outputs" / f"{SHARDED}-merged" / "model.safetensors.index.json").read_text())
    assert len(files) > 1 and files == set(index["weight_map"].values())


@pytest.mark.parametrize("name", MODELS)
def test_the_merged_model_answers_as_the_trained_adapter_did(restored, workspace, name):
    folder = workspace / "outputs" / f"{name}-merged"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    quantised = AutoModelForCausalLM.from_pretrained(workspace / "base" / name, quantization_config=NF4, dtype=torch.float32)
    before = logits(quantised, tokenizer)
    trained = logits(PeftModel.from_pretrained(quantised, workspace / "outputs" / name), tokenizer)
    merged = logits(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), tokenizer)
    learned, lost = (trained - before).norm(), (merged - trained).norm()
    assert learned > 0.05 * before.norm()
    assert lost < 0.01 * learned


def test_a_model_without_an_adapter_has_all_its_weights_trained_and_is_kept_in_bf16(restored, workspace):
    folder, target = workspace / "outputs" / WHOLE, workspace / "outputs" / "whole-merged"
    trained = AutoModelForCausalLM.from_pretrained(folder)
    assert {tensor.dtype for tensor in weights(folder).values()} == {torch.float32}, "small steps count"
    merge.adopt(folder, target)
    base, kept = weights(workspace / "base" / "qwen3-4b"), weights(target)
    assert base.keys() == kept.keys() and {tensor.dtype for tensor in kept.values()} == {torch.bfloat16}
    assert not any(torch.equal(base[key], kept[key]) for key in base if "proj" in key or "embed" in key)
    tokenizer = AutoTokenizer.from_pretrained(target)
    found = logits(AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32), tokenizer)
    expected = logits(trained, tokenizer)
    assert (found - expected).norm() < 0.01 * expected.norm()
    assert not (folder / "merged").exists() and (folder / "model.safetensors").is_file()


@pytest.mark.parametrize("name", MODELS)
def test_the_merged_model_is_asked_with_the_template_it_was_trained_with(restored, workspace, name):
    tokenizers = [AutoTokenizer.from_pretrained(workspace / "outputs" / folder) for folder in (name, f"{name}-merged")]
    texts = [tokenizer.apply_chat_template([{"role": "user", "content": "?"}], tokenize=False) for tokenizer in tokenizers]
    assert texts[0] == texts[1]
    assert ("<|start_header_id|>" in texts[0]) is (name == "llama32-3b")
    assert "Today Date" not in texts[0]


def gradients(model, ids) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.requires_grad}


def test_gradients_are_the_same_before_and_after_an_evaluation(workspace):
    base = AutoModelForCausalLM.from_pretrained(workspace / "base" / "llama32-3b", quantization_config=NF4, dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False))
    layers = [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert len(layers) == 14
    for layer in layers:
        layer.support_avx512bf16_for_cpu = True  # as on a CPU that has it
    plugin.keep_gradients(model)
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)
    ids = torch.arange(5, 69)[None]
    before = gradients(model.train(), ids)
    with torch.no_grad():
        model.eval()(input_ids=ids)
    after = gradients(model.train(), ids)
    assert all(gradient.abs().max() > 0 for gradient in before.values())
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient)

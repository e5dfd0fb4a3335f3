"""Around the training: what belongs to which run, what is known before it starts, and what an interruption looks like."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import httpx
import huggingface_hub
import pytest
import torch
import yaml
from axolotl.utils.dict import DictDefault
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair import probe, prompt
from crm_dedup_plugin.training import merge, plugin
from crm_dedup_plugin.training import train as run

CONFIGS = Path(__file__).parents[1] / "axolotl_configs"
SMALL, LARGE = "smollm2-135m", "qwen3-4b"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with the real configurations, splits of one line, and a base model without weights."""
    for name in run.QUIET:
        monkeypatch.setenv(name, run.QUIET[name])  # put back after the test: train() sets them for good
    monkeypatch.delenv("ACCELERATE_ARGS", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CONFIGS, "axolotl_configs")
    for split in ("train", "val"):
        path = Path(f"data/splits/{split}.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"input": {}}\n')
    Path("outputs/smollm2-135m-base").mkdir(parents=True)
    Path("outputs/smollm2-135m-base/SOURCE.json").write_text("{}")
    return tmp_path


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


class Launches(list):
    """Stands for the training process: notes each command, and writes what a run with this outcome writes."""

    def __init__(self, monkeypatch, code=0, finished=True):
        self.code, self.finished = code, finished
        monkeypatch.setattr(run.process, "run", self.launch)
        monkeypatch.setattr(merge, "merge", self.merge)
        monkeypatch.setattr(merge, "adopt", lambda output_dir, target: self.merge(None, None, output_dir, target, []))

    def launch(self, command, log, prefix):
        self.append(command)
        folder = Path(next((word.split("=")[1] for word in command if word.startswith("--output_dir=")), f"outputs/{SMALL}"))
        folder.mkdir(parents=True, exist_ok=True)
        if self.finished:
            (folder / plugin.DONE).write_text('{"seconds": 1.0, "machine": "a test"}')
        return self.code

    def merge(self, config, base_model, output_dir, target, overrides):
        self.merged_from = output_dir
        target.mkdir(parents=True, exist_ok=True)


def test_a_finished_run_is_merged_and_not_repeated(project, monkeypatch, capsys):
    launches = Launches(monkeypatch)
    target = run.train(SMALL, [])
    assert json.loads((target / run.MANIFEST).read_text())["base_model"] == "outputs/smollm2-135m-base"
    assert launches[0][-3:] == ["-m", "axolotl.cli.train", f"axolotl_configs/{SMALL}.yml"]
    run.train(SMALL, [])
    assert len(launches) == 1 and "up to date" in capsys.readouterr().out
    run.train(SMALL, ["--max_steps=5"])
    run.train(SMALL, ["--max_steps=5"], force=True)
    assert len(launches) == 3 and launches[2][-1] == "--max_steps=5"


@pytest.mark.parametrize(("code", "finished"), [(0, False), (1, False), (1, True)])
def test_an_interrupted_run_is_an_error_that_tells_how_to_go_on(project, monkeypatch, code, finished):
    folder = project / "outputs" / SMALL
    folder.mkdir()
    (folder / plugin.DONE).write_text("{}")  # of an earlier run: it must not vouch for this one
    Launches(monkeypatch, code, finished)
    with pytest.raises(UserError, match=r"stopped before its last step.*run the same command again to continue"):
        run.train(SMALL, [])
    assert not (project / f"outputs/{SMALL}-merged").exists()


def test_an_overridden_output_folder_is_where_the_adapter_is_looked_for(project, monkeypatch):
    launches = Launches(monkeypatch)
    run.train(SMALL, ["--output_dir=outputs/other"])
    assert launches.merged_from == Path("outputs/other")


def test_a_training_that_goes_on_has_learned_from_what_came_before_too(project, monkeypatch):
    Launches(monkeypatch)
    Path("outputs/first-merged").mkdir()
    Path("outputs/first-merged", run.MANIFEST).write_text(json.dumps({run.FAMILIES: ["oar"]}))
    Path("data/splits/train.jsonl").write_text('{"slice": "real_splink_fake1000", "input": {}}\n')
    target = run.train(SMALL, ["--lora_model_dir=outputs/first"], name="second")
    assert json.loads((target / run.MANIFEST).read_text())[run.FAMILIES] == ["oar", "splink"]


def test_the_adapter_that_was_trained_is_merged_not_the_one_that_it_began_with(project, monkeypatch):
    commands = []
    monkeypatch.setattr(merge.process, "run", lambda command, log: commands.append(command))
    monkeypatch.setattr(merge, "complete", lambda *where: None)
    merge.merge(Path("config.yml"), "base", Path("outputs/second"), Path("target"), ["--lora_model_dir=outputs/first"])
    assert commands[0][-2:] == ["--lora_model_dir=outputs/first", "--lora_model_dir=outputs/second"]  # the last one counts


def test_without_an_adapter_there_is_nothing_to_merge(project, monkeypatch):
    launches = Launches(monkeypatch)
    monkeypatch.setattr(merge, "merge", None)
    assert run.train(SMALL, ["--adapter=", "--load_in_4bit=false"], name="whole") == Path("outputs/whole-merged")
    assert launches.merged_from == Path("outputs/whole")


def test_a_run_with_a_name_leaves_other_runs_alone(project, monkeypatch):
    launches = Launches(monkeypatch)
    assert run.train(SMALL, [], name="demo/small") == Path("outputs/demo/small-merged")
    assert launches.merged_from == Path("outputs/demo/small") and launches[0][-1] == "--output_dir=outputs/demo/small"
    assert json.loads(Path("outputs/results/demo/small/training.json").read_text())["machine"] == "a test"
    assert not Path(f"outputs/{SMALL}-merged").exists()


def test_a_configuration_may_stand_anywhere(project, monkeypatch):
    launches = Launches(monkeypatch)
    shutil.move(f"axolotl_configs/{SMALL}.yml", "mine.yml")
    assert run.train("mine.yml", ["--output_dir=outputs/other"]) == Path("outputs/mine-merged")
    assert "mine.yml" in launches[0]


@pytest.mark.parametrize("option", ["--max_steps", "max_steps=5", "5"])
def test_an_option_in_another_form_is_an_error(project, option):
    with pytest.raises(UserError, match="--key=value"):
        run.train(SMALL, [option])


def test_an_unknown_model_lists_the_known_ones(project):
    with pytest.raises(UserError, match="llama32-3b, mistral7b, phi4mini, qwen3-4b, smollm2-135m"):
        run.train("gpt5", [])


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_split_names_the_command_that_makes_it(project, split):
    Path(f"data/splits/{split}.jsonl").unlink()
    with pytest.raises(UserError, match=f"{split}.jsonl does not exist: run `crm-dedup prepare`"):
        run.train(LARGE, [])


def test_a_large_model_needs_a_gpu(project, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="needs an NVIDIA GPU"):
        run.train(LARGE, [])
    with pytest.raises(UserError, match="needs an NVIDIA GPU"):
        run.train(SMALL, ["--crm_dedup_cpu=false"])


def hub_error(kind):
    return kind("no", response=httpx.Response(403, request=httpx.Request("GET", "https://hub.example")))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (hub_error(GatedRepoError), r"is gated: accept its licence .* `hf auth login`"),
        (hub_error(RepositoryNotFoundError), "is not on the Hub, or this account may not see it"),
        (ConnectionError("down"), "the Hub cannot be reached"),
    ],
)
def test_what_the_hub_refuses_is_known_before_any_download(project, gpu, monkeypatch, error, message):
    class Api:
        def auth_check(self, name):
            assert name == "Qwen/Qwen3-4B-Instruct-2507"
            raise error

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    with pytest.raises(UserError, match=message):
        run.train(LARGE, [])


def test_a_base_model_that_was_never_fetched_is_an_error(project):
    with pytest.raises(UserError, match="crm-dedup fetch"):
        run.train(SMALL, ["--base_model=outputs/none"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--bogus=1", "bogus is a key of neither Axolotl nor its plugins"),
        ("--learning_rat=1", "learning_rat is .* did you mean learning_rate"),
        ("--crm_dedup_flx=true", "crm_dedup_flx is .* did you mean crm_dedup_flex"),
        ("--fsdp_config__state_dict_tipe=x", r"fsdp_config\.state_dict_tipe is .* did you mean state_dict_type"),
        ("--bogus", "--bogus is not understood: write"),
    ],
)
def test_an_unknown_option_is_refused_before_the_base_model_is_fetched(project, monkeypatch, option, message):
    monkeypatch.setattr(run.base_model, "fetch", lambda: pytest.fail("fetched too early"))
    with pytest.raises(UserError, match=message):
        run.train(SMALL, [option])


def test_an_error_shows_the_end_of_the_log_and_the_cure(project, monkeypatch):
    def fail(command, log, prefix):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("\n".join(f"line {number}" for number in range(99)) + "\ntorch.OutOfMemoryError: CUDA out of memory\n")
        return 1

    monkeypatch.setattr(run.process, "run", fail)
    with pytest.raises(UserError) as error:
        run.train(SMALL, [])
    assert "give a smaller --micro_batch_size" in str(error.value) and f"outputs/{SMALL}/train.log" in str(error.value)
    assert "line 98" in str(error.value) and "line 50" not in str(error.value)


def test_progress_is_a_few_lines(capsys):
    progress, state = plugin.Progress(), SimpleNamespace(global_step=20, max_steps=120, is_world_process_zero=True)
    progress.on_train_begin(None, state, None)
    for state.global_step in range(25, 125, 5):
        progress.on_log(None, state, None, logs={"loss": 0.5})
    progress.on_log(None, state, None, logs={"train_loss": 0.4})
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines[0] == "training: continuing after step 20 of 120" and 5 <= len(lines) <= 11
    assert lines[-1].startswith("training: step 1") and lines[-1].endswith("left") and "loss 0.5000" in lines[-1]


def test_half_a_checkpoint_is_removed(tmp_path):
    plugin.claim(tmp_path, "first")
    for name in ("checkpoint-5", "checkpoint-10"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-5" / "trainer_state.json").touch()
    plugin.claim(tmp_path, "first")
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-5"]


def test_a_full_disk_is_known_before_any_download(project, gpu, monkeypatch):
    file = SimpleNamespace(rfilename="model.safetensors", size=8 * 2**30)
    info = SimpleNamespace(siblings=[file, SimpleNamespace(rfilename="README.md", size=None)])
    api = SimpleNamespace(auth_check=lambda name: None, model_info=lambda name, files_metadata: info)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2 * 2**30))
    with pytest.raises(UserError, match=r"2.0 GiB of disk are free and qwen3-4b needs about 18.6"):
        run.train(LARGE, [])


@pytest.fixture
def settings(project):
    return yaml.safe_load(Path(f"axolotl_configs/{LARGE}.yml").read_text())


def test_the_fingerprint_follows_data_settings_and_prompt(settings, monkeypatch):
    keys = [plugin.fingerprint(settings)]
    Path("data/splits/train.jsonl").write_text('{"input": {"a": 1}}\n')
    keys.append(plugin.fingerprint(settings))
    Path("data/splits/val.jsonl").write_text('{"input": {"a": 1}}\n')
    keys.append(plugin.fingerprint(settings))
    keys.append(plugin.fingerprint({**settings, "lora_r": settings["lora_r"] + 1}))
    monkeypatch.setattr(prompt, "SHARED_PREFIX", prompt.SHARED_PREFIX.replace("data steward", "clerk"))
    probe.fingerprint.cache_clear()
    keys.append(plugin.fingerprint(settings))
    assert len(set(keys)) == len(keys)
    probe.fingerprint.cache_clear()


def test_the_fingerprint_follows_nothing_else(settings, monkeypatch):
    key = plugin.fingerprint(settings)
    monkeypatch.setattr(prompt, "__file__", "/a/file/with/a/corrected/docstring.py")
    probe.fingerprint.cache_clear()
    Path("data/splits/train.jsonl").touch()
    Path("data/splits/test.jsonl").write_text("x")
    same = dict(reversed(settings.items())) | {"axolotl_config_path": "/elsewhere.yml", "dataset_prepared_path": "elsewhere"}
    assert plugin.fingerprint(same) == key
    plugin.CrmDedupPlugin().register(same)
    assert same["dataset_prepared_path"] == f"elsewhere/{key}"


def test_a_run_keeps_its_own_checkpoints_and_removes_those_of_another(tmp_path):
    home = tmp_path / "model"
    plugin.claim(home, "first")
    (home / "checkpoint-25").mkdir()
    (home / "checkpoint-25" / "trainer_state.json").touch()
    (home / "merged").mkdir()
    for name in ("adapter_model.safetensors", plugin.DONE, "notes.txt"):
        (home / name).write_text("x")
    plugin.claim(home, "first")
    assert {path.name for path in home.iterdir()} >= {"checkpoint-25", "merged", "adapter_model.safetensors", plugin.DONE}
    plugin.claim(home, "second")
    assert {path.name for path in home.iterdir()} == {"notes.txt", plugin.STARTED}
    plugin.claim(home, "second")
    assert json.loads((home / plugin.STARTED).read_text()) == {"fingerprint": "second"}


def test_checkpoints_of_unknown_origin_are_removed(tmp_path):
    (tmp_path / "checkpoint-25").mkdir()
    plugin.claim(tmp_path, "first")
    assert not (tmp_path / "checkpoint-25").exists()


@pytest.mark.parametrize("own", [None, {"even_batches": False}])
def test_on_a_gpu_no_step_waits_for_copies_or_looks_at_the_loss(gpu, own):
    chosen = plugin.CrmDedupPlugin().get_training_args(DictDefault(accelerator_config=own))
    assert chosen["logging_nan_inf_filter"] is False and chosen["accelerator_config"].non_blocking is True
    assert chosen["accelerator_config"].even_batches is (own is None), "what the configuration says stays"


@pytest.mark.parametrize(("asked", "processes", "expected"), [(8, 1, 2), (8, 2, 1), (1, 1, 1), (0, 1, None), (None, 1, None)])
def test_there_are_never_more_loaders_than_cores(monkeypatch, asked, processes, expected):
    monkeypatch.setattr(plugin.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert plugin.CrmDedupPlugin().get_training_args(DictDefault(dataloader_num_workers=asked)).get("dataloader_num_workers") == expected


def test_of_several_processes_only_the_first_marks_the_run_as_complete(tmp_path, monkeypatch):
    glue, cfg = plugin.CrmDedupPlugin(), DictDefault(output_dir=str(tmp_path), dataset_prepared_path="prepared/key")
    glue.began = 0.0
    monkeypatch.setenv("RANK", "1")
    glue.post_train(cfg, None)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("RANK", "0")
    glue.post_train(cfg, None)
    assert json.loads((tmp_path / plugin.DONE).read_text())["fingerprint"] == "key"


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_without_a_gpu_amx_is_used_where_it_is_there_and_wanted(wanted, there, monkeypatch):
    monkeypatch.setattr(plugin.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(plugin.torch.cpu, "get_capabilities", lambda: {"amx_tile": there})
    chosen = plugin.CrmDedupPlugin().get_training_args(DictDefault(crm_dedup_amx=wanted))
    assert chosen["use_cpu"] and chosen["bf16"] is (wanted and there)

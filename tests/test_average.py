"""The mean of trained models: every weight is the mean, all else is the first one's, and what cannot be averaged is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from crm_dedup_plugin import cli
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.provenance import FAMILIES, MANIFEST
from crm_dedup_plugin.provenance import families as families_of
from crm_dedup_plugin.training.average import average


def trained(name: str, tensors: dict[str, torch.Tensor], base: str = "outputs/base") -> Path:
    folder = Path(f"outputs/{name}-merged")
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"of": name}))
    (folder / "crm_dedup.json").write_text(json.dumps({"fingerprint": name, "base_model": base, "seconds": 10.5, "machine": "a test"}))
    return folder


def weights(seed: int, rows: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"a.weight": torch.randn(rows, 3, generator=generator).bfloat16(), "b.weight": torch.randn(5, generator=generator)}


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_weight_is_the_mean_and_all_else_the_first_ones(capsys):
    parts = [weights(seed) for seed in range(3)]
    for number, part in enumerate(parts):
        trained(f"m{number}", part)
    assert cli.main(["average", "mean", "m0", "m1", "m2"]) == 0
    assert capsys.readouterr().out == "averaged model: outputs/mean-merged\n"
    found = load_file("outputs/mean-merged/model.safetensors")
    for key, value in found.items():
        exact = torch.stack([part[key].double() for part in parts]).mean(0)
        assert value.dtype == parts[0][key].dtype
        torch.testing.assert_close(value.double(), exact, rtol=0.005, atol=0.002)
    assert json.loads(Path("outputs/mean-merged/config.json").read_text()) == {"of": "m0"}
    history = json.loads(Path("outputs/results/mean/training.json").read_text())
    assert history == json.loads(Path("outputs/mean-merged/crm_dedup.json").read_text())
    assert history["seconds"] == 31.5 and list(history["averaged"]) == ["m0", "m1", "m2"]


def test_a_mean_has_learned_from_all_that_its_parents_have():
    for name, families in (("m0", ["oar", "splink"]), ("m1", ["chicago", "oar"]), ("m2", [])):
        manifest = trained(name, weights(0)) / MANIFEST
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), FAMILIES: families}))
    assert families_of(str(average("mean", ["m0", "m1", "m2"]))) == ["chicago", "oar", "splink"]


def test_a_mean_takes_the_place_of_an_older_one():
    trained("m0", weights(0)), trained("m1", weights(1))
    (trained("mean", weights(2)) / "stale.txt").write_text("old")
    average("mean", ["m0", "m1"])
    assert sorted(path.name for path in Path("outputs/mean-merged").iterdir()) == ["config.json", "crm_dedup.json", "model.safetensors"]
    assert not [path for path in Path("outputs").iterdir() if "part" in path.name or "old" in path.name]


@pytest.mark.parametrize(
    ("name", "parents", "message"),
    [
        ("mean", ["m0"], "at least two other models"),
        ("mean", ["m0", "m0"], "at least two other models"),
        ("m0", ["m0", "m1"], "at least two other models"),
        ("mean", ["m0", "nobody"], "outputs/nobody-merged is no trained model: run `crm-dedup train MODEL --name nobody`"),
        ("mean", ["m0", "stranger"], "were trained from different models"),
        ("mean", ["m0", "larger"], "does not hold the same tensors"),
        ("mean", ["m0", "other"], "does not hold the same tensors"),
    ],
)
def test_what_cannot_be_averaged_is_refused_and_nothing_is_written(name, parents, message):
    trained("m0", weights(0)), trained("m1", weights(1)), trained("stranger", weights(2), base="outputs/elsewhere")
    trained("larger", weights(3, rows=1)), trained("other", {"c.weight": torch.zeros(2)})
    before = load_file("outputs/m0-merged/model.safetensors")
    with pytest.raises(UserError, match=message):
        average(name, parents)
    assert not list(Path("outputs").glob("*mean*")) and not Path("outputs/results").exists()
    assert torch.equal(load_file("outputs/m0-merged/model.safetensors")["a.weight"], before["a.weight"])

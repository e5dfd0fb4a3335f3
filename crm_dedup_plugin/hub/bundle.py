"""The folders that are uploaded, byte for byte: ``outputs/NAME-hub/`` and ``outputs/NAME-hub-dataset/``.

Only files that `MODEL` and `RESULTS` name are included. Weights are hard links if the file system allows it, and take no space then.
"""

from __future__ import annotations

import fnmatch
import shutil
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from crm_dedup_plugin.errors import UserError, advise
from crm_dedup_plugin.hub import card, generated_pairs, licences, privacy
from crm_dedup_plugin.provenance import digest, model_digest
from crm_dedup_plugin.storage import link_or_copy, read_json, results_of, whole_folder

WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors")
SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja")
VOCABULARY = ("model.safetensors.index.json", "tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt")
MODEL = (*WEIGHTS, *SETTINGS, *VOCABULARY)
RESULTS = ("metrics.json", "training.json", "benchmark.json", "latency.csv", "*.png")
EVALUATION = ".eval_results/crm-dedup.yaml"
# Files of an earlier upload that this one would not overwrite, such as older shards and results: they are deleted.
REPLACED = {"model": ["model*.safetensors", "model.safetensors.index.json", "results/*", EVALUATION], "dataset": None}


class Bundle(NamedTuple):
    """A folder and the repository that it becomes; `kind` is "model" or "dataset"."""

    kind: str
    repo: str
    folder: Path

    def files(self) -> dict[str, int]:
        """Return the size of each file in bytes, by its path in the repository."""
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in sorted(self.folder.rglob("*")) if path.is_file()}


def model(name: str, repo: str, base: str, licence: licences.Licence, dataset: str | None) -> Bundle:
    """Write the bundle of ``outputs/NAME-merged`` for `repo`; raises UserError if it must not be published."""
    merged, results = Path(f"outputs/{name}-merged"), results_of(name)
    metrics = _metrics(name, merged, results)
    texts, documents = licences.documents(base, licence, repo)
    files = {**documents, **{path.name: path for path in _matching(merged, MODEL)}}
    files |= {f"results/{path.name}": path for path in _matching(results, RESULTS)}
    training, benchmark, source = read_json(results / "training.json"), read_json(results / "benchmark.json"), read_json(merged / "SOURCE.json")
    pairs = generated_pairs.read()
    if not training or not pairs or pairs.summary["splits"]["train"]["sha256"] != training.get("train_sha256"):
        pairs = None
    facts = card.Facts(name, repo, base, licence, metrics, training, benchmark, source, pairs, dataset)
    texts["README.md"] = card.model(facts, {path.name: digest([path]) for path in _matching(merged, WEIGHTS)}, sorted(files))
    if dataset:  # the Hub shows such results only of data sets that it has
        texts[EVALUATION] = card.evaluation(facts)
    private = {name: _text(path) for name, path in files.items() if name.startswith("results/") and path.suffix != ".png"}
    settings = {path.name: _text(path) for path in _matching(merged, SETTINGS)}
    public = {name: text for name, text in texts.items() if name != "NOTICE"}
    privacy.check(private | public, settings, generated_pairs.FOLDER / "test.jsonl", repo, card.words())
    return Bundle("model", repo, write(Path(f"outputs/{name}-hub"), texts, files))


def dataset(name: str, repo: str, model_repo: str) -> Bundle:
    """Write the bundle of the generated pairs for `repo`; raises UserError if the pairs may be of real people."""
    known = generated_pairs.require_generated()
    files = {f"{split}.jsonl": generated_pairs.FOLDER / f"{split}.jsonl" for split in generated_pairs.SPLITS}
    text = card.dataset(known, repo, model_repo)
    # Generated records are full of invented addresses and numbers, so they are searched only for traces of this machine.
    privacy.check({"README.md": text}, {name: _text(path) for name, path in files.items()}, None, repo)
    return Bundle("dataset", repo, write(Path(f"outputs/{name}-hub-dataset"), {"README.md": text}, files))


def _metrics(name: str, merged: Path, results: Path) -> dict:
    """Return the metrics of the merged model; raises UserError if they belong to another model, or if the model is not merged."""
    if not (merged / "config.json").is_file() or not _matching(merged, WEIGHTS):
        raise UserError(f"{merged} holds no merged model in safetensors: run {advise('train', name)} first")
    if (merged / "adapter_config.json").exists():
        raise UserError(f"{merged} holds an adapter that is not merged: run {advise('train', name)}, which merges it")
    _check_weights(merged)
    metrics, again = read_json(results / "metrics.json"), f"run {advise('kpi', name)} again"
    if metrics is None:
        raise UserError(f"{results / 'metrics.json'} does not exist: a model is published with its results: run {advise('kpi', name)} first")
    if metrics.get("valid_json") is None or not metrics.get("macro_f1"):
        raise UserError(f"{results / 'metrics.json'} does not say how many answers were valid: {again}")
    sha256, test = model_digest(str(merged)), generated_pairs.FOLDER / "test.jsonl"
    if metrics.get("inputs", {}).get("model_sha256") != sha256:
        raise UserError(f"{results / 'metrics.json'} was measured on another model than {merged}: {again}")
    if test.is_file() and digest([test]) != metrics["inputs"].get("data_sha256"):
        raise UserError(f"{results / 'metrics.json'} was measured on other pairs than {test}: {again}")
    benchmark = read_json(results / "benchmark.json")
    if benchmark and (benchmark.get("inputs") or {}).get("model_sha256") != sha256:
        raise UserError(f"{results / 'benchmark.json'} was measured on another model than {merged}: run {advise('bench', name)} again, or delete it")
    manifest = merged / "crm_dedup.json"
    if manifest.is_file() and read_json(manifest) != read_json(results / "training.json"):
        raise UserError(f"{results / 'training.json'} is not of the training that made {merged}: run {advise('train', name)} again")
    return metrics


def _check_weights(merged: Path) -> None:
    """Raise UserError if a file of weights is broken or missing, or holds something else."""
    from safetensors import SafetensorError, safe_open

    for path in _matching(merged, WEIGHTS):
        try:
            with safe_open(path, "numpy"):
                pass
        except (SafetensorError, OSError, ValueError):
            raise UserError(f"{path} is not a file of safetensors, or not a whole one: delete {merged} and merge again") from None
    index = read_json(merged / "model.safetensors.index.json")
    missing = sorted({shard for shard in (index or {}).get("weight_map", {}).values() if not (merged / Path(shard).name).is_file()})
    if missing:
        raise UserError(f"{merged} lacks {', '.join(missing)}, which its index names: delete it and merge again")


def write(folder: Path, texts: dict[str, str], files: dict[str, Path]) -> Path:
    """Replace `folder` by one with `texts` and with links to, or copies of, `files`, whole or not at all; return it."""
    strange = [path for path in folder.rglob("*") if path.is_file() and not _expected(path.relative_to(folder).as_posix())]
    if strange or folder.is_symlink():
        raise UserError(
            f"{folder} holds other files, as {strange[0].name if strange else 'a link'}: it is where a push is put together, so move it away"
        )
    with whole_folder(folder) as partial:
        for name in (*files, *texts):
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
        for name, source in files.items():  # people may edit a card or a setting in the bundle, but not weights
            (link_or_copy if source.suffix == ".safetensors" else shutil.copyfile)(source.resolve(), partial / name)
        for name, text in texts.items():
            (partial / name).write_bytes(text.encode())
    return folder


def _matching(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.is_file() and any(fnmatch.fnmatchcase(path.name, one) for one in patterns)]


def _expected(name: str) -> bool:
    """Tell whether a bundle may hold a file at this path."""
    own = (*MODEL, *(f"results/{one}" for one in RESULTS), *(f"{split}.jsonl" for split in generated_pairs.SPLITS))
    rest = ("README.md", "NOTICE", EVALUATION, *licences.DOCUMENTS)
    return any(PurePosixPath(f"/{name}").match(f"/{one}") for one in (*own, *rest))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")

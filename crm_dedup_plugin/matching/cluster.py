"""Decide on a Ray cluster: one copy of the model an accelerator, and shards of pairs for whichever is free.

Ray Data places the copies, deals out the shards, and deals them out again where a node dies. Each node needs the same environment
(`make setup`), and is started from it (``.venv/bin/ray start``). A node that does not have the model gets it once.
"""

import contextlib
import fcntl
import functools
import json
import math
import pickle
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import devices, nodes
from crm_dedup_plugin.inference.engine import Pair
from crm_dedup_plugin.inference.nodes import LOCAL
from crm_dedup_plugin.matching.matcher import AUTO, GPU_SHARD, SHARD, TRANSFORMERS, Answered, Matcher, normalised
from crm_dedup_plugin.pair import probe
from crm_dedup_plugin.pair.record import Record, to_json
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.storage import whole_folder

if TYPE_CHECKING:
    import pyarrow
    import ray

CORES = 2  # of a node without a GPU, for each copy of the model: more make one pair hardly faster
FEW = 256  # pairs that are asked about here, sooner than a copy of the model is loaded on a node
LOCAL_FEW = 1_000_000  # pairs that one GPU of this machine decides, sooner than Ray has started and loaded a copy of the model on each
HEAD = "node:__internal_head__"  # a resource of the head node, by which Ray tells it from the others
MODELS = Path.home() / ".cache" / "crm-dedup" / "models"  # on a node, those that were sent to it


class ClusterMatcher(Matcher):
    """A `Matcher` whose `each` is the work of a Ray cluster. Up to `few` pairs are asked about on this machine.

    `address` is what Ray connects to: "ray://HOST:10001" from any machine, "HOST:6379" or "auto" from a node of the cluster, "local" for this
    machine alone. `engines` is the least number of copies of the model; each GPU gets one in any case. Raises UserError where no cluster is.
    """

    def __init__(self, address: str, model: str, backend: str = AUTO, engines: int = 1, options: dict | None = None, few: int = FEW):
        super().__init__(model, backend, options=options)
        self.address, self._engines, self.few = address, engines, few
        if address != LOCAL:
            _ = self._copies  # connects before the work starts

    @functools.cached_property
    def _nodes(self) -> list[dict[str, float]]:
        """The resources of each node; this connects to the cluster."""
        import ray

        found = nodes.connect(self.address)
        self._opened.callback(ray.shutdown)
        return found

    @functools.cached_property
    def _gpus(self) -> int:
        return len(devices.visible_gpus()) if self.address == LOCAL else nodes.gpus_of(self._nodes)

    @functools.cached_property
    def _copies(self) -> tuple[dict[str, float], int, dict]:
        """What a copy of the model takes of a node, how many copies there are, and the arguments of vLLM's engine for each."""
        try:
            return self._places(self._nodes)
        except UserError:
            self.close()
            raise

    @property
    def shard(self) -> int:
        """How many pairs a node is given at once."""
        return GPU_SHARD if self._gpus else SHARD

    def each(self, shards: Iterable[Sequence[Pair]], explain: str | None = None, count: int | None = None) -> Iterator[Answered]:
        """Yield what `Matcher.each` does, as it is ready; unless they are few, the shards are all read first."""
        if count is not None and count <= self.few:
            yield from super().each(shards, explain)
            return
        records, parts = _packed(shards)
        if count is None and sum(map(len, parts)) <= 2 * self.few:
            yield from super().each((_pairs(records, part) for part in parts), explain)
            return
        yield from ((at, []) for at, part in enumerate(parts) if not part)
        with _explained():
            yield from self._told(records, parts, explain)

    def _told(self, records: "pyarrow.Array", parts: Sequence[list[int]], explain: str | None) -> Iterator[Answered]:
        import pyarrow as pa
        import ray

        needs, copies, options = self._copies
        backend = TRANSFORMERS if self.backend == AUTO and not self._gpus else self.backend
        known = {"model": send(self.model), "matcher": (backend, 1, options), "records": ray.put(records), "explain": explain, "expected": _facts()}
        shards = [pa.table({"shard": [at], "places": [part]}) for at, part in enumerate(parts) if part]
        work = ray.remote(num_cpus=0, resources={HEAD: 0.001})(_Work).remote(ray.put(shards), known, needs, copies)
        try:
            while row := ray.get(work.next.remote()):
                yield row["shard"], pickle.loads(row["answers"])
        finally:
            ray.kill(work)

    def _places(self, found: Sequence[dict[str, float]]) -> tuple[dict[str, float], int, dict]:
        options = self.options or {}
        if not self._gpus:
            each = min(CORES, *(int(node["CPU"]) for node in found if node.get("CPU")))
            return {"num_cpus": each}, sum(int(node.get("CPU", 0)) // each for node in found), options
        each = devices.gpus_per_engine(options)
        copies = max(self._engines, self._gpus // each, 1)
        together = math.ceil(copies * each / self._gpus)
        if together > 1 and "kv_cache_memory_bytes" not in options:
            cure = "say how much cache each may take, as in --engine kv_cache_memory_bytes=8000000000"
            raise UserError(f"--engines {copies} starts {together} on each GPU at the same time: {cure}")
        share = devices.memory(copies * each, options, range(self._gpus))["gpu_memory_utilization"]
        return {"num_gpus": each / together}, copies, options | ({"gpu_memory_utilization": share} if together > 1 else {})


class _Work:
    """The shards, dealt out to copies of the model. It is on the head node, because Ray Data works from inside a cluster only."""

    def __init__(self, shards: list["pyarrow.Table"], known: dict, needs: dict[str, float], copies: int):
        import ray.data

        ray.data.DataContext.get_current().enable_progress_bars = False
        pool = ray.data.ActorPoolStrategy(min_size=1, max_size=copies, initial_size=min(copies, len(shards)), max_tasks_in_flight_per_actor=2)
        self._rows = iter(ray.data.from_arrow(shards).map(_Copy, fn_constructor_kwargs=known, compute=pool, **needs).iter_rows())

    def next(self) -> dict | None:
        """Return a shard that is done, or None after the last."""
        return next(self._rows, None)


class _Copy:
    """A copy of the model on a node."""

    def __init__(self, model: dict, records: "ray.ObjectRef", matcher: tuple, explain: str | None, expected: dict[str, str]):
        import ray

        if different := {name for name, value in _facts().items() if value != expected[name]}:
            raise UserError(f"the node {ray.util.get_node_ip_address()} has other versions of {', '.join(sorted(different))}: run `make setup` there")
        self.matcher, self.records, self.explain = Matcher(receive(**model), *matcher), ray.get(records), explain

    def __call__(self, shard: dict) -> dict:
        ((_, told),) = self.matcher.each([_pairs(self.records, shard["places"])], self.explain)
        return {"shard": shard["shard"], "answers": pickle.dumps(told)}


def _packed(shards: Iterable[Sequence[Pair]]) -> tuple["pyarrow.Array", list[list[int]]]:
    """Return the records of all pairs, each once, and for each shard the places of its records: those of a pair follow each other."""
    import pyarrow as pa

    places = {}
    parts = [[places.setdefault(to_json(normalised(record)), len(places)) for pair in shard for record in pair] for shard in shards]
    return pa.array(places, pa.large_string()), parts


def _pairs(records: "pyarrow.Array", places: Sequence[int]) -> list[Pair]:
    found = {at: Record(json.loads(records[at].as_py())) for at in set(places)}
    return [(found[a], found[b]) for a, b in zip(places[::2], places[1::2], strict=True)]


def _facts() -> dict[str, str]:
    """Return what must be the same on all nodes; builds of one version for different accelerators are the same."""
    return {"crm-dedup-plugin": probe.fingerprint()} | {name: version.partition("+")[0] for name, version in versions().items()}


def send(model: str) -> dict:
    """Return what `receive` needs of a model; of one on the Hub that is its name."""
    import ray

    if not Path(model).is_dir():
        return {"path": model, "files": {}, "sha256": ""}
    paths = sorted(path for path in Path(model).resolve().iterdir() if path.is_file())
    return {"path": str(paths[0].parent), "files": {path.name: ray.put(path.read_bytes()) for path in paths}, "sha256": digest(paths)}


def receive(path: str, files: dict, sha256: str) -> str:
    """Return the model's folder on this node: the same path where it holds the same files, else a copy, which is made once."""
    import ray

    def is_it(folder: Path) -> bool:
        return all((folder / name).is_file() for name in files) and digest(folder / name for name in sorted(files)) == sha256

    if not files or is_it(Path(path)):
        return path
    target = MODELS / sha256
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_it(target):
            with whole_folder(target) as partial:
                for name, content in files.items():
                    (partial / name).write_bytes(ray.get(content))
    return str(target)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Raise what went wrong on the cluster as a UserError."""
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        said = re.findall(r"UserError: (.*)", str(error))
        raise UserError(said[-1] if said else f"the cluster failed ({type(error).__name__}): see the logs of its nodes, in /tmp/ray") from error

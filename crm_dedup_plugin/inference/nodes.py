"""The nodes of a Ray cluster."""

import os
import socket
from collections.abc import Mapping, Sequence

from crm_dedup_plugin.errors import UserError

LOCAL = "local"  # the address of a cluster of this machine alone, which Ray starts and ends with the command
NO_REPORTS = {"RAY_USAGE_STATS_ENABLED": "0"}  # to Ray's makers, from here or from a node
PASSED = ("OMP_WAIT_POLICY", "CRM_DEDUP_PRECISION", "HF_HUB_OFFLINE", "HF_TOKEN")  # variables that hold on the nodes too
TRIES = 3  # to connect through Ray's client


def connect(address: str) -> list[dict[str, float]]:
    """Connect to a cluster; returns the resources of each of its nodes. Raises UserError where none answers."""
    import ray

    os.environ |= NO_REPORTS
    if ray.is_initialized():
        raise UserError(f"--cluster {address}: this process is in a Ray cluster already: leave it first, with ray.shutdown()")
    try:
        if ":" in address:  # at once, where Ray tries for half a minute
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        _join(address)
    except (OSError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())[-200:]
        start = "start one with `.venv/bin/ray start --head`, and name it as ray://HOST:10001"
        cure = "choose one GPU with CUDA_VISIBLE_DEVICES=0" if address == LOCAL else start
        raise UserError(f"--cluster {address}: no Ray cluster answers ({type(error).__name__}: {why}): {cure}") from error
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def gpus_of(found: Sequence[Mapping[str, float]]) -> int:
    """Return how many GPUs nodes of these resources have."""
    return sum(int(node.get("GPU", 0)) for node in found)


def gpus(address: str) -> int:
    """Return how many GPUs a cluster has; raises UserError where it has none, or does not answer."""
    import ray

    try:
        found = gpus_of(connect(address))
    finally:
        ray.shutdown()
    if not found:
        raise UserError(f"--cluster {address}: its nodes have no GPU, and each copy of the model takes one: leave the option out")
    return found


def _join(address: str) -> None:
    """Connect, again where the process that the head forks for a client dies at once, which is a race; leave no half of a connection."""
    import ray

    variables = NO_REPORTS | {name: os.environ[name] for name in PASSED if name in os.environ}
    for attempt in range(1, TRIES + 1):
        try:
            ray.init(address, log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": variables})
            return
        except Exception as error:
            ray.shutdown()  # or this process could not connect to another cluster either
            if attempt == TRIES or not isinstance(error, ConnectionAbortedError):
                raise

"""A crew of Ray actors, on this machine or on many that see the same files.

Every machine needs hdcodec, and the folders under the same paths. Paths go in and rows come back;
pictures are read and written where the actor runs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from hdcodec._errors import DeviceError, HdcError, describe
from hdcodec.batch.cores import Layout
from hdcodec.batch.rows import Item
from hdcodec.batch.schedule import Death, Outcome
from hdcodec.batch.work import Job, Worker
from hdcodec.models.devices import usable_cores

PATIENCE = 5.0
"""Seconds that a cluster's address gets to answer."""


class RayCrew:
    """One actor for each GPU of the cluster, or for each core if it has none.

    device: "auto", "cpu" or "cuda". workers: at most so many. address: of a running cluster; else
    one that runs on this machine is used, or one is started for this run. Raises HdcError.
    """

    def __init__(
        self, job: Job, device: str, workers: int | None, address: str | None, files: int
    ) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise DeviceError(f"Ray hands out the GPUs: use auto, cpu or cuda, not {device!r}")
        import ray
        from ray import exceptions

        self.ray, self.job = ray, job
        self.deaths = (
            exceptions.RayActorError,
            exceptions.WorkerCrashedError,
            exceptions.OutOfMemoryError,
        )
        self.actors: dict[int, Any] = {}
        self.pending: dict[Any, int] = {}
        self._connect(address, workers)
        resources = ray.cluster_resources()
        self.device = self._device(device, resources)
        places = int(resources.get("GPU" if self.device == "cuda" else "CPU", 0))
        self.size = max(1, min(workers or places, places, files))

    def _connect(self, address: str | None, workers: int | None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if address:
            _knock(address)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        try:
            self.ray.init(address=address or "auto", **quiet)
        except self.ray.exceptions.RayError as error:
            raise HdcError(f"Ray: {describe(error)}") from error
        except ConnectionError as error:
            if address:
                raise HdcError(
                    f"the Ray cluster at {address} takes no connection: {error}; if it wants a "
                    "token, set RAY_AUTH_MODE=token"
                ) from error
            self.ray.init(num_cpus=workers or usable_cores(), include_dashboard=False, **quiet)

    def _device(self, device: str, resources: dict[str, float]) -> str:
        has_gpu = resources.get("GPU", 0) >= 1
        if device == "cuda" and not has_gpu:
            raise DeviceError("the Ray cluster has no GPU")
        return "cuda" if has_gpu and device != "cpu" else "cpu"

    def hire(self, slot: int) -> None:
        """Ask the cluster for an actor; it starts when there is a place for it."""
        environment = Layout((self.device,), threads=1).environment
        remote = self.ray.remote(Worker).options(
            num_cpus=1,
            num_gpus=1 if self.device == "cuda" else 0,
            max_restarts=0,
            runtime_env={"env_vars": environment},
        )
        self.actors[slot] = remote.remote(self.job, self.device)

    def give(self, slot: int, item: Item) -> None:
        """Call a free actor with an item."""
        self.pending[self.actors[slot].__call__.remote(item)] = slot

    def outcomes(self) -> Sequence[tuple[int, Outcome]]:
        """Wait for a row, a fault or a death."""
        ready, _ = self.ray.wait(list(self.pending), num_returns=1)
        return [(self.pending.pop(reference), self._outcome(reference)) for reference in ready]

    def _outcome(self, reference: Any) -> Outcome:
        try:
            outcome: Outcome = self.ray.get(reference)
            return outcome
        except self.deaths as error:
            return Death(str(error).splitlines()[0])
        except self.ray.exceptions.RayError as error:
            raise HdcError(f"Ray: {describe(error)}") from error

    def close(self) -> None:
        """End all actors and leave the cluster; one that was started for this run ends."""
        for actor in self.actors.values():
            self.ray.kill(actor)
        self.actors.clear()
        self.ray.shutdown()


def _knock(address: str) -> None:
    """Raise an HdcError if nobody listens at host:port, for which Ray itself waits many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except OSError as error:
        raise HdcError(f"no Ray cluster answers at {address}: {error.strerror or error}") from error

"""Brings a fleet up on a Ray cluster and takes it down: connects, counts what is there, starts the actors."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import ray

from tritonrl_core.errors import UsageError
from tritonrl_core.types import Bench, BenchRoom, BenchSpec
from tritonrl_plugin_ray.actors import NAMESPACE, RayPlace, places, start
from tritonrl_plugin_ray.options import RayOptions
from tritonrl_plugin_ray.shape import Node, Shape, of_one_kind, shape_of

log = logging.getLogger(__name__)

KNOCK_S = 10.0


class Fleet:
    """The actors of one bench. Closing the bench ends them."""

    def __init__(self, options: RayOptions, room: BenchRoom, spec: BenchSpec) -> None:
        gpu = spec.device == "cuda"
        self.shape = shape_of(
            of_one_kind(nodes(), options.gpu) if gpu else nodes(),
            gpu=gpu,
            hosts=options.hosts,
            preparers=options.preparers,
            cpus=options.cpus,
            ranks=_ranks(),
        )
        self._lock = threading.Lock()
        self._actors = _started(self.shape, room, spec, options.gpu, gpu=gpu)
        hosts = [name for name in self._actors if "host" in name]
        self._places = [RayPlace(name, closing=partial(self._end, name)) for name in hosts]
        self._open = set(hosts)
        self.bench: Bench = room.over(spec, self._places, self.shape.at_once, options.patience_s)
        log.info("%d hosts and %d preparers on Ray", self.shape.hosts, self.shape.preparers)

    def metrics(self) -> Mapping[str, float]:
        """Hosts, and calls that were cut off because one was lost."""
        return {"hosts": len(self._places), "calls_cut_off": sum(place.lost for place in self._places)}

    def _end(self, name: str) -> None:
        """End a host; with the last of them the preparers. The process stays connected: it may open another."""
        with self._lock:
            self._open.discard(name)
            ending = [name] if self._open else list(self._actors)
            for one in ending:
                actor = self._actors.pop(one, None)
                if actor is not None:
                    ray.kill(actor)


def connect(address: str) -> bool:
    """Connect to a cluster, unless this process is already; False where none was named and there is none.

    Raises `UsageError` where one was named and does not answer.
    """
    if ray.is_initialized():
        return True
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        _knock(address)
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, RuntimeError) as error:
        said = (str(error).strip().splitlines() or [""])[0]
        if address == "auto" and isinstance(error, ConnectionError):
            log.warning("this machine is in no Ray cluster; candidates are judged on it alone")
            return False
        raise UsageError(
            f"no Ray cluster at {address!r}: {said}",
            remedy="`ray start --head` on one machine and `ray start --address=…` on the others; `address: local` is a "
            "cluster of this machine alone.",
        ) from error
    return True


def _knock(address: str) -> None:
    """Raise `OSError` where nobody listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()


def nodes() -> list[Node]:
    """The nodes that are alive."""
    return [
        Node(node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0), _kind(node["Resources"]))
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


def _kind(resources: Mapping[str, float]) -> str:
    """What Ray calls a node's GPUs."""
    prefix = "accelerator_type:"
    return next((name.removeprefix(prefix) for name in resources if name.startswith(prefix)), "")


def _started(shape: Shape, room: BenchRoom, spec: BenchSpec, kind: str | None, *, gpu: bool) -> dict[str, Any]:
    """All actors by name. Hosts and preparers know each other by name, so that either may be started anew."""
    fleet = uuid4().hex[:8]
    hosts = [f"host-{number}-{fleet}" for number in range(shape.hosts)]
    preparers = [f"preparer-{number}-{fleet}" for number in range(shape.preparers)]
    hosting = replace(spec, gpus=(0,) if gpu else (), cpu_workers=shape.host_cpus)
    preparing = replace(spec, gpus=(), cpu_workers=shape.preparer_cpus)
    return {
        **{
            name: start(
                name, partial(_host, room, hosting, preparers), cpus=shape.host_cpus, gpus=int(gpu),
                at_once=shape.at_once + 1, kind=kind if gpu else None,
            )
            for name in hosts
        },
        **{
            name: start(
                name, partial(_preparer, room, preparing, hosts if gpu else []), cpus=shape.preparer_cpus, gpus=0,
                at_once=shape.at_once + 1,
            )
            for name in preparers
        },
    }  # fmt: skip


def _host(room: BenchRoom, spec: BenchSpec, preparers: list[str]) -> Any:
    return room.host(spec, places(preparers))


def _preparer(room: BenchRoom, spec: BenchSpec, hosts: list[str]) -> Any:
    return room.preparer(spec, places(hosts, "values"))


def _ranks() -> int:
    """How many processes of one training run open a bench: the fleet is shared out among them."""
    said = os.environ.get("WORLD_SIZE", "1")
    return max(1, int(said)) if said.isdecimal() else 1

"""How many actors a cluster has room for, and of what size. Numbers only; knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tritonrl_core.errors import UsageError

REPLAY_CPUS = 2
"""CPUs of a host that only replays: as many as it has replay workers."""


@dataclass(frozen=True, slots=True)
class Node:
    """What one machine of the cluster has. `kind` is Ray's name of its GPUs ("" where Ray does not know)."""

    cpus: float
    gpus: float = 0.0
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """Numbers and sizes of actors. `host_cpus` and `preparer_cpus` are of each."""

    hosts: int
    host_cpus: int
    preparers: int
    preparer_cpus: int

    @property
    def at_once(self) -> int:
        """Candidates in work at a time: twice as many as can be recorded, so that none waits for the other steps."""
        return 2 * (self.preparers * self.preparer_cpus or self.hosts * self.host_cpus)


def of_one_kind(nodes: Sequence[Node], wanted: str | None) -> list[Node]:
    """The nodes, with the GPUs of one kind only. Raises `UsageError` where that must be said."""
    kinds = sorted({node.kind or "unknown" for node in nodes if node.gpus})
    if wanted is None and len(kinds) > 1:
        raise UsageError(
            f"the cluster has GPUs of several kinds, whose times cannot be compared: {', '.join(kinds)}",
            remedy=f"Name one in the plugin's options: `gpu: {kinds[0]}`.",
        )
    if wanted is None:
        return list(nodes)
    return [node if node.kind == wanted else replace(node, gpus=0.0) for node in nodes]


def shape_of(
    nodes: Sequence[Node], *, gpu: bool, hosts: int | None, preparers: int | None, cpus: int, ranks: int = 1
) -> Shape:
    """The fleet that fits on these nodes, or one rank's share of it. Raises `UsageError` where none does."""
    if gpu:
        host_cpus = cpus if preparers == 0 else REPLAY_CPUS
        room = sum(int(min(node.gpus, node.cpus // host_cpus)) for node in nodes)
    else:
        host_cpus = cpus
        room = sum(int(node.cpus // cpus) for node in nodes)
        room -= preparers or 0
    what = f"{host_cpus} CPUs and a GPU" if gpu else f"{host_cpus} CPUs"
    if room < (hosts or 1):
        found = ", ".join(f"{node.cpus:g} CPUs and {node.gpus:g} GPUs" for node in nodes) or "no node at all"
        raise UsageError(
            f"the cluster has room for {max(room, 0)} hosts of {what}, and {hosts or 1} are wanted: {found}",
            remedy="Lower the plugin's `cpus`, `hosts` or `preparers`, or add nodes.",
        )
    if preparers is None:
        free = sum(int((node.cpus - host_cpus * node.gpus) // cpus) for node in nodes) if gpu else 0
        preparers = max(1, free // ranks) if gpu else 0
    return Shape(max(1, (hosts or room) // ranks), host_cpus, preparers, cpus)

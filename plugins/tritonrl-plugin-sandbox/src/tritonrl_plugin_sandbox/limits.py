"""Limits on one child: memory, CPU time, files, processes. What they are; `child` applies them."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Mapping
from pathlib import Path

from tritonrl_core.types import Limits

from tritonrl_plugin_sandbox.namespaces import Identity

SPARE_TASKS = 256
"""Threads (in `compile`, processes too) that a child may have; libraries start one per core."""
DESCRIPTORS = 64
STACK_BYTES = 8 << 20
FILE_BYTES = 64 << 20


def resource_limits(limits: Limits, *, private_tasks: bool, writes: bool) -> Mapping[int, tuple[int, int]]:
    """Limits to set in a child forked from this process. `private_tasks`: its user id counts its own tasks alone.

    Memory is counted as address space beyond what the forking process has. Where a user's tasks are counted together,
    the limit lies above all tasks of the machine, which bounds a flood of threads without touching the user's others.
    """
    space = _status_bytes("statm") + limits.memory_bytes
    cpu = max(1, math.ceil(limits.cpu_s))
    tasks = SPARE_TASKS + (0 if private_tasks else _tasks_of_machine())
    values = {
        resource.RLIMIT_AS: space,
        resource.RLIMIT_DATA: space,
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_STACK: STACK_BYTES,
        resource.RLIMIT_FSIZE: FILE_BYTES if writes else 0,
        resource.RLIMIT_NOFILE: DESCRIPTORS,
        resource.RLIMIT_NPROC: tasks,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_RTPRIO: 0,
    }
    return {which: _at_most(which, value) for which, value in values.items()}


def tightest(limits: Limits, *, wall_s: float | None, cpu_s: float | None, memory_bytes: int | None,
             output_bytes: int | None) -> Limits:
    """The job's limits, lowered to the options where those are set."""
    return Limits(
        wall_s=min(limits.wall_s, wall_s or math.inf),
        cpu_s=min(limits.cpu_s, cpu_s or math.inf),
        memory_bytes=min(limits.memory_bytes, memory_bytes or limits.memory_bytes),
        output_bytes=min(limits.output_bytes, output_bytes or limits.output_bytes),
    )


def counts_alone(inside_user_namespace: bool, identity: Identity | None) -> bool:
    """Whether the kernel counts the child's tasks apart from everybody else's (user namespaces do since Linux 5.14)."""
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2] if part.isdigit())
    return identity is not None or (inside_user_namespace and release >= (5, 14))


def _at_most(which: int, value: int) -> tuple[int, int]:
    """Soft and hard limit together, never above the hard limit that is in force."""
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return value, value


def _status_bytes(name: str) -> int:
    pages = (Path("/proc/self") / name).read_text(encoding="utf-8").split()[0]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _tasks_of_machine() -> int:
    return int(Path("/proc/loadavg").read_text(encoding="utf-8").split()[3].partition("/")[2])

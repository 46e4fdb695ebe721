"""The base's answer to `sandbox_exec`: a plain forked child with limits on time, memory, processes and output.

It is no sandbox (the verdict says `none`): the child can read what the user can read and reach the network. It does
hold that every job gets exactly one result, and that nothing of the candidate's outlives it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import struct
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from tritonrl_core.bench.processes.process import (
    close_all_but,
    die_with_parent,
    is_subreaper,
    kill_descendants,
    tasks_of_user,
    virtual_bytes,
)
from tritonrl_core.types import Limits, SandboxJob, SandboxResult

FRAME = struct.Struct("<cQ")
"""What a child sends first: a tag (`p` payload, `m` out of memory, `e` raised) and the length of what follows."""

SPARE_TASKS = 64
"""Threads and processes that a candidate may add to what its user has. The kernel does not hold root to it."""

FILE_BYTES = 16 << 20
SWEEP_S = 2.0
"""How long processes left behind are hunted before the result says that some could not be killed."""


def run_forked(job: SandboxJob) -> SandboxResult:
    """Run the job in a forked child, and give one result whatever it does. The child is dead when this returns."""
    began = time.monotonic()
    reader, writer = os.pipe()
    limits = _resource_limits(job.limits)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _child(job, writer, limits, parent)
    os.close(writer)
    try:
        with _Child(pid) as child:
            result = _outcome(child, reader, job.limits, began + job.limits.wall_s)
    finally:
        os.close(reader)
    if is_subreaper() and not kill_descendants(SWEEP_S):
        result = SandboxResult("died", detail="left processes behind that could not all be killed")
    return SandboxResult(result.outcome, result.payload, result.detail, "none", time.monotonic() - began)


@dataclass
class _Child:
    """A forked child that is dead and reaped when the `with` block ends."""

    pid: int
    status: int | None = None

    def __enter__(self) -> _Child:
        self.pidfd = os.pidfd_open(self.pid)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        os.close(self.pidfd)

    def end(self) -> int:
        """Kill what still runs (the child leads a session of its own) and give the wait status.

        A child that had ended keeps its own status: a signal does nothing to a process that only waits to be reaped.
        """
        if self.status is None:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(OSError):
                    kill(self.pid, signal.SIGKILL)
            self.status = os.waitpid(self.pid, 0)[1]
        return self.status


def _outcome(child: _Child, reader: int, limits: Limits, deadline: float) -> SandboxResult:
    data = bytearray()
    most = FRAME.size + limits.output_bytes
    os.set_blocking(reader, False)
    poll = select.poll()
    poll.register(child.pidfd, select.POLLIN)
    poll.register(reader, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        ready = {fd for fd, _ in poll.poll(left * 1000)}
        if reader in ready and not _drain(reader, data, most):
            poll.unregister(reader)  # every writer closed it: only the child's end is left to wait for
        elif child.pidfd in ready:
            _drain(reader, data, most)
        if len(data) >= FRAME.size:
            tag, length = FRAME.unpack_from(data)
            if length > limits.output_bytes:
                return SandboxResult("output", detail=f"sent {length} bytes, the limit is {limits.output_bytes}")
            if len(data) >= FRAME.size + length:
                return _framed(tag, bytes(data[FRAME.size : FRAME.size + length]), limits)
        if child.pidfd in ready:
            return _without_result(child.end(), limits)
    return SandboxResult("timeout", detail=f"no result after {limits.wall_s:g} s")


def _drain(reader: int, data: bytearray, most: int) -> bool:
    """Read what is there, up to `most` bytes in all; False at the end of the stream."""
    while len(data) < most:
        try:
            chunk = os.read(reader, min(1 << 16, most - len(data)))
        except BlockingIOError:
            return True
        if not chunk:
            return False
        data += chunk
    return True


def _framed(tag: bytes, body: bytes, limits: Limits) -> SandboxResult:
    if tag == b"p":
        return SandboxResult("ok", body)
    if tag == b"m":
        return SandboxResult("memory", detail=_memory_text(limits))
    return SandboxResult("died", detail=body.decode("utf-8", "replace"))


def _without_result(status: int, limits: Limits) -> SandboxResult:
    """Why a child that ended by itself gave no result."""
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return SandboxResult("timeout", detail=f"more than {limits.cpu_s:g} s of CPU time")
    if code < 0:
        return SandboxResult("died", detail=f"killed by {signal.Signals(-code).name}")
    return SandboxResult("died", detail=f"exited with code {code} before it gave a result")


def _memory_text(limits: Limits) -> str:
    return f"more than {limits.memory_bytes / 2**30:.3g} GiB of memory"


def _resource_limits(limits: Limits) -> dict[int, tuple[int, int]]:
    cpu = max(1, round(limits.cpu_s))
    space = virtual_bytes() + limits.memory_bytes
    tasks = _tasks_of_user(int(time.monotonic()) // 60) + SPARE_TASKS if os.getuid() else resource.RLIM_INFINITY
    return {
        resource.RLIMIT_CPU: (cpu, cpu + 1),
        resource.RLIMIT_AS: (space, space),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_FSIZE: (FILE_BYTES, FILE_BYTES),
        resource.RLIMIT_NOFILE: (256, 256),
        resource.RLIMIT_NPROC: (tasks, tasks),
    }


@lru_cache(maxsize=1)
def _tasks_of_user(minute: int) -> int:
    """Counted once a minute: reading all of /proc for every candidate would cost more than its fork."""
    return tasks_of_user()


def _child(job: SandboxJob, writer: int, limits: dict[int, tuple[int, int]], parent: int) -> NoReturn:
    """The child's whole life. It must not return, unwind into the caller, or run exit handlers."""
    code = 1
    try:
        _confine(job.keep_fds, writer, limits, parent)
        _write(writer, b"p", job.entry())
        code = 0
    except MemoryError:
        _write(writer, b"m", b"")
    except BaseException as error:  # noqa: BLE001 - an entry that raises has failed, whatever it raised
        with contextlib.suppress(BaseException):
            _write(writer, b"e", f"{type(error).__name__}: {error}".encode()[:4096])
    finally:
        os._exit(code)


def _confine(keep: tuple[int, ...], writer: int, limits: dict[int, tuple[int, int]], parent: int) -> None:
    os.setsid()
    die_with_parent(parent)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    close_all_but((*keep, writer))
    os.chdir("/")
    for which, (soft, hard) in limits.items():
        _, most = resource.getrlimit(which)
        if most != resource.RLIM_INFINITY:
            hard = min(hard, most) if hard != resource.RLIM_INFINITY else most
            soft = min(soft, hard) if soft != resource.RLIM_INFINITY else hard
        resource.setrlimit(which, (soft, hard))


def _write(writer: int, tag: bytes, body: bytes) -> None:
    view = memoryview(FRAME.pack(tag, len(body)) + body)
    while view:
        view = view[os.write(writer, view) :]

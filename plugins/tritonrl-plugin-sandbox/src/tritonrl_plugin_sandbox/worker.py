"""The parent's half of one job: start the child, read its one frame, kill it, be sure that it is dead.

`Sandbox` holds what is prepared once per worker process (Landlock ruleset, filter, identity); `run` gives exactly one
result for each job. What the child sent is bytes here and nothing more.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tritonrl_core.errors import InfraError
from tritonrl_core.types import Limits, SandboxJob, SandboxResult

from tritonrl_plugin_sandbox import child, linux, namespaces, scratch, view
from tritonrl_plugin_sandbox.child import FRAME, Confinement, Place
from tritonrl_plugin_sandbox.limits import counts_alone, resource_limits

DEAD_S = 10.0
"""How long a killed child may take to vanish. It is longer only where the kernel is stuck in it."""

LOOK_S = 0.02
"""How often a scratch folder on disk is looked at; what is written in between is the most that it can overshoot."""

_STUCK = "The kernel is stuck in them: restart the machine that runs the workers."


@dataclass(frozen=True, slots=True)
class Box:
    """A prepared profile: how the child confines itself, and what its results say about it."""

    confinement: Confinement
    label: str


def run(job: SandboxJob, box: Box) -> SandboxResult:
    """Run one job in a confined child. Every process of the child is dead when this returns.

    Raises `InfraError` where the child cannot be killed, which is a fault of the host.
    """
    began = time.monotonic()
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if threads != 1:
        return refused(f"the calling process has {threads} threads; it must have one to fork a child safely")
    with _scratch_folder(box.confinement) as folder:
        got = _supervise(job, box.confinement, folder, began + job.limits.wall_s)
        seconds = time.monotonic() - began
    label = "none" if got.outcome == "refused" else box.label
    return SandboxResult(got.outcome, got.payload, got.detail, label, seconds)


def _scratch_folder(how: Confinement) -> contextlib.AbstractContextManager[str]:
    """The scratch folder of one job, "" for none: a private tmpfs in the child's own root, else a folder on disk."""
    if not how.processes or how.view is not None:
        return contextlib.nullcontext(view.SCRATCH if how.processes else "")
    return scratch.folder_on_disk(None if how.identity is None else how.identity.uid)


def refused(reason: str) -> SandboxResult:
    """The result where nothing ran because it could not be confined."""
    return SandboxResult("refused", detail=reason)


def _supervise(job: SandboxJob, how: Confinement, folder: str, deadline: float) -> SandboxResult:
    alone = counts_alone(bool(how.flags & linux.CLONE_NEWUSER), how.identity)
    limits = resource_limits(job.limits, private_tasks=alone, writes=bool(folder))
    reader, writer = os.pipe()
    gate, opener = os.pipe()
    try:
        try:
            pid = namespaces.fork(how.flags)
        except OSError as error:
            return refused(f"no child could be forked: {error}")
        if pid == 0:
            os.close(opener)  # or the gate would never hang up
            child.run(job, how, Place(limits, (*job.keep_fds, writer), gate, folder), writer)
        os.close(writer)
        writer = -1
        with _Child(pid, how.processes) as alive:
            try:
                namespaces.admit(pid, how.flags, how.identity)
            except OSError as error:
                return refused(f"the child's user namespace could not be set up: {error}")
            os.write(opener, b"g")
            return _listen(alive, reader, job.limits, deadline, folder if how.view is None else "")
    finally:
        for descriptor in (reader, writer, gate, opener):
            if descriptor >= 0:
                os.close(descriptor)


class _Child:
    """A child that is dead, with all its processes, and reaped when the `with` block ends."""

    def __init__(self, pid: int, processes: bool) -> None:
        self.pid = pid
        self.processes = processes
        self.pidfd = os.pidfd_open(pid)
        self.ended: tuple[int, resource.struct_rusage] | None = None

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end()
        finally:
            os.close(self.pidfd)

    def end(self) -> tuple[int, resource.struct_rusage]:
        """Kill what still runs; the exit code (negative: the signal) and what the child used.

        The first process of a pid namespace takes the namespace with it; without one the child cannot fork, or (in
        `compile`) cannot leave its process group, which is killed in one call that no fork races.
        """
        if self.ended is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            if self.processes:
                self._kill_group()
            if not select.select([self.pidfd], [], [], DEAD_S)[0]:
                raise InfraError(f"process {self.pid} of a candidate does not die", remedy=_STUCK)
            _, status, used = os.wait4(self.pid, 0)
            if self.processes:
                self._reap_group()
            self.ended = os.waitstatus_to_exitcode(status), used
        return self.ended

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _reap_group(self) -> None:
        """Wait for the group's other members, which became children of this process (it is a subreaper)."""
        patience = time.monotonic() + DEAD_S
        while time.monotonic() < patience:
            self._kill_group()
            try:
                if os.waitpid(-self.pid, os.WNOHANG) == (0, 0):
                    time.sleep(0.0005)
            except ChildProcessError:
                return
        raise InfraError(f"processes of the group {self.pid} do not die", remedy=_STUCK)


def _listen(alive: _Child, reader: int, limits: Limits, deadline: float, watched: str) -> SandboxResult:
    """Read frames until the one that counts, the child's end, or the deadline. Later bytes are never looked at.

    `watched` is a scratch folder on disk, which may not grow without end; "" for none.
    """
    os.set_blocking(reader, False)
    stream = _Stream(limits)
    poll = select.poll()
    poll.register(alive.pidfd, select.POLLIN)
    poll.register(reader, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        ready = {fd for fd, _ in poll.poll(1000 * (min(left, LOOK_S) if watched else left))}
        if watched and scratch.too_full(watched):
            return SandboxResult("output", detail="wrote more to its scratch folder than fits there")
        if not stream.take(reader) and reader in ready:
            poll.unregister(reader)  # closed by the child: only its end is left to wait for
        result = stream.result()
        if result is not None:
            return result
        if alive.pidfd in ready:
            return _without_result(alive, limits, stream.ready)
    if not stream.ready:
        return refused(f"the child was not ready after {limits.wall_s:g} s")
    return SandboxResult("timeout", detail=f"no result after {limits.wall_s:g} s")


class _Stream:
    """What has come from the child so far. The first frame is ours (`child`), the second is the result."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.ready = False
        self.data = bytearray()

    def take(self, reader: int) -> bool:
        """Read what is there, up to what two frames may be; False at the end of the stream."""
        most = 2 * FRAME.size + self.limits.output_bytes
        while len(self.data) < most:
            try:
                chunk = os.read(reader, min(1 << 20, most - len(self.data)))
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self.data += chunk
        return True

    def result(self) -> SandboxResult | None:
        """The result, as soon as it is complete or too long."""
        while len(self.data) >= FRAME.size:
            tag, length = FRAME.unpack_from(self.data)
            if length > self.limits.output_bytes:
                return SandboxResult("output", detail=f"sent {length} bytes, the limit is {self.limits.output_bytes}")
            if len(self.data) < FRAME.size + length:
                return None
            body = bytes(self.data[FRAME.size : FRAME.size + length])
            if self.ready:
                return _framed(tag, body, self.limits)
            if tag != b"r":
                return refused(f"the child could not confine itself: {body.decode('utf-8', 'replace')}")
            self.ready = True
            del self.data[: FRAME.size + length]
        return None


def _framed(tag: bytes, body: bytes, limits: Limits) -> SandboxResult:
    if tag == b"p":
        return SandboxResult("ok", body)
    if tag == b"m":
        return SandboxResult("memory", detail=f"more than {limits.memory_bytes / 2**30:.3g} GiB of memory")
    if tag == b"e":
        return SandboxResult("died", detail=body.decode("utf-8", "replace")[:4096])
    return SandboxResult("died", detail="sent no valid result")


def _without_result(alive: _Child, limits: Limits, ready: bool) -> SandboxResult:
    """Why a child that ended by itself gave no result."""
    code, used = alive.end()
    if not ready:
        return refused(f"the child ended while it confined itself (exit code {code})")
    if code in (-signal.SIGXCPU, -signal.SIGKILL) and used.ru_utime + used.ru_stime > limits.cpu_s - 0.5:
        return SandboxResult("timeout", detail=f"more than {limits.cpu_s:g} s of CPU time")
    if code < 0:
        return SandboxResult("died", detail=f"killed by {signal.Signals(-code).name}")
    return SandboxResult("died", detail=f"exited with code {code} before it gave a result")

"""The worker's side of the fork server: a warm process that forks dispatchers, each of which forks one child a job.

A warm process (one per kind: what records, compiles or replays) has imported what its children need and exercised it;
it has one thread and no secret: no reference, no expected value, no seed of the run. Its parent is the verifier's
process; when that is gone it ends, and with it everything below.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.processes.process import (
    become_subreaper,
    close_all_but,
    die_with_parent,
    gather_memory,
    kill_descendants,
    thread_count,
)
from tritonrl_core.errors import InfraError
from tritonrl_core.types import Limits, SandboxJob, SandboxResult

Sandbox = Callable[[SandboxJob], SandboxResult]

HEARTBEAT_MS = 1000
CLOSE_S = 5.0

NICE = 5
"""Recording and compiling give way to what judges. They can yield altogether (`SCHED_IDLE`): whoever waits for the GPU
is then put on a core at once, as if these workers were not there (`prepare.YIELDS`)."""


class Entry(Protocol):
    """A module that a kind of worker runs jobs with."""

    def warm(self) -> None:
        """Import and exercise what every child will need; children inherit it."""

    def run(self, *fds: int) -> bytes:
        """Do one job in the child: descriptors as the parent sent them, bytes to send back. Untrusted from here."""


def serve(control: socket.socket, entry_module: str, profile: str, sandbox: Sandbox, yields: bool = False) -> NoReturn:
    """Warm up, say so, then fork dispatchers on demand until the parent is gone."""
    entry: Entry = cast(Entry, importlib.import_module(entry_module))
    parent = os.getppid()
    os.nice(NICE)
    entry.warm()
    sys.dont_write_bytecode = True  # of what is imported from here on, which is a candidate's doing
    gc.collect()
    gc.freeze()
    gather_memory()
    threads = thread_count()
    if threads != 1:
        # A forked child has only the forking thread: a lock that another one held would stay locked in every child.
        raise InfraError(f"the warm {profile} worker has {threads} threads, it must have one to fork safely")
    if yields:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    become_subreaper()
    wire.send(control, {"ready": True, "pid": os.getpid()})
    try:
        _Warm(control, entry, profile, sandbox, parent).loop()
    finally:
        kill_descendants(CLOSE_S)
    os._exit(0)  # taking torch down in order costs a second and has no one to do it for


@dataclass
class _Warm:
    control: socket.socket
    entry: Entry
    profile: str
    sandbox: Sandbox
    parent: int

    def loop(self) -> None:
        dispatchers: set[int] = set()
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        while os.getppid() == self.parent:
            ready = poll.poll(HEARTBEAT_MS)
            _reap(dispatchers)
            if not ready:
                continue
            try:
                message, fds = wire.receive(self.control)
            except wire.Disconnected:
                return
            if message["do"] == "dispatcher":
                dispatchers.add(pid := self._fork(fds[0]))
                os.close(fds[0])
                wire.send(self.control, {"pid": pid})
            elif message["do"] == "kill" and message["pid"] in dispatchers:
                with contextlib.suppress(OSError):
                    os.kill(message["pid"], signal.SIGKILL)

    def _fork(self, fd: int) -> int:
        warm = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            die_with_parent(warm)
            become_subreaper()
            close_all_but((fd,))
            _dispatch(socket.socket(fileno=fd), self.entry, self.profile, self.sandbox)
        finally:
            os._exit(1)


def _reap(dispatchers: set[int]) -> None:
    """Reap what has ended; what was orphaned to this process without being a dispatcher is killed first."""
    with contextlib.suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            dispatchers.discard(pid)
    with contextlib.suppress(OSError):
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
        strays = {int(pid) for pid in children.split()} - dispatchers
        for pid in strays:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _dispatch(connection: socket.socket, entry: Entry, profile: str, sandbox: Sandbox) -> NoReturn:
    """One job after the other, one answer each, until the parent hangs up."""
    while True:
        try:
            message, fds = wire.receive(connection)
        except wire.Disconnected:
            os._exit(0)
        answer = _answer(message, fds, entry, profile, sandbox)
        payload = wire.memfd("tritonrl-result", answer.pop("payload"))
        with contextlib.suppress(wire.Disconnected):
            wire.send(connection, answer, [payload])
        for fd in (*fds, payload):
            os.close(fd)


def _answer(message: dict[str, Any], fds: list[int], entry: Entry, profile: str, sandbox: Sandbox) -> dict[str, Any]:
    """The boundary around `sandbox_exec`: a plugin that raises is a fault of the machinery, named in the answer."""
    job = SandboxJob(partial(entry.run, *fds), Limits(**message["limits"]), profile, tuple(fds))
    parent = os.getpid()
    try:
        result = sandbox(job)
    except Exception as error:  # noqa: BLE001 - a hook of any plugin; the parent turns it into INFRA
        return {"fault": f"{type(error).__name__}: {error}"[:4096], "payload": b""}
    finally:
        if os.getpid() != parent:
            os._exit(1)  # a sandbox let its child return into the dispatcher
    return {
        "outcome": result.outcome,
        "detail": result.detail[:4096],
        "sandbox": result.sandbox,
        "seconds": result.seconds,
        "payload": result.payload[: job.limits.output_bytes],
    }

"""The parent's side of the fork server: start warm workers, hand out jobs from many threads, replace what dies.

A job is descriptors in and bytes out. What runs it, and inside which sandbox, is decided in the worker (`bench.warm`).
Nothing that comes back is trusted here or interpreted here.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Any, TypeVar

from tritonrl_core.bench.processes import bytecode, wire
from tritonrl_core.errors import InfraError, SandboxError
from tritonrl_core.types import Limits, SandboxResult

log = logging.getLogger(__name__)

START_S = 180.0
"""Importing torch and Triton takes seconds; on a machine that is swapping, minutes."""

STOP_S = 5.0

GRACE_S = 20.0
"""How long after a job's own deadline a dispatcher may take to answer before it counts as lost."""

PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "TRITON_LIBCUDA_PATH")
"""The only variables of this process that a worker gets to see."""

T = TypeVar("T")


class WorkerLost(InfraError):  # noqa: N818 - an event of a worker; named for what happened
    """A worker died or stopped answering while it had a job."""


@dataclass(frozen=True, slots=True)
class WorkerKind:
    """A kind of warm worker: `entry` is the module whose `warm()` prepares it and whose `run(*fds)` does a job."""

    profile: str
    entry: str
    env: Mapping[str, str] = field(default_factory=dict)


INTERPRET = WorkerKind("interpret", "tritonrl_core.bench.interpret.interpreter")
RECORD = WorkerKind("record", "tritonrl_core.bench.record.recorder")


class ForkServer:
    """Warm workers of one kind: `workers` jobs at a time, from any thread. Starts in the background at once."""

    def __init__(
        self, kind: WorkerKind, workers: int, preset: Mapping[str, Any] | None = None, *, yields: bool = False
    ) -> None:
        """`yields`: these workers run only where no other process wants to (see `warm`)."""
        self.kind = kind
        self._config = {"entry": kind.entry, "profile": kind.profile, "preset": dict(preset or {}), "yields": yields}
        self._env = _environment(kind)
        self._lock = threading.Lock()
        self._slots: queue.SimpleQueue[_Dispatcher | None] = queue.SimpleQueue()
        for _ in range(workers):
            self._slots.put(None)
        self._workers = workers
        self._closed = False
        self._has_run = False
        self._warm = _Warm(kind, self._config, self._env)

    def run(self, fds: Sequence[int], limits: Limits) -> SandboxResult:
        """Run one job; blocks until it has its one result. Raises `WorkerLost` where the worker died with it, and
        `SandboxError` where the sandbox refuses before any job has run.
        """
        dispatcher = self._slots.get()
        try:
            if self._closed:
                raise InfraError("the bench is closed")
            if dispatcher is not None and not dispatcher.usable():
                dispatcher.close()
                dispatcher = None
            if dispatcher is None:
                dispatcher = self._dispatcher()
            return self._run_before(dispatcher.run(fds, limits))
        except WorkerLost:
            if dispatcher is not None:
                dispatcher.close()
                self._kill(dispatcher)
                dispatcher = None
            raise
        finally:
            self._slots.put(dispatcher)

    def _run_before(self, result: SandboxResult) -> SandboxResult:
        if result.outcome == "refused" and not self._has_run:
            raise SandboxError(
                f"no sandbox for {self.kind.profile} on this machine: {result.detail}",
                remedy="See `tritonrl doctor`, and the sandbox's options in the preset.",
            )
        self._has_run = True
        return result

    def close(self) -> None:
        """Stop everything. Safe to call twice; waits for jobs that run."""
        self._closed = True
        for dispatcher in [self._slots.get() for _ in range(self._workers)]:
            if dispatcher is not None:
                dispatcher.close()
            self._slots.put(None)
        with self._lock:
            self._warm.close()

    def _dispatcher(self) -> _Dispatcher:
        with self._lock:
            if self._warm.served:
                try:
                    return self._warm.dispatcher()
                except WorkerLost as lost:
                    log.warning("%s; it is replaced", lost.message)
                    self._warm.close()
                    self._warm = _Warm(self.kind, self._config, self._env)
            return self._warm.dispatcher()

    def _kill(self, dispatcher: _Dispatcher) -> None:
        """Make sure that a dispatcher that was given up on is gone. Its own parent does it, so the id is right."""
        with self._lock:
            if dispatcher.warm is self._warm:
                self._warm.kill(dispatcher.pid)


def retry_once(attempt: Callable[[], T]) -> T:
    """Run a job that leaves nothing behind when its worker is lost, and once more where that happens.

    Raises `InfraError` the second time: no verdict is made of a fault that may be ours.
    """
    try:
        return attempt()
    except WorkerLost as first:
        log.warning("%s; trying once more", first.message)
    try:
        return attempt()
    except WorkerLost as second:
        raise InfraError(f"a worker was lost twice with the same job: {second.message}") from second


class _Dispatcher:
    """One job at a time over one connection."""

    def __init__(self, connection: socket.socket, pid: int, warm: _Warm) -> None:
        self.connection, self.pid, self.warm = connection, pid, warm

    def run(self, fds: Sequence[int], limits: Limits) -> SandboxResult:
        self.connection.settimeout(limits.wall_s + GRACE_S)
        try:
            wire.send(self.connection, {"limits": asdict(limits)}, fds)
            answer, received = wire.receive(self.connection)
        except wire.Disconnected as error:
            raise WorkerLost(f"a {self.warm.kind.profile} worker died with a job ({error})") from error
        except TimeoutError as error:
            raise WorkerLost(f"a {self.warm.kind.profile} worker did not answer in time") from error
        try:
            payload = wire.content(received[0])
        finally:
            for fd in received:
                os.close(fd)
        if "fault" in answer:
            raise InfraError(f"sandbox_exec failed: {answer['fault']}", remedy="See `tritonrl plugins explain`.")
        return SandboxResult(
            outcome=answer["outcome"],
            payload=payload,
            detail=answer["detail"],
            sandbox=answer["sandbox"],
            seconds=answer["seconds"],
        )

    def usable(self) -> bool:
        """Whether an idle dispatcher is still there: it never speaks first, so anything to read is the end."""
        return self.warm.alive() and not select.select([self.connection], [], [], 0)[0]

    def close(self) -> None:
        self.connection.close()


class _Warm:
    """The warm process and its control connection. Used under the server's lock, but for the constructor."""

    def __init__(self, kind: WorkerKind, config: Mapping[str, Any], env: Mapping[str, str]) -> None:
        self.kind = kind
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._control, theirs = wire.pair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tritonrl_core.worker", str(theirs.fileno())],
                env=dict(env),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self.served = False
        self._finalizer = weakref.finalize(self, _stop, self._process, self._control, self._errors)
        wire.send(self._control, dict(config))

    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._finalizer()

    def dispatcher(self) -> _Dispatcher:
        """Have a new dispatcher forked; the first call waits until the process is warm.

        Raises `InfraError` with the worker's last words where it does not start, `WorkerLost` where it had started.
        """
        ours, theirs = wire.pair()
        try:
            with theirs:
                if not self.served:
                    self._control.settimeout(START_S)
                    wire.receive(self._control)
                self._control.settimeout(GRACE_S)
                wire.send(self._control, {"do": "dispatcher"}, [theirs.fileno()])
                answer, _ = wire.receive(self._control)
        except (wire.Disconnected, TimeoutError) as error:
            ours.close()
            if self.served:
                raise WorkerLost(f"the warm {self.kind.profile} worker died") from error
            raise InfraError(
                f"the warm {self.kind.profile} worker did not start: {self._last_words() or error}",
                remedy="Run `tritonrl doctor`; torch and triton must import in a fresh process.",
            ) from error
        self.served = True
        return _Dispatcher(ours, answer["pid"], self)

    def kill(self, pid: int) -> None:
        try:
            wire.send(self._control, {"do": "kill", "pid": pid})
        except wire.Disconnected:
            log.debug("the warm worker is gone, and its dispatchers with it")

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""


def _environment(kind: WorkerKind) -> dict[str, str]:
    """A clean environment: no secret of the user's, one thread, no GPU, the packages that this process sees."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        **threads,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        **bytecode.environment(),
        "CUDA_VISIBLE_DEVICES": "",
        "HOME": "/nonexistent",
        "TRITON_HOME": "/nonexistent",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # halves the cost of a fork of a process this size
        **kind.env,
    }


def _stop(process: subprocess.Popen[bytes], control: socket.socket, errors: IO[bytes]) -> None:
    control.close()  # which it takes as the sign to end its dispatchers, and then itself
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    errors.close()

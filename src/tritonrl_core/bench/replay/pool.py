"""The parent's side of replaying: one worker process a GPU, a warm spare beside each, deadlines, replacement.

A worker that faults, hangs or dies is replaced at once; the job that it had gets the answer that fits, and the next job
never notices. Nothing of a candidate's runs in this process.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tritonrl_core.bench.processes import bytecode, wire
from tritonrl_core.bench.replay import shelf, traffic
from tritonrl_core.bench.replay.turns import Turns
from tritonrl_core.errors import InfraError

log = logging.getLogger(__name__)

START_S = 180.0

READY_JOBS = 2
"""Jobs that a worker has at a time: the one it does and the next, so that it never waits for this process."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a job ended: `ok` with the worker's data, `timeout`, `fault` (of the device, in `detail`) or `died`."""

    outcome: str
    data: Mapping[str, Any]
    detail: str = ""


class ReplayPool:
    """Workers for some GPUs. `run` may be called from many threads.

    A GPU may have several workers, because a check is more Python than kernel; a job that measures asks, while it does,
    to have the GPU to itself.
    """

    def __init__(self, gpus: Sequence[int], *, workers: int = 2, spares: bool = True, device: str = "cuda:0") -> None:
        """`device` is what each worker calls its GPU; `cpu` replays plans that launch nothing."""
        self._spares = [_Spares(gpu, device, spares) for gpu in gpus]
        self._all = [_Slot(spare) for _ in range(workers) for spare in self._spares]
        self._turns = Turns(len(self._all), each=READY_JOBS)

    def run(self, job: bytes, deadline_s: float, *, near: str = "", only: bool = False) -> Answer:
        """Run one job on whichever GPU is free, if there is a choice where the last job with this `near` ran; with
        `only` nowhere else.

        Raises `InfraError` where no worker can be started.
        """
        with self._turns.one(near, only=only) as number:
            return self._all[number].run(job, deadline_s)

    def describe(self) -> Mapping[str, Any]:
        """What a worker said of its GPU; waits until one is ready."""
        with self._turns.one("") as number:
            return self._all[number].worker().ready()

    def close(self) -> None:
        """End all workers; safe to call twice."""
        for slot in self._all:
            slot.close()
        for spare in self._spares:
            spare.close()


class _Spares:
    """The worker of one GPU that stands by: it has its context already when another is lost."""

    def __init__(self, gpu: int, device: str, keep: bool) -> None:
        self.gpu = gpu
        self._device = device
        self._keep = keep
        self._files: tuple[int, ...] = (*traffic.locks(), shelf.new_file("tritonrl-cases"))
        self._spare: _Worker | None = None
        self._lock = threading.Lock()

    def take(self) -> _Worker:
        """The spare, or a new worker where there is none."""
        with self._lock:
            worker, self._spare = self._spare or self.new(), None
            return worker

    def new(self) -> _Worker:
        """A new worker, which becomes ready in the background."""
        return _Worker(self.gpu, self._device, self._files)

    def refill(self) -> None:
        """Start the next spare; it becomes ready in the background."""
        with self._lock:
            if self._keep and self._spare is None:
                self._spare = self.new()

    def close(self) -> None:
        with self._lock:
            self._keep = False
            if self._spare is not None:
                self._spare.close()
            for fd in self._files:
                os.close(fd)
            self._files = ()


class _Slot:
    """A place for one worker on a GPU."""

    def __init__(self, spares: _Spares) -> None:
        self.gpu = spares.gpu
        self._spares = spares
        self._worker: _Worker | None = spares.new()
        self._closed = False
        self._lock = threading.Lock()

    def worker(self) -> _Worker:
        """The worker that is here; a lost one is replaced."""
        with self._lock:
            if self._closed:
                raise InfraError("the bench is closed")
            if self._worker is not None and self._worker.lost:
                self._worker.close()
                self._worker = None
            if self._worker is None:
                self._worker = self._spares.take()
            return self._worker

    def run(self, job: bytes, deadline_s: float) -> Answer:
        """Run a job here. One that a worker was lost before it began is begun again on the next."""
        failed = False
        while True:
            worker = self.worker()
            try:
                worker.ready()
            except InfraError:
                if failed:
                    raise
                failed = True  # it may have been killed while it started; a machine that starts none fails again
                continue
            self._spares.refill()
            answer = worker.run(job, deadline_s)
            if answer is None:
                continue
            if worker.lost:
                log.info("a worker of GPU %d is replaced after %s %s", self.gpu, answer.outcome, answer.detail)
            return answer

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._worker is not None:
                self._worker.close()


class _Worker:
    """One process and its connection. It answers jobs in the order in which they were sent."""

    def __init__(self, gpu: int, device: str, files: Sequence[int]) -> None:
        """`files` are what it shares with the GPU's other workers: two locks and the shelf of cases."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._control, theirs = wire.pair()
        with theirs:
            fds = (theirs.fileno(), *files)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tritonrl_core.bench.replay.worker", device, *map(str, fds)],
                env=_environment(gpu), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors,
                pass_fds=fds, start_new_session=True,
            )  # fmt: skip
        self.lost = False
        self._said: Mapping[str, Any] | None = None
        self._lock = threading.Lock()
        self._change = threading.Condition()
        self._sent = self._answered = 0
        self._end = weakref.finalize(self, _stop, self._process, self._control)

    def ready(self) -> Mapping[str, Any]:
        """Wait until the worker has its context. Raises `InfraError` with its last words."""
        with self._lock:
            if self._said is None:
                self._control.settimeout(START_S)
                try:
                    self._said, _ = wire.receive(self._control)
                except (wire.Disconnected, TimeoutError) as error:
                    self.lost = True
                    raise InfraError(
                        f"the replay worker did not start: {self._last_words() or error}",
                        remedy="Run `tritonrl doctor`; is the GPU free and visible?",
                    ) from error
            return self._said

    def run(self, job: bytes, deadline_s: float) -> Answer | None:
        """The answer to a job; None where the process was lost to the one before it, so that this one never began."""
        place = self._send(job)
        if place is None:
            return None
        with self._change:
            self._change.wait_for(lambda: self._answered == place or self.lost)
            if self.lost:
                return None
        lost = True
        try:
            answer = self._receive(deadline_s)
            lost = answer.outcome != "ok" or bool(answer.data.get("replace_worker"))
            return answer
        finally:
            with self._change:
                self.lost = lost
                self._answered += 1
                self._change.notify_all()
            if lost:
                self._end()

    def _send(self, job: bytes) -> int | None:
        """Hand a job over; its place among all that were, or None where the process is lost."""
        fd = wire.memfd("tritonrl-job", job)
        try:
            with self._change:
                if self.lost:
                    return None
                with suppress(wire.Disconnected):  # whoever waits for an answer notices
                    wire.send(self._control, {"job": True}, [fd])
                self._sent += 1
                return self._sent - 1
        finally:
            os.close(fd)

    def _receive(self, deadline_s: float) -> Answer:
        """The next answer. Time in which the worker waits for others that use the GPU is not counted."""
        said: Mapping[str, Any] = {"waiting": False}
        received: list[int] = []
        try:
            while "waiting" in said:
                self._control.settimeout(None if said["waiting"] else deadline_s)
                said, received = wire.receive(self._control)
        except TimeoutError:
            return Answer("timeout", {}, f"more than {deadline_s:g} s on the GPU")
        except wire.Disconnected:
            return Answer("died", {}, self._last_words())
        try:
            data = json.loads(wire.content(received[0]))
        finally:
            for part in received:
                os.close(part)
        if data.get("fault"):
            return Answer("fault", data, str(data["fault"]))
        return Answer("ok", data)

    def close(self) -> None:
        self._end()
        self._errors.close()

    def _last_words(self) -> str:
        if self._errors.closed:
            return "the bench was closed"
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


def _environment(gpu: int) -> dict[str, str]:
    """This process's, with one GPU in sight and an allocator that gives memory back."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    name = visible[gpu] if gpu < len(visible) and visible[gpu] else str(gpu)
    return {
        **os.environ,
        **bytecode.environment(),
        "CUDA_VISIBLE_DEVICES": name,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as `nvidia-smi` counts, from which the number is
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:False",
        "CUDA_MODULE_LOADING": "LAZY",
    }


def _stop(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    """Kill at once: a kernel that never ends does not listen, and the driver frees the device with the process."""
    control.close()
    process.kill()
    process.wait()

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tritonrl_core.bench import wire
from tritonrl_core.errors import InfraError

log = logging.getLogger(__name__)

START_S = 180.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How a job ended: `ok` with the worker's data, `timeout`, `fault` (of the device, in `detail`) or `died`."""

    outcome: str
    data: Mapping[str, Any]
    detail: str = ""


class ReplayPool:
    """Workers for some GPUs. `run` may be called from many threads.

    A GPU has several workers, because a check is more Python than kernel; a job that measures has the GPU to itself.
    """

    def __init__(self, gpus: Sequence[int], *, workers: int = 2, spares: bool = True, device: str = "cuda:0") -> None:
        """`device` is what each worker calls its GPU; `cpu` replays plans that launch nothing."""
        self._spares = [_Spares(gpu, device, spares) for gpu in gpus]
        self._all = [_Slot(spare) for spare in self._spares for _ in range(workers)]
        self._traffic = {gpu: _Traffic() for gpu in gpus}
        self._idle = list(self._all)
        self._turn = threading.Condition()

    def run(self, job: bytes, deadline_s: float, *, alone: bool = False) -> Answer:
        """Run one job on whichever GPU is free; `alone` has no other job on that GPU meanwhile.

        Raises `InfraError` where no worker can be started.
        """
        slot = self._take()
        try:
            with self._traffic[slot.gpu].alone() if alone else self._traffic[slot.gpu].shared():
                return slot.run(job, deadline_s)
        finally:
            self._give(slot)

    def describe(self) -> Mapping[str, Any]:
        """What a worker said of its GPU; waits until one is ready."""
        slot = self._take()
        try:
            return slot.worker().ready()
        finally:
            self._give(slot)

    def close(self) -> None:
        """End all workers; safe to call twice."""
        for slot in self._all:
            slot.close()
        for spare in self._spares:
            spare.close()

    def _take(self) -> _Slot:
        """An idle slot, on the GPU that has the fewest jobs."""
        with self._turn:
            while not self._idle:
                self._turn.wait()
            waiting = [slot.gpu for slot in self._idle]
            slot = max(self._idle, key=lambda item: waiting.count(item.gpu))
            self._idle.remove(slot)
            return slot

    def _give(self, slot: _Slot) -> None:
        with self._turn:
            self._idle.append(slot)
            self._turn.notify()


class _Traffic:
    """One GPU's jobs: many at a time, or one alone. Who wants to be alone goes before those who come later."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._running = 0
        self._waiting_alone = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._change:
            self._change.wait_for(lambda: not self._waiting_alone)
            self._running += 1
        try:
            yield
        finally:
            with self._change:
                self._running -= 1
                self._change.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._change:
            self._waiting_alone += 1
            self._change.wait_for(lambda: self._running == 0)
            self._running = 1
        try:
            yield
        finally:
            with self._change:
                self._running = 0
                self._waiting_alone -= 1
                self._change.notify_all()


class _Spares:
    """The worker of one GPU that stands by: it has its context already when another is lost."""

    def __init__(self, gpu: int, device: str, keep: bool) -> None:
        self.gpu = gpu
        self._device = device
        self._keep = keep
        self._spare: _Worker | None = None
        self._lock = threading.Lock()

    def take(self) -> _Worker:
        """The spare, or a new worker where there is none."""
        with self._lock:
            worker, self._spare = self._spare or self.new(), None
            return worker

    def new(self) -> _Worker:
        """A new worker, which becomes ready in the background."""
        return _Worker(self.gpu, self._device)

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


class _Slot:
    """A place for one worker on a GPU."""

    def __init__(self, spares: _Spares) -> None:
        self.gpu = spares.gpu
        self._spares = spares
        self._worker: _Worker | None = spares.new()
        self._closed = False

    def worker(self) -> _Worker:
        if self._closed:
            raise InfraError("the bench is closed")
        if self._worker is None:
            self._worker = self._spares.take()
        return self._worker

    def run(self, job: bytes, deadline_s: float) -> Answer:
        worker = self.worker()
        worker.ready()
        self._spares.refill()
        answer = worker.run(job, deadline_s)
        if answer.outcome != "ok" or answer.data.get("replace_worker"):
            log.info("a worker of GPU %d is replaced after %s %s", self.gpu, answer.outcome, answer.detail)
            worker.close()
            self._worker = None
        return answer

    def close(self) -> None:
        self._closed = True
        if self._worker is not None:
            self._worker.close()


class _Worker:
    """One process and its connection."""

    def __init__(self, gpu: int, device: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._control, theirs = wire.pair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tritonrl_core.bench.replay_worker", str(theirs.fileno()), device],
                env=_environment(gpu), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors,
                pass_fds=(theirs.fileno(),), start_new_session=True,
            )  # fmt: skip
        self._said: Mapping[str, Any] | None = None
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _stop, self._process, self._control)

    def ready(self) -> Mapping[str, Any]:
        """Wait until the worker has its context. Raises `InfraError` with its last words."""
        with self._lock:
            if self._said is None:
                self._control.settimeout(START_S)
                try:
                    self._said, _ = wire.receive(self._control)
                except (wire.Disconnected, TimeoutError) as error:
                    raise InfraError(
                        f"the replay worker did not start: {self._last_words() or error}",
                        remedy="Run `tritonrl doctor`; is the GPU free and visible?",
                    ) from error
            return self._said

    def run(self, job: bytes, deadline_s: float) -> Answer:
        fd = wire.memfd("tritonrl-job", job)
        try:
            self._control.settimeout(deadline_s)
            wire.send(self._control, {"job": True}, [fd])
            _, received = wire.receive(self._control)
        except TimeoutError:
            return Answer("timeout", {}, f"more than {deadline_s:g} s on the GPU")
        except wire.Disconnected:
            return Answer("died", {}, self._last_words())
        finally:
            os.close(fd)
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
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


def _environment(gpu: int) -> dict[str, str]:
    """This process's, with one GPU in sight and an allocator that gives memory back."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    name = visible[gpu] if gpu < len(visible) and visible[gpu] else str(gpu)
    return {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": name,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:False",
        "CUDA_MODULE_LOADING": "LAZY",
    }


def _stop(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    """Kill at once: a kernel that never ends does not listen, and the driver frees the device with the process."""
    control.close()
    process.kill()
    process.wait()

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
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tritonrl_core.bench import wire
from tritonrl_core.bench.replay_turns import Traffic, Turns
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

    A GPU may have several workers, because a check is more Python than kernel; a job that measures asks, while it does,
    to have the GPU to itself.
    """

    def __init__(self, gpus: Sequence[int], *, workers: int = 2, spares: bool = True, device: str = "cuda:0") -> None:
        """`device` is what each worker calls its GPU; `cpu` replays plans that launch nothing."""
        self._spares = [_Spares(gpu, device, spares) for gpu in gpus]
        self._all = [_Slot(spare) for _ in range(workers) for spare in self._spares]
        self._traffic = {gpu: Traffic() for gpu in gpus}
        self._turns = Turns(len(self._all))

    def run(self, job: bytes, deadline_s: float, *, near: str = "") -> Answer:
        """Run one job on whichever GPU is free, if there is a choice where the last job with this `near` ran.

        Raises `InfraError` where no worker can be started.
        """
        with self._turns.one(near) as number:
            slot = self._all[number]
            traffic = self._traffic[slot.gpu]
            with traffic.shared():
                return slot.run(job, deadline_s, traffic)

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

    def run(self, job: bytes, deadline_s: float, traffic: Traffic) -> Answer:
        worker = self.worker()
        worker.ready()
        self._spares.refill()
        answer = worker.run(job, deadline_s, traffic)
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

    def run(self, job: bytes, deadline_s: float, traffic: Traffic) -> Answer:
        fd = wire.memfd("tritonrl-job", job)
        try:
            self._control.settimeout(deadline_s)
            wire.send(self._control, {"job": True}, [fd])
            received = self._answered(traffic)
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

    def _answered(self, traffic: Traffic) -> list[int]:
        """The answer's descriptors; what the worker asks before it answers is done on the way."""
        with ExitStack() as held:
            while True:
                said, received = wire.receive(self._control)
                if "alone" not in said:
                    return received
                if said["alone"]:
                    held.enter_context(traffic.alone())
                else:
                    held.close()
                wire.send(self._control, {"go": True})

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

"""A place of a fleet on this machine: a process of its own, with one of the GPUs and its share of the cores.

    python -m tritonrl_core.session.host FD        # started by `HostProcess`, by nobody else

Both ends are ours and trusted alike (the process is what this one would be with one GPU), so they speak in pickles.
What is not trusted runs below the host, as everywhere.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from tritonrl_core.bench.processes import bytecode
from tritonrl_core.errors import PlaceLost, TritonRLError
from tritonrl_core.types import BenchHost, BenchSpec

log = logging.getLogger(__name__)

MOST_STARTS = 5
"""Processes that one place may need in a row without a single answer, before it stays lost."""

STOP_S = 5.0


def host_processes(spec: BenchSpec) -> list[HostProcess]:
    """A place for each GPU of a spec; the cores are shared out."""
    each = max(1, spec.cpu_workers // len(spec.gpus))
    return [HostProcess(replace(spec, gpus=(gpu,), cpu_workers=each)) for gpu in spec.gpus]


class HostProcess:
    """A host in a process of this machine's. Starts in the background at once; one that is lost is started anew."""

    def __init__(self, spec: BenchSpec) -> None:
        self.name = f"the host of GPU {spec.gpus[0]}" if spec.gpus else "a host on the CPU"
        self._spec = spec
        self._lock = threading.Lock()
        self._starts = 0
        self._closed = False
        self._process = self._start()

    def ask(self, call: Any) -> Any:
        """Have the host answer. Raises `PlaceLost` where its process ends before it has."""
        process = self._process
        answer = process.ask(call)
        self._starts = 0
        return answer

    def back(self) -> bool:
        """Start a new process for one that ended; it may be asked at once and answers when it is ready."""
        with self._lock:
            if self._closed or self._starts >= MOST_STARTS:
                return False
            if self._process.lost:
                self._process = self._start()
            return True

    def close(self) -> None:
        """End the process. Safe to call twice."""
        with self._lock:
            self._closed = True
        self._process.close()

    def _start(self) -> _Process:
        self._starts += 1
        return _Process(self._spec)


class _Process:
    """One process and its connection."""

    def __init__(self, spec: BenchSpec) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "tritonrl_core.session.host", str(theirs.fileno())],
                env={**os.environ, **bytecode.environment(),
                     "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors, pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )  # fmt: skip
        self.pid = process.pid
        self._connection = Connection(ours.detach())
        self.lost = False
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _stop, process, self._connection)
        self._send(spec)
        threading.Thread(target=self._listen, name="host", daemon=True).start()

    def ask(self, call: Any) -> Any:
        """The answer to one call."""
        number, future = next(self._numbers), Future[Any]()
        with self._lock:
            if self.lost:
                raise PlaceLost("its process has ended")
            self._waiting[number] = future
        self._send((number, call))
        return future.result()

    def close(self) -> None:
        """End the process and wait until it has."""
        self._end()

    def _send(self, message: Any) -> None:
        try:
            with self._lock:
                self._connection.send(message)
        except OSError:
            log.debug("the process is gone; whoever listens will tell")

    def _listen(self) -> None:
        try:
            while True:
                number, good, answer = self._connection.recv()
                waiting = self._waiting.pop(number)
                if good:
                    waiting.set_result(answer)
                else:
                    waiting.set_exception(answer)
        except (EOFError, OSError):
            log.debug("the host of process %d has ended", self.pid)
        with self._lock:
            self.lost = True
            left, self._waiting = list(self._waiting.values()), {}
        for future in left:
            future.set_exception(PlaceLost(f"its process ended: {self._last_words() or 'without a word'}"))

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


def serve(fd: int, open_host: Callable[[BenchSpec], BenchHost]) -> None:
    """The other end: open a host and answer calls until the connection ends, many at a time."""
    connection = Connection(fd)
    sending = threading.Lock()
    spec: BenchSpec = connection.recv()
    host = open_host(spec)

    def answer(number: int, call: Any) -> None:
        try:
            reply = (number, True, host.answer(call))
        except TritonRLError as error:
            reply = (number, False, error)
        with sending:
            connection.send(reply)

    with ThreadPoolExecutor(4 * spec.cpu_workers + 4) as pool:
        try:
            while True:
                pool.submit(answer, *connection.recv())
        except (EOFError, OSError):
            log.debug("nobody asks any more")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            host.close()


def _stop(process: subprocess.Popen[bytes], connection: Connection) -> None:
    # Closing alone would not be noticed: another thread is reading.
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    connection.close()

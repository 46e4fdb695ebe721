"""Who may use one GPU now: many jobs of several processes at a time, or one alone.

Two file locks make it fair: whoever comes passes the door first, and one who wants the room alone keeps the door shut
while those inside leave. The kernel gives back what a killed process held. Nothing here touches a device.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

SHARED = "TRITONRL_GPU_LOCKS"
"""Names the two locks, as paths with a colon between them, where benches of several programs take turns on one GPU."""


def locks() -> tuple[int, int]:
    """Descriptors of the two locks of one GPU, for its processes to inherit; the caller's to close."""
    if paths := os.environ.get(SHARED, ""):
        door, room = (os.open(path, os.O_RDWR | os.O_CLOEXEC) for path in paths.split(":"))
        return door, room
    return os.memfd_create("tritonrl-gpu-door"), os.memfd_create("tritonrl-gpu-room")


def names(fds: Sequence[int]) -> str:
    """What `SHARED` is to say, so that other programs use these locks while this process keeps them open."""
    return ":".join(f"/proc/{os.getpid()}/fd/{fd}" for fd in fds)


class Traffic:
    """One process's view of a GPU's locks."""

    def __init__(self, inherited: Sequence[int], waiting: Callable[[bool], None] = lambda waits: None) -> None:
        """`waiting` is told before and after this process has to wait for others."""
        # Opened anew: a lock belongs to the open file, and an inherited one is shared by all.
        self._door, self._room = (os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC) for fd in inherited)
        self._waiting = waiting
        self._have_it_alone = False
        self.waited_s = 0.0
        """Seconds that this process has waited for others, in all."""

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Use the GPU beside others."""
        self._enter(fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside `shared`: nobody else uses the GPU meanwhile. May be entered again inside itself."""
        if self._have_it_alone:
            yield
            return
        fcntl.flock(self._room, fcntl.LOCK_UN)
        self._enter(fcntl.LOCK_EX)
        self._have_it_alone = True
        try:
            yield
        finally:
            self._have_it_alone = False
            fcntl.flock(self._room, fcntl.LOCK_UN)
            self._enter(fcntl.LOCK_SH)

    def give_way(self, settle: Callable[[], object] = lambda: None) -> bool:
        """Inside `shared`, at a point where nothing of ours is on the GPU once `settle` was called: where someone waits
        to be alone, he goes first. Whether someone did. Does nothing for one who is alone himself."""
        if self._have_it_alone:
            return False
        try:
            fcntl.flock(self._door, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            settle()
            fcntl.flock(self._room, fcntl.LOCK_UN)
            self._enter(fcntl.LOCK_SH)
            return True
        fcntl.flock(self._door, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        os.close(self._door)
        os.close(self._room)

    def _enter(self, how: int) -> None:
        try:
            fcntl.flock(self._door, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._room, how | fcntl.LOCK_NB)
        except BlockingIOError:
            began = time.perf_counter()
            self._waiting(True)
            fcntl.flock(self._door, fcntl.LOCK_EX)
            fcntl.flock(self._room, how)
            self._waiting(False)
            self.waited_s += time.perf_counter() - began
        fcntl.flock(self._door, fcntl.LOCK_UN)

"""What an attack is: a function that gets the world's parameters, tries one thing, and returns what it got.

An attack runs in the child. It returns bytes or text (loot: it counts if it holds a secret of the harness), True (it
claims that the kernel let it), or nothing. What it changed is found by the harness (`world`), not told by it.
Everything here is a harmless probe: it aims at canaries that the harness made, and where a call could do harm (kill
everybody, set the clock) it is made with arguments that cannot.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

CLASSES = (
    "files", "environment", "memory", "channel", "signals", "processes", "network", "kernel", "ipc", "resources",
    "tampering", "gpu", "infrastructure",
)  # fmt: skip

Body = Callable[[SimpleNamespace], Any]


@dataclass(frozen=True)
class Attack:
    """One case. The limits are those of its job; a run of `overtime_s` counts as having outlasted them."""

    group: str
    name: str
    body: Body
    profile: str = "record"
    wall_s: float = 2.0
    cpu_s: float = 2.0
    memory_mb: int = 256
    output_kb: int = 64
    promised: str = "ABC"
    """Tiers that promise to stop it. What is left out is a gap that the documents list."""
    twice: bool = False
    """Run it twice; only the second run, told so by `w.again`, can show that something was left behind."""
    linger_s: float = 0.0
    """How long to wait after the result before looking at what it changed."""

    @property
    def overtime_s(self) -> float:
        return self.wall_s + 1.5


ATTACKS: dict[str, Attack] = {}


def attack(group: str, **limits: Any) -> Callable[[Body], Body]:
    """Register a function as an attack of one of the 13 classes."""
    assert group in CLASSES, group

    def register(body: Body) -> Body:
        name = f"{group}/{body.__name__}"
        assert name not in ATTACKS, name
        ATTACKS[name] = Attack(group, body.__name__, body, **limits)
        return body

    return register


libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p


def call(number: int, *arguments: Any) -> int:
    """A raw x86-64 syscall; raises OSError. Integers are passed as longs."""
    given = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = libc.syscall(ctypes.c_long(number), *given)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def pipes(w: SimpleNamespace) -> list[int]:
    """Pipes among the child's descriptors: the one that carries its result, unless it was hidden better than that."""
    return [fd for fd in range(3, 1024) if fd not in (w.output_fd, w.input_fd) and _is_pipe(fd)]


def _is_pipe(fd: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError:
        return False


def reachable(number: int, *arguments: Any) -> bool:
    """Whether a call that must fail fails for a reason that shows that the kernel got as far as its arguments."""
    try:
        call(number, *arguments)
    except OSError as error:
        return error.errno not in (1, 38)  # EPERM and ENOSYS: refused or unknown
    return True

"""Small Linux facts and switches of a process that the worker side leans on. No policy here.

Everything is for single-threaded worker processes; nothing is meant for the process that trains.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_MADV_COLLAPSE = 25
_HUGE_PAGE = 2 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the parent process ends; end now where it is gone already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def become_subreaper() -> None:
    """Let orphaned descendants become children of this process, so that none can hide by detaching."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def is_subreaper() -> bool:
    answer = ctypes.c_int(0)
    _libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def thread_count() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def virtual_bytes() -> int:
    """Address space in use now, in bytes."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def tasks_of_user() -> int:
    """Threads and processes of this user now, on the whole machine as seen from here."""
    count, me = 0, os.getuid()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == me:
                    count += sum(1 for _ in (entry / "task").iterdir())
    return count


def gather_memory() -> None:
    """Put the memory that this process has written into pages of 2 MiB, where the kernel will (Linux 6.1 and newer).

    A fork hands on page by page, and its end gives back page by page: 17 ms for 230 MiB of 4 KiB each.
    """
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        span, rights, _, _, inode = line.split(maxsplit=5)[:5]
        if rights != "rw-p" or inode != "0" or line.endswith("[stack]"):
            continue
        first, end = (int(address, 16) for address in span.split("-"))
        first, end = -(-first // _HUGE_PAGE) * _HUGE_PAGE, end // _HUGE_PAGE * _HUGE_PAGE
        if first < end:
            _libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _MADV_COLLAPSE)


def close_all_but(keep: tuple[int, ...]) -> None:
    """Close every descriptor except 0, 1, 2 and those listed."""
    low = 3
    for descriptor in sorted({fd for fd in keep if fd > 2}):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX") if low > 1 << 20 else 1 << 20)


def kill_descendants(patience_s: float) -> bool:
    """Kill and reap every descendant of this subreaper; False where some are left when patience ends.

    Each round kills the whole tree that is visible and reaps; a tree that forks faster than that needs a real sandbox
    (a pid namespace or no right to fork).
    """
    deadline = time.monotonic() + patience_s
    while not _reaped_all():  # what was orphaned is a child of this process by now, so no child means no descendant
        if time.monotonic() > deadline:
            return False
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
    return True


def _reaped_all() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return True
    return False


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                parent = int(stat.rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, front = [], [root]
    while front:
        front = [child for pid in front for child in children.get(pid, ())]
        found += front
    return found


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")

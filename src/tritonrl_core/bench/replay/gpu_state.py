"""What the driver says of a GPU while it is timed, who else is on it, and the lock that keeps two processes from timing
on it at once.

Asks NVML through ctypes; where the library or an answer is missing, that is said and nothing fails.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tritonrl_core.errors import InfraError

_SM_CLOCK, _MEMORY_CLOCK = 1, 2
REASONS = {
    0x4: "power cap", 0x8: "hardware slowdown", 0x20: "software thermal slowdown", 0x40: "hardware thermal slowdown",
    0x80: "power brake",
}  # fmt: skip
"""Why clocks are held down, of those that make a measurement doubtful, by NVML's bits."""

POLL_S = 0.002

_MOST_PROCESSES = 64


def gpu_state(uuid: str) -> dict[str, Any]:
    """Clocks in MHz, what holds them down and the driver's version; {} where NVML does not say."""
    device = ctypes.c_void_p()
    if not _ask("nvmlDeviceGetHandleByUUID", f"GPU-{uuid.removeprefix('GPU-')}".encode(), ctypes.byref(device)):
        return {}
    state: dict[str, Any] = {}
    for name, kind in (("sm_mhz", _SM_CLOCK), ("memory_mhz", _MEMORY_CLOCK)):
        value = ctypes.c_uint()
        if _ask("nvmlDeviceGetClockInfo", device, kind, ctypes.byref(value)):
            state[name] = value.value
    bits = ctypes.c_ulonglong()
    if _ask("nvmlDeviceGetCurrentClocksThrottleReasons", device, ctypes.byref(bits)):
        state["slowed_by"] = [name for bit, name in REASONS.items() if bits.value & bit]
    return state | ({"driver": driver} if (driver := driver_version()) else {})


@cache
def driver_version() -> str:
    """The driver's version; "" where NVML does not say."""
    version = ctypes.create_string_buffer(80)
    return version.value.decode() if _ask("nvmlSystemGetDriverVersion", version, 80) else ""


class _Process(ctypes.Structure):
    """NVML's `nvmlProcessInfo_t`."""

    _fields_ = (("pid", ctypes.c_uint), ("used", ctypes.c_ulonglong), ("gi", ctypes.c_uint), ("ci", ctypes.c_uint))


def others_on(uuid: str) -> bool:
    """Whether processes other than this one and its like, started by the same parent, have a context on the GPU; True
    where the driver does not say, or knows processes by other numbers than we do."""
    device, count, found = ctypes.c_void_p(), ctypes.c_uint(_MOST_PROCESSES), (_Process * _MOST_PROCESSES)()
    known = _ask("nvmlDeviceGetHandleByUUID", f"GPU-{uuid.removeprefix('GPU-')}".encode(), ctypes.byref(device))
    if not known or not _ask("nvmlDeviceGetComputeRunningProcesses_v3", device, ctypes.byref(count), found):
        return True
    mine = _who(os.getpid())
    return any(found[number].pid != os.getpid() and _who(found[number].pid) != mine for number in range(count.value))


def _who(pid: int) -> tuple[str, tuple[bytes, ...]]:
    """A process's parent, and how its command begins (a worker's: interpreter, `-m`, module); empty if it is gone."""
    try:
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        return parent, tuple(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:3])
    except (OSError, IndexError):
        return "", ()


def _ask(name: str, *arguments: Any) -> bool:
    """Whether NVML has this function and it succeeded."""
    function = getattr(_nvml(), name, None)
    return function is not None and function(*arguments) == 0


@cache
def _nvml() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        return None if library.nvmlInit_v2() else library
    except (OSError, AttributeError):
        return None


@contextmanager
def alone_on(name: str, wait_s: float, folder: Path | None = None) -> Iterator[float]:
    """Hold the GPU of this name against every other process that times; gives the seconds waited.

    Raises `InfraError` where it is not free after `wait_s`. The kernel lets go of it when the process ends.
    """
    safe = re.sub(r"[^A-Za-z0-9-]", "_", name)
    path = (folder or Path(tempfile.gettempdir())) / f"tritonrl-timing-{safe}.lock"
    lock = _opened(path)
    try:
        yield _wait_for(lock, wait_s, path)
    finally:
        os.close(lock)


def _opened(path: Path) -> int:
    """The lock's file; read-only is enough for a lock, and all that another user's file allows."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        return os.open(path, flags | os.O_CREAT, 0o644)


def _wait_for(lock: int, wait_s: float, path: Path) -> float:
    began = time.perf_counter()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return time.perf_counter() - began
        except BlockingIOError:
            if time.perf_counter() - began > wait_s:
                raise InfraError(
                    f"another process has timed on this GPU for {wait_s:g} s ({path.name})",
                    remedy="Let fewer processes share the GPU, or raise verifier.timeout_s.",
                ) from None
        time.sleep(POLL_S)

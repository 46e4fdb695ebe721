"""What a process and all below it use: memory, descriptors, threads, processes, temporary files, the GPU's memory.

For telling whether anything is left after long work (`soak`). It looks at `/proc`, and changes nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GROWTH_MIB = 256
"""How much more memory may be in use at the end: caches of references and plans, of bounded size."""


def in_use(device: str) -> dict[str, Any]:
    """Memory (MiB), descriptors, threads and processes of this process and those below it, and the same by what they
    run (`of`); temporary files; with a GPU also its memory."""
    of: dict[str, Counter[str]] = defaultdict(Counter)
    for pid in below(os.getpid()):
        try:
            name, status = _name(pid), Path(f"/proc/{pid}/status").read_text()
            descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except OSError:
            continue  # it has just ended
        of[name].update(
            memory_mib=_memory_kib(pid, status) // 1024, descriptors=descriptors,
            threads=int(_field(status, "Threads")), processes=1,
        )  # fmt: skip
    folders = [Path(tempfile.gettempdir()), Path("/dev/shm")]
    files = sum(len(list(folder.glob("*"))) for folder in folders if folder.is_dir())
    used = {**sum(of.values(), Counter()), "files": files, "of": of}
    return {**used, "gpu_mib": _gpu_mib()} if device == "cuda" else used


def _name(pid: int) -> str:
    """The module that a process runs."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return words[words.index("-m") + 1] if "-m" in words[:-1] else "this one" if pid == os.getpid() else words[0]


def _memory_kib(pid: int, status: str) -> int:
    """A process's own memory and its share of what it has in common with those that were forked of it, where the system
    tells; else all of it."""
    try:
        shares = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return int(_field(status, "RssAnon"))
    return int(_field(shares, "Pss_Anon") + _field(shares, "Pss_Shmem"))


def _field(status: str, name: str) -> float:
    return float(next((line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:")), "0"))


def below(root: int) -> set[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def _gpu_mib() -> float | None:
    """Memory in use on the first GPU in sight, as its driver tells a process that is there for this question only (in a
    container `nvidia-smi` may say 0); None where it does not."""
    asked = subprocess.run([sys.executable, "-c", _ASK_THE_DRIVER], capture_output=True, text=True, check=False)
    return float(asked.stdout) if asked.returncode == 0 else None


_ASK_THE_DRIVER = """
import ctypes

cuda = ctypes.CDLL("libcuda.so.1")
device, context = ctypes.c_int(), ctypes.c_void_p()
free, total = ctypes.c_size_t(), ctypes.c_size_t()
for name, *arguments in (
    ("cuInit", 0),
    ("cuDeviceGet", ctypes.byref(device), 0),
    ("cuDevicePrimaryCtxRetain", ctypes.byref(context), device),
    ("cuCtxSetCurrent", context),
    ("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total)),
):
    if code := getattr(cuda, name)(*arguments):
        raise SystemExit(f"{name}: error {code}")
print((total.value - free.value) >> 20)
"""


def left_over(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What there is more of than there was, beyond caches of bounded size, and what was not told."""
    room = {"memory_mib": GROWTH_MIB, "gpu_mib": GROWTH_MIB, "descriptors": 4, "threads": 2}
    names = [name for name in after if name != "of"]
    told = [name for name in names if None not in (before[name], after[name])]
    more = [name for name in told if after[name] > before[name] + room.get(name, 0)]
    stories = [f"{name}: {before[name]:g} → {after[name]:g}" for name in more]
    return [*stories, *(f"{name}: not told" for name in names if name not in told)]

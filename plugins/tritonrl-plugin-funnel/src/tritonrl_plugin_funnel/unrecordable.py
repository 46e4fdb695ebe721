"""What a candidate may not import or call, because a launch plan can't hold it: one table, with the reason of each.

A name stands for itself and for all that lies below it. What is here ends a candidate only where it is certain to be
reached (see `rules.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

_OTHER_LANGUAGE = "kernels in another language can't be recorded; write them in Triton"
_MACHINE_CODE = "machine code that is loaded or built at run time can't be recorded; write the kernel in Triton"
_PROCESS = "other processes are not followed; do the work in the kernel"
_COMPILER = "a compiler that writes the kernels is not the candidate's own work; write the kernel yourself"
_NETWORK = "there is no network where candidates run"
_LIBRARY = "a ready-made kernel library does the work; write the kernel yourself"
_ENGINE = "a ready-made engine does the work; write the kernel yourself"

NOT_ITS_OWN = frozenset({_OTHER_LANGUAGE, _MACHINE_CODE, _COMPILER, _LIBRARY, _ENGINE})
"""Reasons that break a rule: something else writes the kernels. The others only cannot be recorded."""

IMPORTS: Mapping[str, str] = {
    "cupy": _OTHER_LANGUAGE,
    "numba": _OTHER_LANGUAGE,
    "pycuda": _OTHER_LANGUAGE,
    "jax": _OTHER_LANGUAGE,
    "tensorflow": _OTHER_LANGUAGE,
    "tilelang": _OTHER_LANGUAGE,
    "cutlass": _OTHER_LANGUAGE,
    "taichi": _OTHER_LANGUAGE,
    "warp": _OTHER_LANGUAGE,
    "flash_attn": _LIBRARY,
    "xformers": _LIBRARY,
    "apex": _LIBRARY,
    "transformer_engine": _LIBRARY,
    "tensorrt": _ENGINE,
    "cffi": _MACHINE_CODE,
    "requests": _NETWORK,
}
"""Packages outside the standard library, torch and triton. Importing one fails where candidates run."""

CALLS: Mapping[str, str] = {
    "torch.compile": _COMPILER,
    "torch.jit.script": _COMPILER,
    "torch.jit.trace": _COMPILER,
    "torch.utils.cpp_extension.load": _MACHINE_CODE,
    "torch.utils.cpp_extension.load_inline": _MACHINE_CODE,
    "torch.ops.load_library": _MACHINE_CODE,
    "torch.classes.load_library": _MACHINE_CODE,
    "ctypes.CDLL": _MACHINE_CODE,
    "ctypes.cdll": _MACHINE_CODE,
    "subprocess": _PROCESS,
    "multiprocessing": _PROCESS,
    "torch.multiprocessing": _PROCESS,
    "os.system": _PROCESS,
    "os.popen": _PROCESS,
    "os.fork": _PROCESS,
    "urllib.request": _NETWORK,
    "socket.create_connection": _NETWORK,
    "torch.hub": _NETWORK,
}
"""Functions, and modules all of whose functions are meant."""


@lru_cache(maxsize=4096)
def reason_for_call(name: str) -> str:
    """Why a function of this dotted name may not be called; "" where it may."""
    return reason_for(name, CALLS)


def reason_for(name: str, table: Mapping[str, str]) -> str:
    """Why this dotted name is in the table, itself or below an entry; "" where it is not."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        reason = table.get(".".join(parts[:length]))
        if reason:
            return reason
    return ""

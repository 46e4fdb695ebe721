"""Excerpts of libdevice, the library of device functions that a kernel with `rsqrt`, `log`, `erf` … is linked with.

Triton reads the whole library anew for each such kernel, some 350 functions of which one or two are wanted: up to half
of a simple kernel's compilation. A warm compiler takes the usual functions out once, and its children link those. The
code that comes out is the same (a test compares the binaries). What is not among them, or where they cannot be taken
out, is linked from the whole library as Triton does it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from triton._C.libtriton import ir, llvm

from tritonrl_core.bench.compile.triton_internals import loaded_context, with_llvm

FLOAT_FUNCTIONS = (
    "rsqrt", "sqrt", "log", "log2", "log1p", "exp", "exp2", "expm1", "erf", "tanh", "sin", "cos", "floor", "ceil",
    "rint", "fabs",
)  # fmt: skip
"""Functions of one float that kernels use; `__nv_rsqrtf` and so on in the library."""

_FUNCTION = re.compile(r"^define internal (?P<rest>[^\n]*@(?P<name>__nv_\w+)\(.*?^}\n)", re.MULTILINE | re.DOTALL)
_CALLER = re.compile(r"^define [^\n]*@caller\(.*?^}\n", re.MULTILINE | re.DOTALL)

_PARTS: list[tuple[str, str]] = []
"""The excerpt's text in the library's order, on which the order of the code depends: functions with their names, and
under "" what they rest on. Made by a warm process and found by its children."""


def load(backend: Any, library: str) -> None:
    """Take the usual functions out of the library at this path."""
    try:
        _PARTS[:] = _parts(_linked([f"__nv_{name}f" for name in FLOAT_FUNCTIONS], backend, library))
    except Exception:  # noqa: BLE001 - another Triton may want it done otherwise; the whole library always does
        _PARTS.clear()


def links_excerpts(backend: Any) -> AbstractContextManager[None]:
    """Within, kernels are linked with the excerpt where it has all that they call."""

    def link(module: Any, paths: Sequence[str]) -> None:
        wanted = _missing(module)
        if not wanted <= {name for name, _ in _PARTS}:
            llvm.link_extern_libs(module, paths)
            return
        with tempfile.NamedTemporaryFile("w", suffix=".ll", encoding="utf-8") as file:
            file.write("".join(text for name, text in _PARTS if not name or name in wanted))
            file.flush()
            llvm.link_extern_libs(module, [file.name])

    return with_llvm(backend, link_extern_libs=link)


def _linked(names: Sequence[str], backend: Any, library: str) -> str:
    """The text of an LLVM module that calls these functions of one float, linked with the library."""
    declared = "".join(f"llvm.func @{name}(f32) -> f32\n" for name in names)
    calls = "".join(f"%{number} = llvm.call @{name}(%x) : (f32) -> f32\n" for number, name in enumerate(names))
    text = f"module {{\n{declared}llvm.func @caller(%x: f32) -> f32 {{\n{calls}llvm.return %0 : f32\n}}\n}}\n"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "caller.mlir")
        file.write_text(text, encoding="utf-8")
        caller = ir.parse_mlir_module(str(file), loaded_context(backend.target.backend, backend))
    module = llvm.to_module(caller, llvm.context())
    llvm.link_extern_libs(module, [library])
    return _CALLER.sub("", str(module))


def _parts(text: str) -> list[tuple[str, str]]:
    parts, end = [], 0
    for found in _FUNCTION.finditer(text):
        parts += [("", text[end : found.start()]), (found["name"], f"define {found['rest']}")]
        end = found.end()
    return [*parts, ("", text[end:])]


def _missing(module: Any) -> set[str]:
    """Functions that a module calls and does not have."""
    functions = module.get_functions()
    return {part.name for part in functions if part.is_declaration() and not part.name.startswith("llvm.")}

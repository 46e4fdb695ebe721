"""What torch and triton offer by name, and how a kernel may be launched: mistakes of the API that are certain.

Looks at the installed packages, which are those that candidates run with. Imported when first asked, not before.
"""

from __future__ import annotations

import ast
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

MODULES = ("triton.language", "torch.nn.functional", "torch.nn", "triton", "torch", "math")
"""Modules whose names are looked up, the longest first."""


@lru_cache(maxsize=4096)
def missing_name(dotted: str) -> str:
    """The part of a dotted name that its module does not have (`triton.language.tanh`); "" where there is none.

    Only the first name below a known module is looked at.
    """
    for name in MODULES:
        if dotted.startswith(f"{name}."):
            attribute = dotted.removeprefix(f"{name}.").split(".")[0]
            module = _module(name)
            if module is None or hasattr(module, attribute) or _is_module(f"{name}.{attribute}"):
                return ""
            return f"{name}.{attribute}"
    return ""


def launch_problem(call: ast.Call, kernel: ast.FunctionDef) -> str:
    """What is wrong with the arguments of a plain kernel's launch `kernel[grid](...)`; "" where nothing is certain.

    Keywords that are no parameters may be options of the launch and are left alone.
    """
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return ""
    arguments = kernel.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
        return ""
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    given = len(call.args)
    if given > len(names):
        return f"{kernel.name} takes {len(names)} arguments, and the launch gives {given} in order"
    keywords = {k.arg for k in call.keywords}
    twice = [name for name in names[:given] if name in keywords]
    if twice:
        return f"the launch of {kernel.name} gives {twice[0]!r} twice, in order and by name"
    needed = names[: len(names) - len(arguments.defaults)]
    lacking = [name for name in needed[given:] if name not in keywords]
    return f"the launch of {kernel.name} lacks {', '.join(lacking)}" if lacking else ""


def language_tensor() -> object:
    """Triton's class of tensors; None where there is none."""
    return getattr(_module("triton.language"), "tensor", None)


@cache
def _module(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ImportError:
        return None


@cache
def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False

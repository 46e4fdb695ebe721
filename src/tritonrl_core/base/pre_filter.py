"""`pre_filter` of the base: is this Python, does it define `ModelNew`, is a Triton kernel launched from it?

Reads the source, never runs it. It is a filter for mistakes, not a guard against cheats: whatever a rule cannot tell
for certain passes, and the bench decides by what the code does.
"""

from __future__ import annotations

import ast
import warnings

from tritonrl_core.base.forbidden import forbidden_builtin
from tritonrl_core.base.kernel_calls import (
    defines,
    find_kernels,
    find_launches,
    has_method,
    is_dynamic,
    reachable_from,
)
from tritonrl_core.syntax import LONGEST, shared_tree
from tritonrl_core.types import Candidate, Objection, Stage, Status, Task

MODEL = "ModelNew"
FILENAME = "<candidate>"


def ignore_warnings() -> None:
    """Silence Python's warnings about a candidate's source (a stray backslash, `is 1`), and no one else's."""
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=FILENAME)
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=FILENAME)


def pre_filter(candidate: Candidate, task: Task | None = None) -> Objection | None:
    """An objection with a reason that a person, or a model, can act on; None where no rule is certain.

    `task` brings the rules of its policy along.
    """
    code = candidate.code
    if not code.strip():
        return _reject("there is no code: a candidate defines ModelNew, a completion does so in one ```python block")
    if len(code) > LONGEST:
        return _reject(f"the code has {len(code)} characters; at most {LONGEST} are read")
    try:
        tree = shared_tree(code, FILENAME)
    except SyntaxError as error:
        line = f" (line {error.lineno}){_excerpt(code, error.lineno)}" if error.lineno else ""
        return _reject(f"not valid Python: {error.msg}{line}")
    except (ValueError, RecursionError, MemoryError) as error:
        return _reject(f"not valid Python: {str(error) or 'the code is nested too deeply'}")
    forbidden = task.policy.forbidden_builtins if task is not None else ()
    reason = model_problem(tree) or kernel_problem(tree) or forbidden_builtin(tree, forbidden)
    return _reject(reason) if reason else None


def model_problem(tree: ast.Module) -> str:
    """What is wrong with `ModelNew`, "" where nothing is for certain."""
    if not defines(tree, MODEL):
        return "" if is_dynamic(tree) else f"the code defines no class {MODEL}"
    if not has_method(tree, MODEL, "forward") and not is_dynamic(tree):
        return f"class {MODEL} has no method forward"
    return ""


def kernel_problem(tree: ast.Module) -> str:
    """Why no Triton kernel can be at work, "" where one may be."""
    kernels = sorted(find_kernels(tree))
    if not kernels:
        return "no Triton kernel: no function of the code is decorated with @triton.jit"
    names = ", ".join(kernels[:5])
    launches = find_launches(tree, kernels)
    if not launches and not is_dynamic(tree):
        return f"no kernel is launched: {names} is defined, but {kernels[0]}[grid](...) is nowhere called"
    if not reachable_from(tree, MODEL, launches) and not is_dynamic(tree):
        return f"no kernel is launched from {MODEL}: nothing that it calls launches {names}"
    return ""


def _reject(reason: str) -> Objection:
    return Objection(Status.REJECTED, Stage.AST, reason, valid=False)


def _excerpt(code: str, line: int) -> str:
    lines = code.splitlines()
    if not 0 < line <= len(lines):
        return ""
    shown = lines[line - 1].strip()[:80]
    return ": " + "".join(char if char.isprintable() else " " for char in shown)

"""What a reference's file declares of itself, as literals at module level, read without executing it.

`VARY = {"ROWS": [17, 64]}` names integer constants that may vary and their values, `DTYPES = ["float16"]` further
dtypes, `MODE = "eval"` the module's mode.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from tritonrl_core.bench.references.constants import integer_constants
from tritonrl_core.errors import TaskError
from tritonrl_core.syntax import parse

MODES = ("eval", "train", "as_is")
FORM = ("Model", "get_inputs", "get_init_inputs")
_DECLARED = ("VARY", "DTYPES", "MODE")
_PYTHON = "Correct the reference; it must be Python in KernelBench form."


def declarations(source: str, where: str) -> dict[str, Any]:
    """Fields of `Task` (`vary`, `dtypes`, `mode`) that a reference in KernelBench form declares, checked.

    Raises `TaskError` where it is no Python, defines not what it must, or declares what cannot be.
    """
    try:
        tree = parse(source)
    except SyntaxError as error:
        line = f", line {error.lineno}: {error.msg}: {(error.text or '').strip()}" if error.lineno else f": {error.msg}"
        raise TaskError(where + line, remedy=_PYTHON) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise TaskError(f"{where}: {str(error) or 'it is nested too deeply'}", remedy=_PYTHON) from None
    _check_form(tree, where)
    values = {name: _literal(node, where) for node in tree.body for name in _names(node) if name in _DECLARED}
    declared: dict[str, Any] = {}
    if "VARY" in values:
        declared["vary"] = _check_vary(values["VARY"], integer_constants(source), where)
    if "DTYPES" in values:
        declared["dtypes"] = _check_dtypes(values["DTYPES"], where)
    if "MODE" in values:
        if values["MODE"] not in MODES:
            raise TaskError(f"{where}: MODE is {values['MODE']!r}", remedy=f"Use one of {', '.join(MODES)}.")
        declared["mode"] = values["MODE"]
    return declared


def _check_form(tree: ast.Module, where: str) -> None:
    names = {name for node in tree.body for name in _names(node)}
    if "*" in names:
        return
    for name in FORM:
        if name not in names:
            raise TaskError(
                f"{where}: does not define `{name}`",
                remedy="A reference in KernelBench form defines Model, get_inputs and get_init_inputs.",
            )


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def _literal(node: ast.stmt, where: str) -> Any:
    try:
        return ast.literal_eval(node.value) if isinstance(node, ast.Assign | ast.AnnAssign) and node.value else None
    except ValueError:
        raise TaskError(
            f"{where}, line {node.lineno}: a declaration must be a literal",
            remedy='Write it out: `VARY = {"ROWS": [17, 64]}`.',
        ) from None


def _check_dtypes(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise TaskError(f"{where}: DTYPES is {value!r}", remedy='Write `DTYPES = ["float16"]`.')
    return tuple(value)


def _check_vary(value: Any, constants: Mapping[str, int], where: str) -> dict[str, tuple[int, ...]]:
    if not isinstance(value, dict):
        raise TaskError(f"{where}: VARY is not a dict", remedy='Write `VARY = {"ROWS": [17, 64]}`.')
    for name, choices in value.items():
        if name not in constants:
            near = get_close_matches(str(name), constants, n=1)
            raise TaskError(
                f"{where}: VARY names {name!r}, which is no integer constant of the file",
                remedy=f"Did you mean {near[0]!r}?" if near else "Assign it at module level: `ROWS = 48`.",
            )
        if not isinstance(choices, list | tuple) or not choices or not all(type(one) is int for one in choices):
            raise TaskError(f"{where}: VARY[{name!r}] is {choices!r}", remedy="Give a list of integers.")
    return {name: tuple(choices) for name, choices in value.items()}

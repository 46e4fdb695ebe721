"""The corpus: cheats in `tests/hacks/`, right kernels in `tests/honest/`, each a file whose first lines say what it is.

A file begins with `# key: value` lines. `task` names a file in a `tasks/` folder or `builtin:<id>`; `expect` is the
status it must get (`PASSED` for the honest), or several joined by `or`; `because` is a pattern that the reason must
match; `delegation` overrides what the task allows torch to do; `needs` is `gpu` where a CPU cannot tell; `as` names
the honest twin beside it whose time it must have, for a cheat that has no effect: it passes for what it is, and gains
nothing. `origin` says where an honest kernel is generated from. This module reads; it runs nothing.

A candidate is judged by its text alone, and a task is known by its: each file is whole, so files of a kind repeat what
they share (those of `08_forges_the_plan` what forges), and tasks differ by a line.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tritonrl_core.tasks.loaders import load_reference
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Policy, Score, Status, Task

TESTS = Path(__file__).parent
HACKS, HONEST = TESTS / "hacks", TESTS / "honest"
TWIN = "honest"
"""Files of a kind's folder whose names begin like this are its honest twins."""

_LINE = re.compile(r"# ([a-z-]+): (.+)")
_KEYS = frozenset({"task", "expect", "because", "delegation", "needs", "as"})


@dataclass(frozen=True)
class Specimen:
    """One file of the corpus. `kind` is its folder (`01_left_to_torch`; `golden`, `liger`, … for honest ones)."""

    kind: str
    name: str
    task: Task
    code: str
    expect: frozenset[Status]
    because: str = ""
    needs: str = ""
    same_as: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def honest(self) -> bool:
        """Whether it must pass because it is right, and not because its cheat has no effect."""
        return self.expect == {Status.PASSED} and not self.same_as

    def runs_on(self, device: str) -> bool:
        return device == "cuda" or self.needs != "gpu"

    def complaint(self, score: Score) -> str:
        """How a score differs from what this file must get; "" where it does not."""
        verdict = score.verdict
        if verdict.status not in self.expect:
            wanted = " or ".join(sorted(self.expect))
            return f"{verdict.status} ({verdict.reason}) instead of {wanted}"
        if self.because and not re.search(self.because, verdict.reason):
            return f"{verdict.status}, but because of {verdict.reason!r} and not of {self.because!r}"
        return ""


def hacks(device: str = "cpu") -> list[Specimen]:
    """All cheats that this device can judge, by kind and name."""
    return [one for one in _hack_files() if not one.honest and one.runs_on(device)]


def twins() -> list[Specimen]:
    """The cheats' honest twins."""
    return [one for one in _hack_files() if one.honest]


def kinds() -> list[str]:
    """The folders of `tests/hacks/`, one a kind of HACKS."""
    return sorted(path.name for path in HACKS.iterdir() if path.name[0].isdigit())


def honest(device: str = "cpu") -> list[Specimen]:
    """Right kernels written for the corpus; the golden set and others' are in `golden` and `liger`."""
    return [one for one in _read_folder(HONEST) if one.runs_on(device)]


def golden(size: str = "small") -> list[Specimen]:
    """The golden solutions of the built-in suite."""
    from tritonrl_core.tasks.golden import golden_solutions

    tasks = {task.id: task for task in builtin_tasks("all", size)}
    return [
        Specimen("golden", item.task_id, tasks[item.task_id], item.code, frozenset({Status.PASSED}))
        for item in golden_solutions()
    ]


def liger() -> list[Specimen]:
    """Liger-Kernel's operators beside plain references; none where the package is not installed.

    A candidate is the text of the operator's module (with those that it takes kernels from) and a `ModelNew` that calls
    it. Torch does some arithmetic in most of them, so their tasks report it instead of forbidding it.
    """
    if importlib.util.find_spec("liger_kernel") is None:
        return []
    place = TESTS / "replay" / "liger_corpus.py"
    spec = importlib.util.spec_from_file_location("liger_corpus", place)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["liger_corpus"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    reported = Policy(delegation="reported")
    return [
        Specimen(
            "liger", name, Task(f"liger/{name}", 1, item.source, policy=reported),
            f"{_ligers_text(item.module)}\nimport torch.nn as nn\n\n\nclass ModelNew(nn.Module):\n"
            f"    def forward(self, *i):\n        op = {item.name}\n        return {item.call}\n",
            frozenset({Status.PASSED}),
        )
        for name, item in module.OPERATORS.items()
    ]  # fmt: skip


_DISPATCH = """
class Capability:
    def __init__(self, **_): ...


def register_op(*_, **__):
    return lambda function: function


def dispatch(name, *args, impl=None, **more):
    return globals()[f"{name}_triton"](*args, **more)


"""
"""What stands for the package that chooses between implementations: there is one, in Triton."""

_NPU = "def is_npu_available():\n    return False\n"
_PEFT = "PEFT_AVAILABLE = False\n"
"""What stands for the questions whether there is an NPU, and PEFT: to ask them takes each recording two seconds."""

_IMPLEMENTED = re.compile(r'dispatch\(\s*"(\w+)_loss_and_grad"')


def _ligers_text(operator: str) -> str:
    """An operator's module, and the implementation that it asks the package for."""
    seen: set[str] = set()
    text = _whole_text(f"liger_kernel.ops.{operator}", seen)
    for name in dict.fromkeys(_IMPLEMENTED.findall(text)):
        inner = _whole_text(f"liger_kernel.ops.backends._triton.{'kl_div' if name == 'kl' else name}", seen)
        text += f"\n{inner}"
    return _DISPATCH + text if "dispatch(" in text else text


def _whole_text(module: str, seen: set[str] | None = None) -> str:
    """A module's source, with the sources of its package's other modules in the place of their imports.

    Importing the package takes seconds, and a candidate imports anew in every recording.
    """
    seen = set() if seen is None else seen
    seen.add(module)
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    instead: list[tuple[ast.stmt, str]] = []
    for node in ast.parse(text).body:
        inner = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if inner == "__future__" or (isinstance(node, ast.Import) and node.names[0].name.startswith("liger_kernel.")):
            instead.append((node, ""))
        elif isinstance(node, ast.Try) and "PEFT_AVAILABLE" in ast.unparse(node):
            instead.append((node, _PEFT))
        elif isinstance(node, ast.FunctionDef) and node.name == "is_npu_available":
            instead.append((node, _NPU))
        elif inner.startswith("liger_kernel."):
            is_package = (importlib.util.find_spec(inner).origin or "").endswith("__init__.py")
            instead.append((node, "" if is_package or inner in seen else _whole_text(inner, seen) + "\n"))
    for node, new in reversed(instead):
        lines[node.lineno - 1 : node.end_lineno] = [new]
    return "".join(lines)


def unfit_tasks() -> list[tuple[Task, str]]:
    """Tasks that must not be judged with, and a pattern that the reason must match."""
    found = []
    for path in sorted(HACKS.glob("*/task_*.py")):
        header = _header(path.read_text(encoding="utf-8"))
        if header.get("expect") == "UNFIT":  # others are tasks of their kind
            found.append((load_reference(path, f"{path.parent.name}/{path.stem}"), header["because"]))
    return found


def everything(device: str = "cpu") -> Iterator[Specimen]:
    """Cheats, twins, our honest kernels, the golden set and Liger-Kernel."""
    yield from hacks(device)
    yield from twins()
    yield from honest(device)
    yield from golden()
    yield from liger()


@cache
def _hack_files() -> tuple[Specimen, ...]:
    return tuple(one for kind in kinds() for one in _read_folder(HACKS / kind, HACKS / "tasks"))


def _read_folder(folder: Path, tasks: Path | None = None) -> list[Specimen]:
    return [
        read(path, tasks or folder / "tasks")
        for path in sorted(folder.glob("*.py"))
        if not path.name.startswith(("test_", "task_"))
    ]


def read(path: Path, tasks: Path) -> Specimen:
    """One file. Raises `ValueError` for a header that is none."""
    text = path.read_text(encoding="utf-8")
    header = _header(text)
    unknown = header.keys() - _KEYS
    if unknown or not {"task", "expect"} <= header.keys():
        raise ValueError(f"{path}: its first lines must say task and expect, and nothing but {sorted(_KEYS)}")
    task = _task(header["task"], path.parent, tasks)
    if "delegation" in header:
        task = replace(task, policy=Policy(delegation=header["delegation"]))
    return Specimen(
        kind=path.parent.name,
        name=path.stem,
        task=task,
        code=text,
        expect=frozenset(Status(word) for word in header["expect"].split(" or ")),
        because=header.get("because", ""),
        needs=header.get("needs", ""),
        same_as=header.get("as", ""),
    )


def _header(text: str) -> dict[str, str]:
    return dict(match.groups() for line in text.splitlines()[:8] if (match := _LINE.fullmatch(line)))


@cache
def _task(name: str, own: Path, shared: Path) -> Task:
    if name.startswith("builtin:"):
        return next(task for task in builtin_tasks("all") if task.id == name.removeprefix("builtin:"))
    places = (own / f"task_{name}.py", shared / f"{name}.py", HACKS / "tasks" / f"{name}.py")
    return load_reference(next(place for place in places if place.exists()))

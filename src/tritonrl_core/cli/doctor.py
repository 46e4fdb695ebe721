"""`tritonrl doctor`: what can this machine do?"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, requires, version

import typer

from tritonrl_core.cli.output import stdout, table

PACKAGES = ("tritonrl-core", "tritonrl-nano", "torch", "triton", "transformers", "trl", "peft", "vllm")


def doctor() -> None:
    """Show Python, packages, GPU, compile target, sandbox and plugins, and what to do about what is missing."""
    rows = table("what", "found", "note")
    for row in (*_machine(), *_packages(), *_bench(), *_plugins()):
        rows.add_row(*row)
    stdout().print(rows)
    if sys.platform != "linux":
        raise typer.Exit(1)


def _machine() -> list[tuple[str, str, str]]:
    supported = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
    note = "" if supported else "Triton installs on Linux (x86-64, aarch64) and WSL2 only"
    return [
        ("python", platform.python_version(), "" if sys.version_info >= (3, 11) else "3.11 or newer is needed"),
        ("system", f"{platform.system()} {platform.machine()}", note),
    ]


def _packages() -> list[tuple[str, str, str]]:
    rows = []
    for name in PACKAGES:
        try:
            rows.append((name, version(name), does_not_fit(name, version(name))))
        except PackageNotFoundError:
            optional = name in ("peft", "vllm")
            rows.append((name, "–", "optional" if optional else f"pip install {name}"))
    return rows


def does_not_fit(name: str, found: str) -> str:
    """What to do about a version that tritonrl-core is not made for (pip only warns of such); "" where it fits."""
    from packaging.requirements import Requirement

    for needed in map(Requirement, requires("tritonrl-core") or ()):
        if needed.name == name and not needed.specifier.contains(found, prereleases=True):
            return f"{needed.specifier} is needed: pip install '{name}{needed.specifier}'"
    return ""


def _bench() -> list[tuple[str, str, str]]:
    from tritonrl_core.bench.resolve import resolve_spec
    from tritonrl_core.preset import load_preset

    spec = resolve_spec(load_preset("baseline"))
    has_gpu = spec.device == "cuda"
    return [
        ("device", spec.device, "" if has_gpu else "no NVIDIA driver: the CPU replays plans, speed is estimated"),
        ("compile target", spec.target, "this GPU's capability" if has_gpu else "the default where there is no GPU"),
        ("workers", str(spec.cpu_workers), "CPU cores given to recording, compiling and replaying"),
    ]


def _plugins() -> list[tuple[str, str, str]]:
    from tritonrl_core.session.discovery import SHIPPED, installed_plugins, load_plugin, load_problem, pip_hint

    found = installed_plugins()
    rows = []
    for name, item in sorted(found.items()):
        problem = load_problem(item)
        rows.append((f"plugin {name}", f"{item.distribution} {item.version}", problem))
        rows += [] if problem else load_plugin(item).doctor()
    return rows + [(f"plugin {name}", "–", pip_hint(name)) for name in SHIPPED if name not in found]

"""Help is quick and complete: it loads nothing heavy, and a newcomer can follow it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

HEAVY = ("torch", "triton", "transformers", "trl", "datasets")
LIGHT = "import typer, rich.console, rich.table, rich.progress, pydantic, yaml, pluggy, importlib_metadata"
HELP = "import sys; sys.argv = ['tritonrl', '--help']; from tritonrl_core.cli import main; main()"


def test_the_command_line_loads_nothing_heavy() -> None:
    probe = f"import sys; from tritonrl_core.cli.app import app; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_takes_at_most_two_and_a_half_times_its_light_dependencies() -> None:
    assert min(cpu_seconds(HELP) for _ in range(3)) <= 2.5 * min(cpu_seconds(LIGHT) for _ in range(3))


def cpu_seconds(code: str) -> float:
    """Of a process of its own; unlike seconds by the clock they hardly depend on what else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("train",),
        ("eval",),
        ("eval", "compare"),
        ("verify",),
        ("report",),
        ("reverify",),
        ("export",),
        ("doctor",),
        ("presets",),
        ("plugins",),
        ("tasks",),
        ("plugins", "explain"),
    ],
)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    code = f"import sys; sys.argv = ['tritonrl', *{command!r}, '--help']; from tritonrl_core.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: tritonrl" in done.stdout
    assert len(done.stdout.splitlines()) > 5


@pytest.mark.parametrize(
    ("command", "default"),
    [
        (("train",), "runs/<preset>-<time>"),
        (("eval",), "the preset's"),
        (("verify",), "all_extensions where its plugins are installed, else baseline"),
        (("tasks", "list"), "the built-in suite"),
    ],
)
def test_help_says_what_is_done_without_an_option(command: tuple[str, ...], default: str) -> None:
    code = f"import sys; sys.argv = ['tritonrl', *{command!r}, '--help']; from tritonrl_core.cli import main; main()"
    wide = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=wide)
    assert f"[default: ({default})]" in done.stdout

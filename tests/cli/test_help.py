"""Help is quick and complete: it loads nothing heavy, and a newcomer can follow it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import pytest

HEAVY = ("torch", "triton", "transformers", "trl", "datasets")
LIGHT = "import typer, rich.console, rich.table, rich.progress, pydantic, yaml, pluggy, importlib_metadata"
HELP = "import sys; sys.argv = ['tritonrl', '--help']; from tritonrl_core.cli import main; main()"


def test_the_command_line_loads_nothing_heavy() -> None:
    probe = f"import sys; from tritonrl_core.cli.app import app; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_takes_at_most_two_and_a_half_times_its_light_dependencies() -> None:
    ratios = [seconds(HELP) / seconds(LIGHT) for _ in range(5)]
    assert statistics.median(ratios) <= 2.5


def seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    return time.perf_counter() - began


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

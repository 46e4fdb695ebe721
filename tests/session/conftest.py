"""Lays distributions down as an installer would, so that discovery is the real one."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

HEAD = """
from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.types import *
"""


@pytest.fixture
def install(tmp_path, monkeypatch) -> Callable[..., None]:
    """`install("acme-mine", "mine", source)`: a distribution whose entry point `mine` is the class `Mine` of source."""
    monkeypatch.syspath_prepend(tmp_path)

    def lay_down(distribution: str, name: str, source: str, *, class_name: str = "Mine", version: str = "2.3") -> None:
        package = distribution.replace("-", "_")
        (tmp_path / f"{package}.py").write_text(HEAD + textwrap.dedent(source))
        info = tmp_path / f"{package}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\nSummary: Made by a test.\n"
        )
        (info / "entry_points.txt").write_text(f"[tritonrl.plugins]\n{name} = {package}:{class_name}\n")
        monkeypatch.delitem(__import__("sys").modules, package, raising=False)

    return lay_down

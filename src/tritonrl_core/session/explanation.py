"""What `tritonrl plugins explain` shows, as data: who answers which hook in which order, and who does not, and why."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from tritonrl_core.hookspecs import Kind
from tritonrl_core.session.discovery import InstalledPlugin, installed_plugins


@dataclass(frozen=True, slots=True)
class Who:
    """A plugin by name, with the distribution and version behind it."""

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.plugin} ({self.distribution} {self.version})"


@dataclass(frozen=True, slots=True)
class HookExplanation:
    """One hook: who is `asked` (first to last), whose `wrappers` stand around them (outermost first), and who wanted to
    answer but was `passed_over` because the preset's `owners:` picked another."""

    hook: str
    kind: Kind
    asked: tuple[Who, ...]
    wrappers: tuple[Who, ...] = ()
    passed_over: tuple[Who, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an enabled plugin could not be used."""

    plugin: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A session's plugins: `enabled` from the base on, `idle` ones that are installed and not enabled, `problems`."""

    hooks: tuple[HookExplanation, ...]
    enabled: tuple[Who, ...]
    idle: tuple[InstalledPlugin, ...]
    problems: tuple[Problem, ...]


def idle_plugins(enabled: Container[str]) -> tuple[InstalledPlugin, ...]:
    """Plugins that are installed, but not enabled. None is imported."""
    return tuple(item for name, item in sorted(installed_plugins().items()) if name not in enabled)

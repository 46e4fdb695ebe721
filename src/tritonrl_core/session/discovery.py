"""Which plugins are installed, and how one is loaded. Nothing is imported before it is asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from importlib_metadata import EntryPoint, entry_points
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from tritonrl_core.errors import PluginError, TritonRLError, did_you_mean
from tritonrl_core.hookspecs import HOOK_API
from tritonrl_core.plugin import Plugin, PluginOptions
from tritonrl_core.session.implementations import check_implementations

if TYPE_CHECKING:
    from tritonrl_core.preset import Preset

GROUP = "tritonrl.plugins"
"""Entry-point group of plugins: the name used in presets → a `Plugin` class."""

BASE = "base"
"""Name of plugin number zero."""

SHIPPED = ("fusion", "multi_input", "curriculum", "sandbox", "timing", "funnel")
"""The six extensions of the project, each its own distribution."""


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A plugin as its distribution's metadata describe it; `target` is `module:Class`. Not imported yet."""

    name: str
    distribution: str
    version: str
    target: str
    summary: str = ""

    def __str__(self) -> str:
        return f"plugin {self.name!r} ({self.distribution} {self.version})"


def installed_plugins() -> dict[str, InstalledPlugin]:
    """Every installed plugin by the name used in presets. Where two distributions share a name, one of them."""
    return {item.name: item for item in _installed()}


def find_plugin(name: str, place: str = "") -> InstalledPlugin:
    """The installed plugin of that name; `place` is where the preset names it.

    Raises `PluginError` where there is none (with the line that installs it) or more than one.
    """
    found = [item for item in _installed() if item.name == name]
    at = f"{place}: " if place else ""
    if len(found) > 1:
        who = " and ".join(sorted(f"{item.distribution} {item.version}" for item in found))
        raise PluginError(f"{at}plugin {name!r} is installed twice, by {who}", remedy="Uninstall one of them.")
    if found:
        return found[0]
    if name in SHIPPED:
        raise PluginError(f"{at}plugin {name!r} is not installed", remedy=pip_hint(name))
    hint = did_you_mean(name, {*installed_plugins(), *SHIPPED})
    if name != name.replace("-", "_"):
        hint = f"Names in presets have underscores: {name.replace('-', '_')!r}."
    elif not hint.startswith("Did you mean"):  # a near name is a typo: nobody should install what a typo names
        hint = f"{hint} If it is a third party's: {pip_hint(name)}"
    raise PluginError(f"{at}there is no plugin {name!r} among the installed ones", remedy=hint)


def missing_plugins(preset: Preset) -> list[str]:
    """Distributions to install before the preset can be used, by the naming rule `a_b` → `tritonrl-plugin-a-b`."""
    installed = installed_plugins()
    return [distribution_name(choice.name) for choice in preset.plugins if choice.name not in installed]


def distribution_name(plugin: str) -> str:
    return f"tritonrl-plugin-{plugin.replace('_', '-')}"


def pip_hint(plugin: str) -> str:
    """The command that installs a plugin."""
    return f"pip install {distribution_name(plugin)}"


def load_plugin(item: InstalledPlugin) -> type[Plugin]:
    """Import a plugin's class and check all that can be checked without an object of it. Raises `PluginError`."""
    module_name, _, class_name = item.target.partition(":")
    remedy = f"Update or reinstall it (pip install --upgrade {item.distribution}), or take it out of the preset."
    with boundary(lambda error: PluginError(f"{item} does not import: {shown(error)}", remedy=remedy)):
        loaded = getattr(import_module(module_name), class_name)
    check_plugin_class(loaded, item)
    return loaded  # type: ignore[no-any-return]


def load_problem(item: InstalledPlugin) -> str:
    """Why an installed plugin cannot be loaded, "" where it can. Imports it."""
    try:
        load_plugin(item)
    except PluginError as error:
        return error.message
    return ""


def check_plugin_class(loaded: object, item: InstalledPlugin) -> None:
    """Raise `PluginError` unless this is a plugin class that keeps the rules and fits this core's hooks."""
    if not (isinstance(loaded, type) and issubclass(loaded, Plugin)):
        raise PluginError(
            f"{item}: {item.target} is not a plugin class", remedy="Derive it from tritonrl_core.plugin.Plugin."
        )
    if getattr(loaded, "name", None) != item.name:
        says = getattr(loaded, "name", None)
        raise PluginError(
            f"{item}: its class has no `name`" if says is None else f"{item}: its class calls itself {says!r}",
            remedy=f"Set `name = {item.name!r}` in the class, or rename the entry point.",
        )
    if not issubclass(loaded.Options, PluginOptions):
        raise PluginError(
            f"{item}: its Options are no PluginOptions", remedy="Write `class Options(PluginOptions): …`."
        )
    _check_hook_api(loaded, item)
    check_implementations(loaded, str(item))


def _check_hook_api(loaded: type[Plugin], item: InstalledPlugin) -> None:
    try:
        fits = SpecifierSet(loaded.hook_api).contains(HOOK_API, prereleases=True)
    except InvalidSpecifier:
        raise PluginError(
            f"{item}: hook_api is {loaded.hook_api!r}, which is no version range",
            remedy="Write a range such as '>=1.0,<2'.",
        ) from None
    if not fits:
        raise PluginError(
            f"{item} is made for hook API {loaded.hook_api}; this core has {HOOK_API}",
            remedy=f"Install versions that fit: pip install --upgrade tritonrl-core {item.distribution}",
        )


@contextmanager
def boundary(to_error: Callable[[BaseException], BaseException]) -> Iterator[None]:
    """The one place where whatever a plugin's code raises becomes an error of ours, with the cause chained.

    `to_error` may give the very exception back, to let it through. `sys.exit` in a plugin is a fault like any other.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        blamed = to_error(error)
        if blamed is error:
            raise
        raise blamed from error


def shown(error: BaseException) -> str:
    """An exception as one phrase for a message."""
    return error.message if isinstance(error, TritonRLError) else f"{type(error).__name__}: {error}"


def _installed() -> Iterator[InstalledPlugin]:
    for entry in entry_points(group=GROUP):
        yield _describe(entry)


def _describe(entry: EntryPoint) -> InstalledPlugin:
    name, version, summary = _metadata(entry.dist) if entry.dist else (entry.module, "?", "")
    return InstalledPlugin(entry.name, name, version, entry.value, summary)


def _metadata(distribution: Any) -> tuple[str, str, str]:
    """Name, version and summary. Of these a distribution need not have the last, and a damaged one may have none."""
    try:
        metadata = distribution.metadata or {}
    except FileNotFoundError:
        metadata = {}
    return metadata.get("Name") or "?", metadata.get("Version") or "?", metadata.get("Summary") or ""

"""From a preset's list of plugins to plugin objects: finds each, checks its options, makes it, settles ownership."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from tritonrl_core.errors import PluginError, PresetError, did_you_mean
from tritonrl_core.hookspecs import RULES, Kind
from tritonrl_core.plugin import Plugin, PluginContext
from tritonrl_core.preset import Preset
from tritonrl_core.preset.messages import Path, describe_errors
from tritonrl_core.session.benches import Benches
from tritonrl_core.session.discovery import (
    BASE,
    SHIPPED,
    InstalledPlugin,
    boundary,
    check_plugin_class,
    distribution_name,
    find_plugin,
    installed_plugins,
    load_plugin,
    shown,
)
from tritonrl_core.session.guard import Owner, report_to
from tritonrl_core.session.implementations import implementations
from tritonrl_core.tasks.room import Room
from tritonrl_core.tasks.suites import BUILTIN


def find(
    name: str, preset: Preset, by_hand: Sequence[type[Plugin]] = (), *, discover: bool = True
) -> tuple[InstalledPlugin, type[Plugin]]:
    """A plugin that the preset lists: one given by hand, else an installed one. Raises `PluginError`, `PresetError`."""
    place = preset.where("plugins", name) or f"preset {preset.name}"
    if name == BASE:
        raise PresetError(f"{place}: the base is always enabled, and asked last", remedy="Take it out of `plugins`.")
    for plugin in by_hand:
        if plugin.name == name:
            module = plugin.__module__
            item = InstalledPlugin(name, module, "given by hand", f"{module}:{plugin.__qualname__}")
            check_plugin_class(plugin, item)
            return item, plugin
    if not discover:
        known = did_you_mean(name, [plugin.name for plugin in by_hand]) or "None was given."
        raise PluginError(f"{place}: plugin {name!r} was not given, and this session discovers nothing", remedy=known)
    item = find_plugin(name, place)
    return item, load_plugin(item)


def check_installed(preset: Preset, by_hand: Sequence[type[Plugin]] = ()) -> None:
    """Raise `PluginError` where several of the project's own plugins are missing: one command installs them all."""
    there = {*installed_plugins(), *(plugin.name for plugin in by_hand)}
    absent = [name for name, _ in preset.plugins if name in SHIPPED and name not in there]
    if len(absent) > 1:
        place = preset.where("plugins", absent[0]) or f"preset {preset.name}"
        raise PluginError(
            f"{place}: plugins {', '.join(absent)} are not installed",
            remedy=f"pip install {' '.join(map(distribution_name, absent))}",
        )


def start(item: InstalledPlugin, plugin: type[Plugin], options: Mapping[str, object], preset: Preset) -> Owner:
    """Make a plugin's object, its options checked. Raises `PluginError` that names the preset's line."""
    try:
        checked = plugin.Options.model_validate(dict(options))
    except ValidationError as error:
        label = preset.where("plugins", item.name) or f"preset {preset.name}"
        origins: dict[Path, str] = {
            ("plugins", item.name, key): preset.where("plugins", item.name, key) or label for key in options
        }
        message, remedy = describe_errors(error, plugin.Options, origins, label, prefix=("plugins", item.name))
        raise PluginError(message, remedy=remedy or f"The README of {item.distribution} has its options.") from None
    context = PluginContext(seed=preset.seed, preset=preset.dump(), tasks=room_of(preset), benches=Benches())
    with boundary(lambda error: PluginError(f"{item} does not start: {shown(error)}", remedy=_remedy(error, item))):
        made = plugin(checked, context)
    return Owner(made, item.name, item.distribution, item.version)


def room_of(preset: Preset) -> Room:
    """What answers for tasks under a preset. Nothing is loaded or looked at before it is asked."""
    tasks = preset.tasks
    held_out = (BUILTIN, tasks.suite)
    return Room(tasks.decontaminate, held_out, (preset.eval.suite,), preset.train.model, tasks.suite)


def _remedy(error: BaseException, item: InstalledPlugin) -> str:
    return getattr(error, "remedy", "") or report_to(item.name, item.distribution)


def check_owners(preset: Preset, owners: Sequence[Owner]) -> None:
    """Raise where two plugins want one single-owner hook and the preset does not pick one of them."""
    wanted: dict[str, list[Owner]] = {hook: [] for hook, rule in RULES.items() if rule.kind is Kind.OWNED}
    for owner in owners:
        for found in implementations(type(owner.plugin)):
            if found.hook in wanted and owner.name != BASE and not found.wrapper:
                wanted[found.hook].append(owner)
    for hook, pick in preset.owners.items():
        place = preset.where("owners", hook) or f"preset {preset.name}"
        wraps = [owner.name for owner in owners if any(
            found.hook == hook and found.wrapper for found in implementations(type(owner.plugin))
        )]  # fmt: skip
        if pick in wraps and pick not in [owner.name for owner in wanted.get(hook, [])]:
            raise PresetError(
                f"{place}: owners: {pick!r} wraps {hook}() and needs no owner", remedy="Take the line out."
            )
        _check_pick(hook, pick, wanted, place)
    for hook, claims in wanted.items():
        if len(claims) > 1 and hook not in preset.owners:
            raise PluginError(
                f"{hook}() has one owner, but is wanted by {' and by '.join(map(str, claims))}",
                remedy=f"Pick one in the preset: `owners: {{{hook}: {claims[-1].name}}}`.",
            )


def _check_pick(hook: str, pick: str, wanted: Mapping[str, Sequence[Owner]], place: str) -> None:
    if hook not in wanted:
        raise PresetError(f"{place}: owners: {hook!r} is no hook with one owner", remedy=did_you_mean(hook, wanted))
    claims = [owner.name for owner in wanted[hook]]
    if pick not in (BASE, *claims):
        raise PresetError(
            f"{place}: owners: {pick!r} is not an enabled plugin that implements {hook}()",
            remedy=did_you_mean(pick, [*claims, BASE]),
        )

"""What a plugin class implements: reads its `@hookimpl` methods and refuses what could never be called rightly.

Stricter than pluggy on purpose: every refusal here would otherwise be a hook that is silently never asked, or asked in
another order than the preset says.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pluggy

from tritonrl_core import hookspecs
from tritonrl_core.errors import PluginError, did_you_mean
from tritonrl_core.hookspecs import PROJECT, RULES, Kind
from tritonrl_core.plugin import Plugin

_READER = pluggy.PluginManager(PROJECT)


@dataclass(frozen=True, slots=True)
class Implementation:
    """One hook of a plugin: the method that implements it, and whether it wraps the others' answers."""

    hook: str
    method: str
    wrapper: bool


def implementations(plugin: type[Plugin]) -> list[Implementation]:
    """The hooks that a plugin class implements. Optional hooks that this core does not have are left out."""
    found = []
    for method, options in _marked(plugin).items():
        hook = options.get("specname") or method
        if hook in RULES:
            found.append(Implementation(hook, method, wrapper=bool(options.get("wrapper"))))
    return found


def arguments_of(hook: str) -> tuple[str, ...]:
    """Names of a hook's arguments, as its specification has them."""
    return tuple(inspect.signature(getattr(hookspecs, hook)).parameters)


def check_implementations(plugin: type[Plugin], who: str) -> None:
    """Raise `PluginError` for a hook that does not exist, is unmarked, takes other arguments, or is not plain."""
    marked = _marked(plugin)
    for name in RULES:
        if name not in marked and callable(getattr(plugin, name, None)):
            raise PluginError(
                f"{who}: {name}() is a hook, but has no @hookimpl above it", remedy="Put `@hookimpl` above it."
            )
    for method, options in marked.items():
        hook = options.get("specname") or method
        if hook not in RULES:
            if options.get("optionalhook"):
                continue
            raise PluginError(f"{who} implements {hook!r}, which is no hook", remedy=did_you_mean(hook, RULES))
        _check_options(hook, options, who)
        function = inspect.unwrap(getattr(plugin, method))
        _check_function(hook, function, bool(options.get("wrapper")), who)
        _check_arguments(hook, _parameters(plugin, method), who)


def _marked(plugin: type[Plugin]) -> dict[str, Mapping[str, Any]]:
    found = {name: _READER.parse_hookimpl_opts(plugin, name) for name in dir(plugin) if not name.startswith("__")}
    return {name: options for name, options in found.items() if options is not None}


def _check_options(hook: str, options: Mapping[str, Any], who: str) -> None:
    for option in ("tryfirst", "trylast"):
        if options.get(option):
            raise PluginError(f"{who}: {hook}() asks for {option}", remedy="Take it out: the preset's order decides.")
    if options.get("hookwrapper"):
        raise PluginError(f"{who}: {hook}() is an old-style wrapper", remedy="Use @hookimpl(wrapper=True).")
    if options.get("wrapper") and RULES[hook].kind in (Kind.COLLECT, Kind.NOTIFY):
        raise PluginError(
            f"{who}: {hook}() wraps a hook that has many answers", remedy="Only hooks with one answer can be wrapped."
        )


def _check_function(hook: str, function: object, wrapper: bool, who: str) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(
            f"{who}: {hook}() is `async def`, but hooks are synchronous",
            remedy="Write a plain `def`; it is called from many threads and may block.",
        )
    if inspect.isgeneratorfunction(function) and not wrapper and RULES[hook].kind is not Kind.COLLECT:
        raise PluginError(
            f"{who}: {hook}() has a `yield`, but is not marked as a wrapper",
            remedy="Write `@hookimpl(wrapper=True)` above it, or return the answer.",
        )
    if wrapper and not inspect.isgeneratorfunction(function):
        raise PluginError(
            f"{who}: {hook}() is a wrapper without `yield`",
            remedy="A wrapper says `answer = yield` and returns the answer, changed or not.",
        )


def _parameters(plugin: type[Plugin], method: str) -> list[inspect.Parameter]:
    """Parameters without `self`, whether or not the method is static."""
    parameters = list(inspect.signature(getattr(plugin, method)).parameters.values())
    return parameters[1:] if inspect.isfunction(inspect.getattr_static(plugin, method)) else parameters


def _check_arguments(hook: str, parameters: list[inspect.Parameter], who: str) -> None:
    allowed = arguments_of(hook)
    for parameter in parameters:
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            problem = f"takes {str(parameter).split(':')[0]}"
        elif parameter.name not in allowed:
            problem = f"takes an argument {parameter.name!r} that the hook does not have"
        elif parameter.default is not parameter.empty:
            problem = f"gives its argument {parameter.name!r} a default"
        else:
            continue
        raise PluginError(
            f"{who}: {hook}() {problem}", remedy=f"Its arguments are plain and may be left out: {', '.join(allowed)}."
        )

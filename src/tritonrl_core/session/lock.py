"""What a session is made of, as plain data to keep with a run, and how another session differs from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tritonrl_core.hookspecs import HOOK_API
from tritonrl_core.session.guard import Owner


def locked(owners: Iterable[Owner]) -> dict[str, Any]:
    """Version of the hooks; name, distribution, version and full options of every plugin."""
    plugins = [
        {
            "name": owner.name, "distribution": owner.distribution, "version": owner.version,
            "options": owner.plugin.options.model_dump(mode="json"),
        }
        for owner in owners
    ]  # fmt: skip
    return {"hook_api": HOOK_API, "plugins": plugins}


def differences(lock: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """How the plugins of another, later lock differ from those of a lock, one sentence each; [] where they do not."""
    then = {plugin["name"]: plugin for plugin in lock.get("plugins", [])}
    now = {plugin["name"]: plugin for plugin in other["plugins"]}
    found = [f"plugin {name!r} was enabled then" for name in then if name not in now]
    found += [f"plugin {name!r} was not enabled then" for name in now if name not in then]
    for name in now.keys() & then.keys():
        found += [
            f"plugin {name!r}: {key} was {then[name].get(key)!r} and is {now[name][key]!r}"
            for key in ("distribution", "version", "options")
            if then[name].get(key) != now[name][key]
        ]
    return sorted(found)

"""A session that holds what the test gives it, and nothing that happens to be installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tritonrl_core.plugin import Plugin
from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.session import Session


def session_with(
    *plugins: type[Plugin],
    preset: Preset | str = "baseline",
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Session:
    """Open a session of these plugin classes, in order, and the base. `options` is by plugin name.

    Raises what `Session.open` raises.
    """
    resolved = load_preset(preset) if isinstance(preset, str) else preset
    chosen = {plugin.name: dict((options or {}).get(plugin.name, {})) for plugin in plugins}
    return Session.open(resolved.with_plugins(**chosen), discover=False, plugins=plugins)

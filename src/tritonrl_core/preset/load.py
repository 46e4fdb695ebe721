"""From a preset's name to a checked `Preset`: follows `extends`, applies `without`, lays overrides on top.

Mappings merge, scalars and lists replace, the plugin list appends. A plugin that is listed again keeps its place, and
its options merge. Relative paths in a file are relative to that file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tritonrl_core.errors import PresetError, did_you_mean
from tritonrl_core.preset.messages import Path as KeyPath
from tritonrl_core.preset.messages import nearest_origin
from tritonrl_core.preset.schema import Preset, plugin_entries
from tritonrl_core.preset.sources import Layer, find_preset, read_layer, read_yaml

MAX_CHAIN = 32
"""Presets that may extend one another in a row."""


def load_preset(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Preset:
    """Load a preset by name or from a file, with overrides such as `"verifier.timeout_s=10"`.

    Raises `PresetError` with file, line and remedy.
    """
    layers = _chain(find_preset(name_or_path))
    merged = Layer(label=layers[0].label, data={})
    for layer in reversed(layers):
        merged = _merge(merged, _with_absolute_paths(layer))
    for override in overrides:
        merged = _override(merged, override)
    # The name says which file this is; it is never inherited.
    merged.data.setdefault("name", Path(layers[0].label).stem)
    merged.data["plugins"] = [{name: options} for name, options in merged.data.get("plugins", {}).items()]
    return Preset.from_data(merged.data, origins=merged.origins, label=layers[0].label)


def _chain(path: Path) -> list[Layer]:
    """The preset and all that it extends, itself first."""
    layers: list[Layer] = []
    seen: list[Path] = []
    while True:
        seen.append(path.resolve())
        layer = read_layer(path)
        parent = layer.data.pop("extends", None)
        if layers:
            layer.data.pop("name", None)
        layers.append(layer)
        if parent is None:
            return layers
        place = layer.origins.get(("extends",), layer.label)
        if not isinstance(parent, str):
            raise PresetError(f"{place}: extends is a name or path, not {parent!r}", remedy="Try: extends: baseline")
        try:
            path = find_preset(parent, beside=layer.folder)
        except PresetError as error:
            raise PresetError(f"{place}: {error.message}", remedy=error.remedy) from None
        if path.resolve() in seen or len(seen) > MAX_CHAIN:
            circle = " extends ".join([*(known.name for known in seen), path.name])
            raise PresetError(f"{place}: presets go in a circle: {circle}", remedy="Take one `extends` out.")


def _merge(below: Layer, above: Layer) -> Layer:
    """`above` laid over `below`. Both hold `plugins` as name → options in the result."""
    data = {key: value for key, value in above.data.items() if value is not None}  # a section left empty says nothing
    plugins = dict(below.data.get("plugins", {}))
    origins = {**below.origins, **{path: place for path, place in above.origins.items() if path[:1] != ("plugins",)}}
    if "without" in data:
        plugins = _leave_out(plugins, data.pop("without"), origins.get(("without",), above.label))
    listed = _listed_plugins(data.pop("plugins", None), above, origins)
    merged = _merge_data({key: value for key, value in below.data.items() if key != "plugins"}, data)
    for name, options in listed.items():
        plugins[name] = {**plugins.get(name, {}), **options}
    return Layer(above.label, {**merged, "plugins": plugins}, origins, above.folder)


def _merge_data(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merge_data(old, value)
        elif not (value is None and isinstance(old, dict)):
            merged[key] = value
    return merged


def _listed_plugins(value: object, layer: Layer, origins: dict[KeyPath, str]) -> dict[str, dict[str, Any]]:
    """The plugins that one layer lists; their places go into `origins` by name."""
    if value is None:
        return {}
    try:
        listed = plugin_entries(value)
    except ValueError as error:
        place = layer.origins.get(("plugins",), layer.label)
        raise PresetError(f"{place}: {error}", remedy="Example: plugins: [funnel, fusion: {count: 9}]") from None
    for position, name in enumerate(listed):
        origins[("plugins", name)] = nearest_origin(layer.origins, ("plugins", position))
        for path, place in layer.origins.items():
            if path[:3] == ("plugins", position, name) and len(path) > 3:
                origins[("plugins", name, *path[3:])] = place
    return listed


def _leave_out(plugins: dict[str, Any], names: object, place: str) -> dict[str, Any]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise PresetError(f"{place}: without is a list of names, not {names!r}", remedy="Example: without: [funnel]")
    for name in names:
        if name not in plugins:
            hint = did_you_mean(name, plugins) or "No plugin is inherited."
            raise PresetError(f"{place}: without names {name!r}, which is not among the inherited plugins", remedy=hint)
    return {name: options for name, options in plugins.items() if name not in names}


def _override(below: Layer, text: str) -> Layer:
    """Lay one `a.b=value` over the preset; a whole `plugins=[…]` replaces the list."""
    label = f"--set {text}"
    key, equals, value_text = text.partition("=")
    path: KeyPath = tuple(int(part) if part.isdecimal() and len(part) < 10 else part for part in key.strip().split("."))
    if not equals or "" in path:
        raise PresetError(f"{label}: an override is KEY=VALUE", remedy="Example: --set verifier.timeout_s=10")
    value, _ = read_yaml(value_text, label)
    if path[0] in ("extends", "schema"):
        raise PresetError(f"{label}: {path[0]} cannot be set here", remedy="Write a preset that extends this one.")
    if path == ("without",):
        return _merge(below, Layer(label, {"without": value}, {("without",): label}))
    if path == ("plugins",):
        return _merge(
            Layer(below.label, below.data | {"plugins": {}}, below.origins),
            Layer(label, {"plugins": value}, {("plugins",): label}),
        )
    if path[0] == "plugins" and path[1] not in below.data.get("plugins", {}):
        hint = did_you_mean(path[1], below.data.get("plugins", {})) or "It enables none."
        raise PresetError(f"{label}: the preset does not enable the plugin {path[1]!r}", remedy=hint)
    return Layer(below.label, _with(below.data, path, value, label), {**below.origins, path: label}, below.folder)


def _with(data: dict[Any, Any], path: KeyPath, value: Any, label: str) -> dict[Any, Any]:
    first, *rest = path
    if not rest:
        old = data.get(first)
        merged = _merge_data(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        return {**data, first: merged}
    inner = data.get(first)
    if inner is not None and not isinstance(inner, dict):
        raise PresetError(f"{label}: {first!r} holds {inner!r}, which has no keys", remedy=f"Set {first} itself.")
    return {**data, first: _with(inner or {}, tuple(rest), value, label)}


def _with_absolute_paths(layer: Layer) -> Layer:
    """Relative paths that exist beside the file become absolute, so that a resolved preset means the same anywhere."""
    data = dict(layer.data)
    tasks = data.get("tasks")
    if isinstance(tasks, dict):
        resolved = {
            key: [_absolute(item, layer.folder) for item in tasks[key]]
            for key in ("paths", "decontaminate")
            if isinstance(tasks.get(key), list)
        }
        data["tasks"] = {**tasks, **resolved}
    train = data.get("train")
    if isinstance(train, dict) and isinstance(train.get("model"), str) and train["model"].startswith((".", "~")):
        data["train"] = {**train, "model": _absolute(train["model"], layer.folder)}
    return Layer(layer.label, data, layer.origins, layer.folder)


def _absolute(value: Any, folder: Path | None) -> Any:
    if not isinstance(value, str) or folder is None:
        return value
    path = folder / Path(value).expanduser()
    return str(path.resolve()) if path.exists() else value

"""Where presets lie, and how one file is read: plain YAML, with the line of each key. Nothing is merged or checked.

Less than YAML on purpose: no tags, anchors, aliases or dates, a key said twice is an error, `1e-6` is a number, and of
words only `true` and `false` are booleans (`save_strategy: no` is TRL's word).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from tritonrl_core.errors import PresetError, did_you_mean
from tritonrl_core.preset.messages import Path as KeyPath

GROUP = "tritonrl.presets"
"""Entry-point group of third-party presets: any name → a package that holds YAML files."""

MAX_BYTES = 1 << 20
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Layer:
    """One preset file (or the command line's overrides) as read, and where each key stands in it."""

    label: str
    data: dict[str, Any]
    origins: dict[KeyPath, str] = field(default_factory=dict)
    folder: Path | None = None


def shipped_folder() -> Path:
    """The presets that come with the core: inside the package when installed, beside `src/` in a source tree."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "presets"
    return inside if inside.is_dir() else package.parents[1] / "presets"


def available_presets() -> dict[str, Path]:
    """Every preset that can be named, shipped or from an installed distribution. A shipped name can't be taken over."""
    found = {path.stem: path for _, folder in _third_party_folders() for path in _presets_in(folder)}
    return found | {path.stem: path for path in _presets_in(shipped_folder())}


def find_preset(name_or_path: str | Path, *, beside: Path | None = None) -> Path:
    """The file of a preset, by name or path (relative to `beside` where that is given). Raises `PresetError`."""
    text = str(name_or_path)
    if not isinstance(name_or_path, Path) and not _looks_like_path(text):
        return _named(text)
    path = Path(text).expanduser()
    if beside is not None and not path.is_absolute():
        path = beside / path
    if path.is_file():
        return path
    what = "is a folder, not a preset file" if path.is_dir() else "does not exist"
    raise PresetError(f"preset {path} {what}", remedy="Give a YAML file, or a name of `tritonrl presets list`.")


def _looks_like_path(text: str) -> bool:
    return text.endswith(SUFFIXES) or "/" in text or os.sep in text or text.startswith((".", "~"))


def _named(name: str) -> Path:
    shipped = {path.stem: path for path in _presets_in(shipped_folder())}
    if name in shipped:
        return shipped[name]
    others = {path: who for who, folder in _third_party_folders() for path in _presets_in(folder) if path.stem == name}
    if len(others) > 1:
        who = " and ".join(sorted(others.values()))
        raise PresetError(f"preset {name!r} is shipped by {who}", remedy=f"Give a path, such as {min(others)}.")
    if others:
        return min(others)
    hint = did_you_mean(name, available_presets())
    raise PresetError(f"there is no preset {name!r}", remedy=f"{hint} A file is given with its suffix: {name}.yaml.")


def _presets_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)


def _third_party_folders() -> Iterator[tuple[str, Path]]:
    """Distribution and folder of each package that ships presets. Only its location is looked up, nothing is run."""
    from importlib_metadata import entry_points

    for entry in entry_points(group=GROUP):
        try:
            spec = find_spec(entry.module)
        except (ImportError, ValueError):
            spec = None
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield (entry.dist.name if entry.dist else entry.module), Path(place)


def read_layer(path: Path) -> Layer:
    """Read one preset file. Raises `PresetError` with file and line."""
    label = _short(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PresetError(f"{label}: is larger than {MAX_BYTES} bytes", remedy="Give a preset file.")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise PresetError(f"{label}: cannot be read: {error.strerror}", remedy="Give a readable file.") from None
    except UnicodeDecodeError as error:
        raise PresetError(f"{label}: is not UTF-8 text ({error.reason})", remedy="Save the preset as UTF-8.") from None
    data, origins = read_yaml(text, label)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise PresetError(f"{label}:1: a preset maps keys to values", remedy="See `tritonrl presets show baseline`.")
    return Layer(label, data, origins, path.resolve().parent)


def read_yaml(text: str, label: str) -> tuple[Any, dict[KeyPath, str]]:
    """Plain data of a YAML text and the place (`label:line`) of each key in it. Raises `PresetError`."""
    _check_printable(text, label)
    loader = _PresetLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        origins: dict[KeyPath, str] = {}
        _note_lines(node, (), label, origins)
        return loader.construct_document(node), origins
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{label}:{mark.line + 1}" if mark else label
        raise PresetError(f"{place}: {error.problem or error.context}", remedy="Mend the YAML there.") from None
    except RecursionError:
        raise PresetError(f"{label}: is nested too deeply", remedy="A preset is a few levels deep at most.") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise PresetError(f"{label}: {error}", remedy="Mend the YAML there.") from None
    finally:
        loader.dispose()


def _check_printable(text: str, label: str) -> None:
    match = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if match is not None:
        line = text.count("\n", 0, match.start()) + 1
        raise PresetError(f"{label}:{line}: YAML does not allow the character {match.group()!r}", remedy="Take it out.")


class _PresetLoader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, which could make a small file endless, without dates, yes and no."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            problem = "anchors and aliases are not read in presets; use `extends`"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        return super().compose_node(parent, index)


_BOOL, _FLOAT, _DATE = (f"tag:yaml.org,2002:{kind}" for kind in ("bool", "float", "timestamp"))
_PresetLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag not in (_BOOL, _FLOAT, _DATE)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PresetLoader.add_implicit_resolver(_BOOL, re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_PresetLoader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|[-+]?\.inf$|\.nan$"),
    list("-+.0123456789"),
)


def _note_lines(node: yaml.Node, path: KeyPath, label: str, origins: dict[KeyPath, str]) -> None:
    origins.setdefault(path, f"{label}:{node.start_mark.line + 1}")
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            _note_lines(item, (*path, place), label, origins)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if name in seen:
                raise PresetError(f"{label}:{line}: {name!r} was said on line {seen[name]} already", remedy="Keep one.")
            seen[name] = line
            here = (*path, int(name) if name.isdecimal() and len(name) < 10 else name)
            origins[here] = f"{label}:{line}"
            _note_lines(value, here, label, origins)


def _short(path: Path) -> str:
    """The path as a person would write it here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)

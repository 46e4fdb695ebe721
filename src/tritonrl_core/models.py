"""From what a preset calls a model to where its files are. Loads nothing.

A distribution ships a model by naming a package in the entry-point group `tritonrl.models`; the model lies in the
package's folder `model/`, as `transformers` saves it. Beside it, `suite/` may hold tasks of the model's own kind.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from importlib_metadata import EntryPoint, entry_points

from tritonrl_core import hub
from tritonrl_core.errors import ModelError, did_you_mean

GROUP = "tritonrl.models"
NANO = "nano"
"""The project's own model, which the core depends on: a name that is never asked for at the hub."""

FOLDER = "model"
SUITE = "suite"
CONFIG = "config.json"
"""A folder with this file in it is a model that `transformers` can load."""

_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin")


def resolve_model(name: str) -> Path | str:
    """The folder of a bundled model or of a local one; any other name is the hub's, which is asked whether it has it.

    A bundled name comes first, then a folder. Where the hub cannot be reached, a model that was fetched before is its
    folder in the cache. Raises `ModelError` for a path that is not there or holds no model, for a name that is nearly a
    bundled one's, and for a model that can be had neither from the hub nor from its cache.
    """
    bundled = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name in bundled:
        return _bundled_folder(bundled[name])
    path = Path(name).expanduser()
    if path.is_dir():
        return _with_config(path, f"folder {path}")
    if _looks_like_path(name):
        what = "is a file, not a model's folder" if path.is_file() else "does not exist"
        raise ModelError(f"model {name}: {what}", remedy="Give the folder that `save_pretrained` wrote.")
    if name == NANO:
        raise ModelError(f"model {name!r}: its distribution is not installed", remedy=f"pip install tritonrl-{NANO}")
    hint = did_you_mean(name, bundled)
    if "/" not in name and hint.startswith("Did"):
        raise ModelError(f"there is no model {name!r} here", remedy=f"{hint} A model on the hub is owner/name.")
    return _from_hub(name)


def has_weights(folder: Path) -> bool:
    """Whether a local model folder holds weights at all."""
    return any(True for pattern in _WEIGHTS for _ in folder.glob(pattern))


def bundled_suites() -> dict[str, Path]:
    """Folders of tasks that bundled models bring (`train.jsonl`, `held_out.jsonl`), by the model's name."""
    found = {entry.name: _package_folder(entry) for entry in entry_points(group=GROUP)}
    return {name: place / SUITE for name, place in found.items() if place and (place / SUITE / "train.jsonl").is_file()}


def _from_hub(name: str) -> Path | str:
    reason = hub.missing("model", name)
    if not reason:
        return name
    cached = hub.cached_model(name)
    if cached is None or not has_weights(cached):
        raise ModelError(
            f"model {name}: not in the hub's cache here, and {reason}",
            remedy="Connect to the network once, or name the folder of a model, or a bundled one (nano).",
        )
    return cached


def _package_folder(entry: EntryPoint) -> Path | None:
    """Where the package of a model lies; None where it is not there. Imports no package, only finds it."""
    try:
        spec = find_spec(entry.module)
    except (ImportError, ValueError):
        return None
    places = (spec.submodule_search_locations or []) if spec else []
    return next((Path(place) for place in places), None)


def _bundled_folder(entry: EntryPoint) -> Path:
    distribution = entry.dist.name if entry.dist else entry.module
    place = _package_folder(entry)
    if place is None:
        raise ModelError(
            f"model {entry.name!r}: the package {entry.module} of {distribution} is not there",
            remedy=f"Reinstall it: pip install --force-reinstall {distribution}",
        )
    return _with_config(place / FOLDER, f"{distribution}, which ships it,")


def _with_config(folder: Path, who: str) -> Path:
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"model {folder}: {who} has no {CONFIG}", remedy="A model's folder is what `save_pretrained` wrote."
        )
    return folder


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "~", os.sep)) or name.endswith(os.sep) or name.count("/") > 1

"""Whether the hub has a model or a data set, asked once and briefly, and what lies in its cache on this machine.

Downloads nothing. The libraries that do ask for each file, and six times where the hub does not answer: on a machine
without a network that is most of a minute before a message.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

PATIENCE_S = 10.0
"""For the hub's answer."""


def missing(kind: Literal["model", "dataset"], name: str) -> str:
    """Why the hub's `name` (`owner/name`) cannot be had now, as half a sentence; "" where it can."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        HfApi().repo_info(name, repo_type=kind, timeout=PATIENCE_S)
    except (RepositoryNotFoundError, HFValidationError):
        return f"the hub has no {kind} of this name, or keeps it private"
    except Exception as error:  # noqa: BLE001 - the boundary to the hub: its client lets its HTTP library's errors pass
        return f"the hub cannot be reached: {cause(error)}"
    return ""


def cause(error: Exception) -> str:
    """The first line of what an error says, or else its type: those of HTTP libraries run over many."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def cached_model(name: str) -> Path | None:
    """The folder of a model of the hub's that was fetched before; None where there is none."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # no name of a model's
        return None
    return Path(config).parent if isinstance(config, str) else None


def cached_dataset(name: str) -> bool:
    """Whether `datasets` has a data set of the hub's in its own cache, which it reads where the hub does not answer."""
    from datasets.load import CachedDatasetModuleFactory

    try:
        CachedDatasetModuleFactory(name).get_module()
    except (FileNotFoundError, AssertionError):  # the second: no name of a data set's
        return False
    return True

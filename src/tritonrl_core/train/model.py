"""Loads the policy: a causal language model and its tokenizer, from a folder or the model hub. Trains nothing.

A folder with a `config.json` and no weights gives a model with random weights from a fixed seed: it has learned
nothing, and the log says so.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonrl_core.errors import ModelError
from tritonrl_core.tasks.prompts import chat_messages, compact_prompt
from tritonrl_core.types import Task

log = logging.getLogger(__name__)

RANDOM_SEED = 0
"""Seeds the weights of a model that ships without any."""

_WEIGHT_FILES = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin")


@dataclass(frozen=True)
class Policy:
    """A model to train or sample from. `chat` says whether it is asked in messages or by the compact prompt."""

    model: Any
    tokenizer: Any
    source: str
    chat: bool

    def prompt(self, task: Task, delegation: str = "layout_only") -> str | list[dict[str, str]]:
        """What this model is asked for a task."""
        return chat_messages(task, delegation) if self.chat else compact_prompt(task)


def load_policy(source: str | Path, *, dtype: str = "float32", **options: Any) -> Policy:
    """Load model and tokenizer from a local folder or a hub name; `options` go to `from_pretrained`.

    Raises `ModelError` where either cannot be loaded.
    """
    from transformers import AutoTokenizer

    place = str(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = _load_model(place, dtype, options)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(
            f"{place}: cannot load this model: {str(error).splitlines()[0] if str(error) else error!r}",
            remedy="Name a folder made by save_pretrained, a model on the hub, or a bundled one (nano).",
        ) from error
    return Policy(model, tokenizer, place, chat=bool(getattr(tokenizer, "chat_template", None)))


def has_weights(folder: Path) -> bool:
    """Whether a local model folder holds weights at all."""
    return any(True for pattern in _WEIGHT_FILES for _ in folder.glob(pattern))


def _load_model(place: str, dtype: str, options: dict[str, Any]) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = Path(place)
    if not (folder / "config.json").is_file() or has_weights(folder):
        return AutoModelForCausalLM.from_pretrained(place, dtype=dtype, **options)
    log.warning(
        "%s has no weights: starting from random ones (seed %d), which have learned nothing", place, RANDOM_SEED
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(place), dtype=getattr(torch, dtype))

"""Loads the policy: a causal language model and its tokenizer, from a folder or the model hub. Trains nothing.

A folder with a `config.json` and no weights gives a model with random weights from a fixed seed: it has learned
nothing, and the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonrl_core.errors import ModelError
from tritonrl_core.models import has_weights
from tritonrl_core.tasks.prompts import chat_messages, compact_prompt
from tritonrl_core.types import Task

log = logging.getLogger(__name__)

RANDOM_SEED = 0
"""Seeds the weights of a model that ships without any."""

SAMPLE_BATCH = 128
"""Completions sampled at once."""

Prompt = str | list[dict[str, str]]


@dataclass(frozen=True)
class Policy:
    """A model to train or sample from. `chat` says whether it is asked in messages or by the compact prompt."""

    model: Any
    tokenizer: Any
    source: str
    chat: bool

    def prompt(self, task: Task, delegation: str = "layout_only") -> Prompt:
        """What this model is asked for a task."""
        return chat_messages(task, delegation) if self.chat else compact_prompt(task)

    @property
    def gpu(self) -> int | None:
        """The GPU that it is on."""
        device = self.model.device
        return (device.index or 0) if device.type == "cuda" else None

    def to_device(self) -> None:
        """To the GPU, where there is one; a trainer would do so too."""
        import torch

        if torch.cuda.is_available() and self.model.device.type != "cuda":
            self.model.to("cuda")

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        temperature: float = 1.0,
        max_new_tokens: int = 1024,
        seed: int = 0,
        batch: int = SAMPLE_BATCH,
        on_done: Callable[[int], None] | None = None,
    ) -> list[str]:
        """One completion for each prompt, in order, as text. `temperature` 0 is greedy; `on_done(n)` counts them."""
        import torch

        texts: list[str] = []
        for first in range(0, len(prompts), batch):
            torch.manual_seed(seed + first)
            texts += self._sample_batch(prompts[first : first + batch], temperature, max_new_tokens)
            if on_done is not None:
                on_done(len(texts))
        return texts

    def _sample_batch(self, prompts: Sequence[Prompt], temperature: float, max_new_tokens: int) -> list[str]:
        import torch
        from transformers import GenerationConfig

        tokens = self._encode(prompts).to(self.model.device)
        config = GenerationConfig(
            max_new_tokens=max_new_tokens,
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=_end_tokens(self.model, self.tokenizer),
            **({"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}),
        )
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                # Each rank samples what is its own, at its own pace (`ranks.whole`).
                output = self.model.generate(**tokens, generation_config=config, synced_gpus=False)
        finally:
            self.model.train(training)
        completions: list[str] = self.tokenizer.batch_decode(
            output[:, tokens["input_ids"].shape[1] :], skip_special_tokens=True
        )
        return completions

    def _encode(self, prompts: Sequence[Prompt]) -> Any:
        if self.chat:
            texts = [
                self.tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
                for prompt in prompts
            ]
            # The template has written the special tokens already.
            return self.tokenizer(
                texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
            )
        return self.tokenizer(list(prompts), return_tensors="pt", padding=True, padding_side="left")


def load_policy(source: str | Path, *, dtype: str = "float32", **options: Any) -> Policy:
    """Load model and tokenizer from a local folder or a hub name; `options` go to `from_pretrained`.

    Raises `ModelError` where either cannot be loaded.
    """
    from transformers import AutoTokenizer

    place = str(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        model = _load_model(place, dtype, options)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(
            f"{place}: cannot load this model: {str(error).splitlines()[0] if str(error) else error!r}",
            remedy="Name a folder made by save_pretrained, a model on the hub, or a bundled one (nano).",
        ) from error
    return Policy(model, tokenizer, place, chat=bool(getattr(tokenizer, "chat_template", None)))


def merge_adapters(trainer: Any) -> None:
    """Add what low-rank adapters learned to the weights that they stand on, in place. Nothing where there are none.

    The policy's model is then a plain one again, which any loader of `transformers` (and vLLM) reads.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        model.merge_and_unload()


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Every token that ends a completion: the model may declare more than the tokenizer."""
    declared = model.generation_config.eos_token_id
    known = [declared] if isinstance(declared, int) else list(declared or [])
    return sorted({*known, tokenizer.eos_token_id} - {None})


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

"""From nothing to a model folder: corpus, tokenizer, and the project's own SFT stage on it.

Writes the model as `transformers` saves it, in bfloat16, with `recipe.json` beside it (what was made, in what time).
"""

from __future__ import annotations

import json
import logging
import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tritonrl_nano.recipe.corpus import Example, Mixture, examples, texts
from tritonrl_nano.recipe.mistakes import HABITS, SLIP_RATE

log = logging.getLogger(__name__)

TOKENIZER_EXAMPLES = 12_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what the model becomes. The defaults are the shipped model's."""

    examples: int = 200_000
    steps: int = 1_500
    batch: int = 256
    learning_rate: float = 2e-3
    seed: int = 1
    slip_rate: float = SLIP_RATE
    rates: dict[str, float] = field(default_factory=dict)
    """Rates of habits that differ from `mistakes.HABITS`, by name."""

    @property
    def mixture(self) -> Mixture:
        return Mixture(self.rates, self.slip_rate)


def build(out: Path, recipe: Recipe = Recipe(), processes: int | None = None) -> dict[str, Any]:
    """Make the model and write it to `out`. Returns what `recipe.json` says. Minutes on a GPU, hours without."""
    from tritonrl_nano.recipe.model import new_model
    from tritonrl_nano.recipe.tokenizer import train_tokenizer

    began = time.perf_counter()
    processes = processes or len(os.sched_getaffinity(0))
    corpus = examples(recipe.examples, recipe.seed, recipe.mixture, processes)
    tokenizer = train_tokenizer(texts(corpus[:TOKENIZER_EXAMPLES]))
    made = time.perf_counter()
    log.info("corpus of %d examples and tokenizer: %.0f s", len(corpus), made - began)
    model = new_model(tokenizer)
    loss = _fine_tune(model, tokenizer, corpus, recipe, processes)
    trained = time.perf_counter()
    log.info("training: %.0f s", trained - made)
    _save(model, tokenizer, out)
    card = {
        "recipe": asdict(recipe),
        "habits": {habit.name: recipe.rates.get(habit.name, habit.rate) for habit in HABITS},
        "corpus": _describe(corpus[:20_000], tokenizer),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "loss": loss,
        "machine": _machine(),
        "seconds": {"corpus": round(made - began, 1), "training": round(trained - made, 1)},
    }
    (out / "recipe.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


def _fine_tune(model: Any, tokenizer: Any, corpus: Sequence[Example], recipe: Recipe, processes: int) -> float:
    """The project's SFT stage on the corpus; gives the last loss."""
    import datasets
    import torch
    from trl import SFTConfig

    from tritonrl_core.train.model import Policy
    from tritonrl_core.train.sft import train_sft

    datasets.disable_progress_bars()
    on_gpu = torch.cuda.is_available()
    losses = _Losses()
    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(
            output_dir=scratch,
            max_steps=recipe.steps,
            per_device_train_batch_size=recipe.batch,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=min(100, recipe.steps // 10),
            adam_beta2=0.98,
            weight_decay=0.05,
            seed=recipe.seed,
            completion_only_loss=True,
            max_length=None,
            dataset_num_proc=processes if processes > 1 else None,
            dataloader_num_workers=min(4, processes) if on_gpu else 0,
            dataloader_persistent_workers=on_gpu,
            use_cpu=not on_gpu,
            bf16=on_gpu,
            gradient_checkpointing=False,
            logging_steps=min(50, recipe.steps),
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        rows = [{"prompt": example.prompt, "completion": example.completion} for example in corpus]
        train_sft(Policy(model, tokenizer, "new", chat=False), rows, config, [losses.callback()])
    return losses.last


class _Losses:
    """Logs the loss as it comes and keeps the last."""

    last = float("nan")

    def callback(self) -> Any:
        from transformers import TrainerCallback

        keep = self

        class Callback(TrainerCallback):  # type: ignore[misc]
            def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
                if "loss" in (logs or {}):
                    keep.last = float(logs["loss"])
                    log.info("step %d: loss %.4f", state.global_step, keep.last)

        return Callback()


def _save(model: Any, tokenizer: Any, out: Path) -> None:
    import torch

    out.mkdir(parents=True, exist_ok=True)
    model.to("cpu", torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def _describe(corpus: Sequence[Example], tokenizer: Any) -> dict[str, Any]:
    """What the corpus is like, on a sample: tokens, and the share of examples with each mistake."""
    prompts = [len(ids) for ids in tokenizer([example.prompt for example in corpus])["input_ids"]]
    completions = [len(ids) for ids in tokenizer([example.completion for example in corpus])["input_ids"]]
    counts = Counter(mistake for example in corpus for mistake in example.mistakes)
    return {
        "sampled": len(corpus),
        "prompt_tokens": {"mean": round(sum(prompts) / len(prompts), 1), "max": max(prompts)},
        "completion_tokens": {"mean": round(sum(completions) / len(completions), 1), "max": max(completions)},
        "without_mistake": round(sum(not example.mistakes for example in corpus) / len(corpus), 3),
        "share_with": {name: round(count / len(corpus), 4) for name, count in counts.most_common()},
    }


def _machine() -> dict[str, str]:
    import torch
    import transformers
    import trl

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{len(os.sched_getaffinity(0))} CPU cores"
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "trl": trl.__version__}
    return {"device": device, "python": platform.python_version(), **versions}

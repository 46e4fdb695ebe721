"""Where a training step's time goes with a real architecture: generation, verification, optimisation.

    python benchmarks/step_split.py [--tokens 640] [--steps 3] [--prompts 8] [--layers 28 --hidden 1024]

The model is a Qwen3 of 0.6 billion parameters with random weights (there is no network here), trained by GRPO under
`all_extensions`. What it writes is noise, so the verifier is given something to do in its place: for each completion a
golden solution of its task or one of seven edits of it (three of them with other warps, two wrong, one that does not
build, one that is no Python). Generation, by transformers and not vLLM, and optimisation are of the real noise.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.runs import read_metrics
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.types import Candidate, Score, Task

QWEN3_VOCABULARY = 151_936
GROUP = 8


def variants(code: str) -> list[str]:
    """A group's worth of candidates from one right solution: right ones, wrong ones, broken ones."""

    def warps(count: int) -> str:
        changed = re.sub(r"num_warps=\d+", f"num_warps={count}", code)
        return changed if changed != code else f"{code}\n# {count}\n"

    return [
        code,
        warps(1),
        warps(2),
        warps(8),
        code.replace("tl.load(", "1.5 * tl.load(", 1),
        code.replace("tl.load(", "0.5 * tl.load(", 1),
        code.replace("tl.store(", "tl.keep(", 1),
        code + "\ndef broken(:\n",
    ]


class StandIn:
    """A verifier that judges a golden solution's variants in place of what the model wrote."""

    def __init__(self, verifier: Any) -> None:
        self._verifier = verifier
        self._codes = {golden.task_id: variants(golden.code) for golden in golden_solutions()}
        self.statuses: Counter[str] = Counter()

    def verify_batch(
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]:
        given = [
            (task, Candidate.from_code(self._codes[task.id][place % GROUP])) for place, (task, _) in enumerate(jobs)
        ]
        scores: list[Score] = self._verifier.verify_batch(given, on_score=on_score)
        self.statuses.update(score.verdict.status.value for score in scores)
        return scores

    def close(self) -> None:
        self._verifier.close()


def write_model(folder: Path, layers: int, hidden: int, vocabulary: int) -> None:
    """Configuration and tokenizer of a Qwen3 without weights: `load_policy` gives it random ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8192,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([golden.code for golden in golden_solutions()], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = (importlib.resources.files("trl") / "chat_templates" / "qwen3.jinja").read_text()
    heads = max(2, hidden // 64)
    Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        head_dim=128,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def preset_for(folder: Path, tokens: int, steps: int, prompts: int, size: str) -> Preset:
    data = load_preset("all_extensions", ["without=[fusion]"]).dump()  # fusion's tasks have no golden solutions
    grpo = {
        "max_steps": steps,
        "per_device_train_batch_size": GROUP,
        "gradient_accumulation_steps": prompts,
        "num_generations": GROUP,
        "max_completion_length": tokens,
        "learning_rate": 1e-6,
        "save_strategy": "no",
        "model_init_kwargs": {"dtype": "bfloat16"},
    }
    data["train"] = {**data["train"], "model": str(folder), "grpo": grpo}
    data["tasks"] = {**data["tasks"], "suite": "builtin", "size": size}
    return Preset.from_data(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=640, help="length of each completion")
    parser.add_argument("--steps", type=int, default=3, help="steps; the first one, with its warm-up, is left out")
    parser.add_argument("--prompts", type=int, default=8, help="of a step, with eight completions each")
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=QWEN3_VOCABULARY)
    parser.add_argument("--out", type=Path, help="folder to keep the run in, figures of each step as they come")
    parser.add_argument("--size", default="full", help="of the suite's tasks: full or small")
    options = parser.parse_args()

    from tritonrl_core.train.run import train
    from tritonrl_core.verifier import Verifier

    scorers: list[StandIn] = []

    def open_scorer(preset: Preset, session: Any, known: Sequence[Score]) -> StandIn:
        scorers.append(StandIn(Verifier(preset, session, known=known)))
        return scorers[0]

    with tempfile.TemporaryDirectory() as scratch:
        write_model(Path(scratch) / "model", options.layers, options.hidden, options.vocabulary)
        preset = preset_for(Path(scratch) / "model", options.tokens, options.steps, options.prompts, options.size)
        run = options.out or Path(scratch) / "run"
        train(preset, out=run, open_scorer=open_scorer)
        rows = list(read_metrics(run))
    for row in rows:
        sys.stderr.write(json.dumps({key: row.get(key) for key in ("step", *SHOWN)}) + "\n")
    sys.stdout.write(json.dumps(split(rows[1:] or rows) | {"statuses": dict(scorers[0].statuses)}) + "\n")


SHOWN = ("step_time", "time/generation_s", "time/verification_s", "completions/mean_length", "cached_rate")


def split(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean seconds a step, and the share of verification. TRL's `step_time` is of the whole optimiser step."""
    whole, generation, verification = (fmean(row[name] for row in rows) for name in SHOWN[:3])
    return {
        "steps": len(rows),
        "step_s": round(whole, 2),
        "generation_s": round(generation, 2),
        "verification_s": round(verification, 2),
        "optimisation_s": round(whole - generation - verification, 2),
        "verification_share": round(verification / whole, 3),
    }


if __name__ == "__main__":
    main()

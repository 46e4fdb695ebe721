"""Does the path of `gpu_8b.yaml` run? The preset as shipped, with a tiny random Qwen3 in the 8B model's place.

    python benchmarks/preset_8b_path.py [--lora off] [--device cpu]

Two steps under the preset `gpu_8b`, with adapters or all weights, and what the run's folder says: finite loss and
gradient, weights that moved. What such a model writes is noise, so variants of golden solutions are judged in its
place, as in step_split.py, or no group would have an advantage. It says nothing of learning or speed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from step_split import StandIn, write_model

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.runs import read_metrics
from tritonrl_core.types import Score

SMALLER = (
    "train.grpo.max_steps=2",
    "train.grpo.per_device_train_batch_size=4",
    "train.grpo.gradient_accumulation_steps=4",
    "train.grpo.num_generations=8",  # as many as there are variants, or a group would be all right or all wrong
    "train.grpo.max_completion_length=96",
    "without=[fusion]",  # its tasks have no golden solutions
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lora", choices=("on", "off"), default="on")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    from tritonrl_core.train.run import train
    from tritonrl_core.verifier import Verifier

    changes = [*SMALLER, f"verifier.device={options.device}"]
    changes += ["train.lora=null", "train.grpo.model_init_kwargs.dtype=float32"] if options.lora == "off" else []
    changes += ["tasks.size=small"] if options.device == "cpu" else []
    scorers: list[StandIn] = []

    def open_scorer(preset: Preset, session: Any, known: Sequence[Score]) -> StandIn:
        scorers.append(StandIn(Verifier(preset, session, known=known)))
        return scorers[0]

    with tempfile.TemporaryDirectory() as scratch:
        write_model(Path(scratch) / "model", layers=4, hidden=256, vocabulary=8192)
        preset = load_preset("gpu_8b", changes)
        train(preset, model=f"{scratch}/model", out=Path(scratch) / "run", open_scorer=open_scorer)
        told = {"lora": options.lora, "statuses": dict(scorers[0].statuses), **found(Path(scratch))}
    sys.stdout.write(json.dumps(told) + "\n")
    if not told["moved"]:
        raise SystemExit("no weight moved")


def found(scratch: Path) -> dict[str, Any]:
    """What the run left: figures of each step, and whether the model that was saved differs from a fresh one."""
    import torch
    from safetensors.torch import load_file

    from tritonrl_core.train.model import load_policy

    saved = scratch / "run" / "checkpoints" / "rl" / "final" / "model.safetensors"
    names = ("loss", "grad_norm", "step_time", "time/generation_s", "time/verification_s", "completions/mean_length")
    steps = [{name: row.get(name) for name in names} for row in read_metrics(scratch / "run")]
    trained = load_file(saved)
    dtype = str(next(iter(trained.values())).dtype).removeprefix("torch.")
    fresh = load_policy(scratch / "model", dtype=dtype).model.state_dict()
    moved = sum(not torch.equal(value, fresh[name]) for name, value in trained.items())
    return {"steps": steps, "tensors": len(trained), "moved": moved, "dtype": dtype}


if __name__ == "__main__":
    main()

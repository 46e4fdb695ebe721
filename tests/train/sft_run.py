"""One rank of a cold start of the tiny policy on golden solutions: `sft_run.py POLICY OUT`."""

from __future__ import annotations

import sys
from pathlib import Path

from accelerate import PartialState

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.train.run import train

SFT = {"max_steps": 3, "per_device_train_batch_size": 2, "learning_rate": 1e-2, "save_steps": 2}

if __name__ == "__main__":
    data = load_preset("baseline", ["tasks.suite=builtin"]).dump()
    preset = Preset.from_data({**data, "train": {**data["train"], "model": sys.argv[1], "sft": SFT}})
    train(preset, out=Path(sys.argv[2]), stage="sft")
    PartialState().destroy_process_group()

"""One rank of test_ranks.py. Arguments: policy folder, work folder. Prints one JSON object."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch

from tritonrl_core.types import Task


def load_test_module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(policy: Path, work: Path) -> None:
    kit = load_test_module("test_grpo")
    tasks = [Task(id=f"l1-{n}", level=1, source=f"class Model: pass  # {n}") for n in range(4)]
    hooks = kit.Hooks()
    trainer = kit.make_trainer(policy, work, tasks, hooks, per_device_train_batch_size=4, num_generations=8)
    rank = trainer.accelerator.process_index
    own = kit.COMPLETIONS[4 * rank : 4 * rank + 4]
    ids = [trainer._tokenizer(text)["input_ids"] + [trainer._tokenizer.eos_token_id] for text in own]
    sampled = trainer._generate_single_turn
    trainer._generate_single_turn = lambda *_, **__: (ids, None)
    trainer.model.train()
    rows = next(trainer.stream.rows())
    fixed = trainer._generate_and_score_completions([rows] * 4)["advantages"]
    trainer._generate_single_turn = sampled
    trainer.stream.load_state_dict({**trainer.stream.state_dict(), "ahead": []})
    trainer.train()
    weights = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
    sys.stdout.write(
        json.dumps(
            {
                "rank": rank,
                "world": trainer.accelerator.num_processes,
                "advantages": [row[row != 0].tolist() for row in fixed],
                "told": hooks.told,
                "weights": weights.double().sum().item(),
                "moved": trainer.state.global_step,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

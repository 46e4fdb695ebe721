"""One rank of test_ranks.py: `rank.py cpu|cuda POLICY WORK`. Writes WORK/rank-<n>.json, and rank 0 the gradients.

Three times one step on given completions, with the advantages of all tokens, of the plans' and of the codes'; then two
steps on sampled ones, where the second rank ends its completions long before the first.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import TrainerCallback

from tritonrl_core.train.ranks import is_sharded
from tritonrl_core.types import Task

COMPLETIONS = 8
TASKS = [Task(id=f"l1-{n}", level=1, source=f"class Model: pass  # {n}") for n in range(4)]


def say(what: str) -> None:
    """What is done, and when, for whoever wonders where the time goes."""
    sys.stderr.write(f"{datetime.now():%M:%S.%f} {what}\n")


def load_test_module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class KeepGradient(TrainerCallback):
    """Keeps the whole gradient, averaged over the ranks, before each optimiser step."""

    def __init__(self) -> None:
        self.gradient = torch.empty(0)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        self.gradient = torch.cat([whole(p.grad).flatten().cpu() for p in model.parameters()])


def whole(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).detach()


def make_trainer(kit: Any, policy: Path, work: Path, device: str, hooks: Any, **options: Any) -> Any:
    world = PartialState().num_processes if PartialState._shared_state else 1
    on_cpu = {"use_cpu": device == "cpu", "per_device_train_batch_size": COMPLETIONS // world}
    return kit.make_trainer(policy, work, TASKS, hooks, num_generations=COMPLETIONS, **on_cpu, **options)


def given_step(kit: Any, policy: Path, work: Path, device: str, part: str) -> dict[str, Any]:
    """One optimiser step on given completions, in which only one part's advantages count."""
    hooks, keep = kit.Hooks(), KeepGradient()
    trainer = make_trainer(kit, policy, work, device, hooks, max_steps=1, max_grad_norm=0.0)
    rank, count = trainer.accelerator.process_index, trainer.args.per_device_train_batch_size
    own = kit.COMPLETIONS[count * rank : count * (rank + 1)]
    ids = [trainer._tokenizer(text)["input_ids"] + [trainer._tokenizer.eos_token_id] for text in own]
    trainer._generate_single_turn = lambda *_, **__: (ids, None)
    credited, held = trainer._token_advantages, []

    def of_one_part(*arguments: Any) -> torch.Tensor:
        held.append(credited(*arguments))
        is_plan = torch.zeros(held[0].shape, dtype=torch.bool, device=held[0].device)
        for row, text in enumerate(own):
            is_plan[row, text.index("plan number") : text.index("\n</plan>")] = True
        return held[0] * {"whole": torch.ones_like(is_plan), "plan": is_plan, "code": ~is_plan}[part]

    trainer._token_advantages = of_one_part
    trainer.add_callback(keep)
    trainer.train()
    if rank == 0:
        torch.save(keep.gradient, work / f"gradient-{part}.pt")
    return {"advantages": [row[row != 0].tolist() for row in held[0]], "told": hooks.told, "rank": rank}


def sampled_steps(kit: Any, policy: Path, work: Path, device: str) -> dict[str, Any]:
    hooks = kit.Hooks()
    trainer = make_trainer(kit, policy, work, device, hooks)
    if trainer.accelerator.process_index == 1:
        trainer.generation_config.max_new_tokens = 2
    trainer.train()
    weights = torch.cat([whole(p).flatten() for p in trainer.model.parameters()])
    return {
        "told": hooks.told,
        "weights": weights.double().abs().sum().item(),
        "moved": trainer.state.global_step,
        "sharded": is_sharded(trainer.model),
        "world": trainer.accelerator.num_processes,
        "device": trainer.accelerator.device.type,
    }


def main(device: str, policy: Path, work: Path) -> None:
    faulthandler.dump_traceback_later(100, exit=True)  # a rank that waits for ever says where, and ends
    kit = load_test_module("test_grpo")
    PartialState(cpu=device == "cpu")
    say("imported")
    given = []
    for part in ("whole", "plan", "code"):
        given.append(given_step(kit, policy, work, device, part))
        say(f"one step with the advantages of: {part}")
    result = {"given": given, "sampled": sampled_steps(kit, policy, work, device)}
    say("two sampled steps")
    (work / f"rank-{given[0]['rank']}.json").write_text(json.dumps(result))
    PartialState().destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))

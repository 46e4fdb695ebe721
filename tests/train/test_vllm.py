"""Generation by vLLM, as far as it can be tested without it: what reaches TRL, and what its path does with our credit.

In vLLM's place stands a generator at TRL's door to it (`VLLMGeneration`), which samples from the policy itself.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from trl.trainer import grpo_trainer

from tritonrl_core.preset import load_preset
from tritonrl_core.train.config import grpo_config
from tritonrl_core.types import Task


def load_kit() -> Any:
    spec = importlib.util.spec_from_file_location("kit", Path(__file__).parent / "test_grpo.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class InVllmsPlace:
    """Takes what TRL hands to vLLM and answers as vLLM does: token ids, and the log-probability of each."""

    def __init__(self, model: Any, processing_class: Any, **options: Any) -> None:
        self.options = options
        self.synced = 0
        self._model, self._pad = model, processing_class.pad_token_id

    def sync_weights(self) -> None:
        self.synced += 1

    def generate(self, prompts: list[list[int]], **_: Any) -> tuple[Any, ...]:
        ids, logprobs = [], []
        for prompt in prompts:
            given = torch.tensor([prompt])
            with torch.no_grad():
                whole = self._model.generate(given, max_new_tokens=6, do_sample=True, pad_token_id=self._pad)
                scores = self._model(whole).logits.log_softmax(-1)[0, len(prompt) - 1 : -1]
            answer = whole[0, len(prompt) :]
            ids.append(answer.tolist())
            logprobs.append([[float(scores[place, token])] for place, token in enumerate(answer)])
        return prompts, ids, logprobs, {}


@pytest.mark.parametrize("level", ["token_truncate", "sequence_mask"])
def test_a_run_with_vllm_credits_tokens_as_one_without(
    tiny_policy: Path, tmp_path: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setattr(grpo_trainer, "VLLMGeneration", InVllmsPlace)
    kit = load_kit()
    hooks = kit.Hooks()
    trainer = kit.make_trainer(
        tiny_policy, tmp_path, tasks, hooks, use_vllm=True, vllm_mode="colocate", vllm_importance_sampling_mode=level
    )
    before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    trainer.train()
    assert trainer.state.global_step == 2
    assert trainer.vllm_generation.synced == 2
    assert trainer.vllm_generation.options["mode"] == "colocate"
    assert [entry[0] for entry in hooks.told] == (["credit", "observe"] * 2 + ["metrics"]) * 2
    assert any(not old.equal(new) for old, new in zip(before, trainer.model.parameters(), strict=True))


def test_the_presets_options_for_vllm_reach_trl() -> None:
    changes = {
        "vllm_mode": "server", "vllm_server_base_url": "http://127.0.0.1:8000", "vllm_max_model_length": 4096,
        "vllm_tensor_parallel_size": 2, "vllm_enable_sleep_mode": True, "vllm_gpu_memory_utilization": 0.25,
    }  # fmt: skip
    overrides = [f"train.grpo.{name}={value}" for name, value in changes.items()]
    config = grpo_config(load_preset("gpu_8b", overrides), Path("x"))
    assert {name: getattr(config, name) for name in changes} == changes
    shipped = grpo_config(load_preset("gpu_8b"), Path("x"))
    assert (shipped.vllm_mode, shipped.vllm_gpu_memory_utilization) == ("colocate", 0.3)

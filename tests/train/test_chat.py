"""The path of a real chat model, on a tiny Qwen3 with random weights and Qwen's own chat template."""

from __future__ import annotations

import importlib.resources
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.spans import CODE, FRAME, PLAN, parse_completion, token_parts
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.prompts import chat_messages, completion_text
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.train.config import sft_config
from tritonrl_core.train.model import Policy, load_policy
from tritonrl_core.train.sft import sft_rows, train_sft


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen3's architecture, byte-level BPE and chat template, at a size for tests."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    texts = [str(chat_messages(task)) for task in builtin_tasks()[:5]] + [
        golden.code for golden in golden_solutions()[:5]
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = (importlib.resources.files("trl") / "chat_templates" / "qwen3.jinja").read_text()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    folder = tmp_path_factory.mktemp("tiny-qwen3")
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def grpo_kit() -> Any:
    spec = importlib.util.spec_from_file_location("kit", Path(__file__).parent / "test_grpo.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_tokenizer_with_a_template_is_asked_in_messages(qwen: Path, caplog: pytest.LogCaptureFixture) -> None:
    policy = load_policy(qwen)
    prompt = policy.prompt(builtin_tasks()[0])
    assert policy.chat
    assert [message["role"] for message in prompt] == ["system", "user"]  # type: ignore[index]
    assert "have learned nothing" in caplog.text
    texts = policy.sample([prompt, prompt], max_new_tokens=5, seed=1)
    assert len(texts) == 2


def test_sampling_is_seeded_and_greedy_is_the_same_each_time(qwen: Path) -> None:
    policy = load_policy(qwen)
    prompts = [policy.prompt(task) for task in builtin_tasks()[:3]]
    assert policy.sample(prompts, max_new_tokens=6, seed=1) == policy.sample(prompts, max_new_tokens=6, seed=1)
    assert policy.sample(prompts, max_new_tokens=6, seed=1) != policy.sample(prompts, max_new_tokens=6, seed=2)
    greedy = [policy.sample(prompts, max_new_tokens=6, temperature=0, seed=seed) for seed in (1, 2)]
    assert greedy[0] == greedy[1]


def test_parts_of_tokens_of_a_byte_level_tokenizer(qwen: Path) -> None:
    tokenizer = load_policy(qwen).tokenizer
    text = completion_text("fuse → one kernel, é", "class ModelNew:\n    pass  # ✓\n")
    candidate = parse_completion(text)
    ids = tokenizer(text)["input_ids"] + [tokenizer.eos_token_id]
    parts = token_parts(tokenizer, ids, candidate)
    assert parts[-1] == FRAME
    for part, wanted in ((PLAN, candidate.plan), (CODE, candidate.code)):
        got = tokenizer.decode([token for token, p in zip(ids, parts, strict=True) if p == part])
        assert wanted in got
        assert len(got) <= len(wanted) + 4  # a token may reach over the edge by a newline


def answer_loss(policy: Policy, row: dict[str, Any]) -> float:
    """Mean negative log-likelihood of a row's answer."""
    ids = policy.tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_tensors="pt")["input_ids"]
    asked = policy.tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"]
    labels = ids.clone()
    labels[:, : len(asked)] = -100
    with torch.no_grad():
        return float(policy.model(input_ids=ids, labels=labels).loss)


def test_cold_start_learns_the_answer(qwen: Path, tmp_path: Path) -> None:
    policy = load_policy(qwen)
    rows = sft_rows(policy, builtin_tasks(), golden_solutions()[:4], "layout_only")
    assert rows[0]["completion"][0]["role"] == "assistant"
    data = load_preset("baseline").dump()
    sft = {"max_steps": 8, "per_device_train_batch_size": 2, "learning_rate": 1e-2, "save_strategy": "no"}
    before = answer_loss(policy, rows[0])
    train_sft(
        policy, rows, sft_config(Preset.from_data({**data, "train": {**data["train"], "sft": sft}}), tmp_path), []
    )
    assert answer_loss(policy, rows[0]) < before - 0.5


def test_reinforcement_runs_on_messages(qwen: Path, tmp_path: Path, grpo_kit: Any) -> None:
    hooks = grpo_kit.Hooks()
    tasks = [task for task in builtin_tasks() if task.level == 1][:4]
    trainer = grpo_kit.make_trainer(qwen, tmp_path, tasks, hooks, max_steps=1, max_completion_length=6)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    assert trainer.state.global_step == 1
    assert any(not a.equal(b) for a, b in zip(before, trainer.model.parameters(), strict=True))

"""Our GRPO against TRL's own: same gradient for the same credit, parts that sum to the whole, nobody told twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from tritonrl_core.reward import group_credit
from tritonrl_core.train.data import TaskStream
from tritonrl_core.train.grpo import KernelGRPOTrainer, batch_metrics
from tritonrl_core.train.model import load_policy
from tritonrl_core.types import Candidate, Credit, RewardParts, Score, Stage, Status, Task, Timing, Verdict

COMPLETIONS = [f"<plan>\nplan number {n}\n</plan>\n```python\nclass ModelNew:\n    x = {n * n}\n```" for n in range(8)]


class HashScorer:
    """An honest stand-in for the verifier: the verdict is a function of the code's hash, so it needs no bench."""

    def __init__(self) -> None:
        self.judged = 0

    def verify_batch(
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]:
        scores = []
        for index, (task, candidate) in enumerate(jobs):
            self.judged += 1
            digest = hashlib.sha256(candidate.text.encode()).digest()
            right, speedup = digest[0] % 2 == 0, 0.5 + digest[1] / 128
            timing = Timing((1.0,), {"eager": (speedup,)}, speedup, speedup, speedup, "none", "hash", "events")
            scores.append(
                Score(
                    task.id,
                    task.level,
                    task.key,
                    candidate,
                    Verdict(Status.PASSED if right else Status.WRONG, Stage.FULL, valid=True, compiled=True),
                    timing if right else None,
                    RewardParts(float(right), speedup if right else 0.0),
                )
            )
            if on_score:
                on_score(index, scores[-1])
        return scores


class Hooks:
    """Session stand-in: base credit, and a diary of what it was told."""

    def __init__(self, credit: Callable[[Sequence[Score]], Sequence[Credit]] | None = None) -> None:
        self.credit = credit or (lambda scores: group_credit(scores, 0.1))
        self.told: list[tuple[str, ...]] = []

    def assign_credit(self, scores: Sequence[Score]) -> Sequence[Credit]:
        self.told.append(("credit", *sorted({score.group for score in scores})))
        return self.credit(scores)

    def observe_group(self, scores: Sequence[Score], step: int) -> None:
        self.told.append(("observe", str(step), *sorted({score.task_id for score in scores})))

    def collect_metrics(self, step: int) -> Mapping[str, float]:
        self.told.append(("metrics", str(step)))
        return {"hooks/answer": 42.0}

    def sample_level(self, stats: Mapping[int, Any], step: int, rng: Random) -> int:
        return 1

    def sample_task(self, tasks: Sequence[Task], step: int, rng: Random) -> Task:
        return tasks[0]

    def state_dict(self) -> dict[str, Any]:
        return {"told": len(self.told)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.told = [("loaded", str(state["told"]))]


def make_trainer(folder: Path, tmp_path: Path, tasks: list[Task], hooks: Hooks, **options: Any) -> KernelGRPOTrainer:
    from trl import GRPOConfig

    policy = load_policy(folder)
    args = GRPOConfig(
        **{
            "output_dir": str(tmp_path),
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "seed": 3,
            "per_device_train_batch_size": 8,
            "num_generations": 4,
            "max_completion_length": 12,
            "max_steps": 2,
            "learning_rate": 1e-3,
            "report_to": "none",
            "logging_steps": 1,
            "save_strategy": "no",
            "disable_tqdm": True,
            "shuffle_dataset": False,
            "ignore_data_skip": True,
            "reward_weights": [1.0, 0.1],
            "dataloader_pin_memory": False,
            **options,
        }
    )
    stream = TaskStream(tasks, hooks, policy.prompt, seed=3)
    return KernelGRPOTrainer(
        model=policy.model, tokenizer=policy.tokenizer, args=args, stream=stream, scorer=HashScorer(), hooks=hooks
    )


def fixed_completions(trainer: KernelGRPOTrainer) -> None:
    """Let the trainer score given completions: with a model that babbles, no sample has a plan and a code."""
    ids = [trainer._tokenizer(text)["input_ids"] + [trainer._tokenizer.eos_token_id] for text in COMPLETIONS]
    trainer._generate_single_turn = lambda prompts, *_, **__: (ids[: len(prompts)], None)


def rows_of(trainer: KernelGRPOTrainer, count: int = 8) -> list[dict[str, Any]]:
    """One generation batch as the dataloader would give it."""
    rows = trainer.stream.rows()
    return [row for row in (next(rows) for _ in range(count // 4)) for _ in range(4)]


def gradient(trainer: KernelGRPOTrainer, inputs: dict[str, Any]) -> torch.Tensor:
    trainer.model.zero_grad()
    trainer.current_gradient_accumulation_steps = 1
    trainer.compute_loss(trainer.model, inputs).backward()
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


@pytest.fixture
def scored(tiny_policy: Path, tmp_path: Path, tasks: list[Task]) -> tuple[KernelGRPOTrainer, dict[str, Any]]:
    trainer = make_trainer(tiny_policy, tmp_path, tasks, Hooks())
    fixed_completions(trainer)
    trainer.model.train()
    return trainer, trainer._generate_and_score_completions(rows_of(trainer))


def test_a_broadcast_advantage_gives_trls_own_gradient(scored: tuple[KernelGRPOTrainer, dict[str, Any]]) -> None:
    trainer, inputs = scored
    per_sequence = torch.linspace(-1, 1, 8)
    theirs = gradient(trainer, {**inputs, "advantages": per_sequence})
    broadcast = per_sequence[:, None].expand(inputs["completion_ids"].shape).clone()
    ours = gradient(trainer, {**inputs, "advantages": broadcast})
    assert theirs.abs().max() > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-8)


def test_plan_and_code_gradients_sum_to_the_whole(scored: tuple[KernelGRPOTrainer, dict[str, Any]]) -> None:
    trainer, inputs = scored
    whole = inputs["advantages"]
    is_plan = torch.zeros(whole.shape, dtype=torch.bool)
    for row, text in enumerate(COMPLETIONS):
        is_plan[row, text.index("plan number") : text.index("\n</plan>")] = True
    plan = gradient(trainer, {**inputs, "advantages": whole * is_plan})
    code = gradient(trainer, {**inputs, "advantages": whole * ~is_plan})
    assert plan.abs().max() > 0
    assert code.abs().max() > 0
    torch.testing.assert_close(plan + code, gradient(trainer, {**inputs, "advantages": whole}), rtol=1e-4, atol=1e-7)


def test_code_alone_is_credited_as_trl_would(tiny_policy: Path, tmp_path: Path, tasks: list[Task]) -> None:
    """With the code's credit on every token and speed weighing nothing, the advantages are TRL's own numbers."""
    everywhere = Hooks(lambda scores: [Credit(c.code, c.code) for c in group_credit(scores, 0.0)])
    trainer = make_trainer(tiny_policy, tmp_path, tasks, everywhere, reward_weights=[1.0, 0.0])
    fixed_completions(trainer)
    trainer.model.train()
    ours = trainer._generate_and_score_completions(rows_of(trainer))["advantages"]
    theirs = torch.tensor(list(trainer._logs["advantages"]))
    torch.testing.assert_close(ours[:, 0], theirs, rtol=1e-5, atol=1e-5)
    assert theirs.abs().max() > 0


def test_each_token_gets_the_credit_of_its_part(scored: tuple[KernelGRPOTrainer, dict[str, Any]]) -> None:
    trainer, inputs = scored
    assert trainer._rollout is not None
    scores = trainer._rollout.all_scores
    credits = group_credit(scores[:4], 0.1) + group_credit(scores[4:], 0.1)
    assert any(credit.plan != credit.code for credit in credits)
    for row, (text, credit) in enumerate(zip(COMPLETIONS, credits, strict=True)):
        advantages = inputs["advantages"][row]
        plan = slice(text.index("plan number"), text.index("\n</plan>"))
        assert torch.all(advantages[plan] == torch.tensor(credit.plan))
        assert torch.all(advantages[: plan.start] == torch.tensor(credit.code))
        assert torch.all(advantages[plan.stop : len(text) + 1] == torch.tensor(credit.code))
        assert torch.all(advantages[len(text) + 1 :] == 0)


def test_infra_moves_nothing(tiny_policy: Path, tmp_path: Path, tasks: list[Task]) -> None:
    class Broken(HashScorer):
        def verify_batch(self, jobs: Any, on_score: Any = None) -> list[Score]:
            def infra(index: int, score: Score) -> None:
                verdict = Verdict(Status.INFRA, Stage.FULL)
                on_score(
                    index,
                    Score(score.task_id, 1, score.task_key, score.candidate, verdict, None, RewardParts(None, None)),
                )

            return super().verify_batch(jobs, infra)

    trainer = make_trainer(tiny_policy, tmp_path, tasks, Hooks())
    trainer._scorer = Broken()
    fixed_completions(trainer)
    trainer.model.train()
    inputs = trainer._generate_and_score_completions(rows_of(trainer))
    assert torch.all(inputs["advantages"] == 0)
    assert gradient(trainer, inputs).abs().max() == 0


def test_everyone_is_told_of_each_group_once_and_in_order(tiny_policy: Path, tmp_path: Path, tasks: list[Task]) -> None:
    hooks, told = Hooks(), []
    trainer = make_trainer(tiny_policy, tmp_path, tasks, hooks)
    trainer._on_score = told.append
    trainer.train()
    names = [entry[0] for entry in hooks.told]
    assert names == (["credit", "observe"] * 2 + ["metrics"]) * 2
    assert [entry[1] for entry in hooks.told if entry[0] == "credit"] == ["0-0", "0-1", "1-0", "1-1"]
    assert [entry[1] for entry in hooks.told if entry[0] == "observe"] == ["0", "0", "1", "1"]
    assert [score.step for score in told] == [0] * 8 + [1] * 8
    assert trainer.stream.stats[1].groups == 4
    logged = trainer.state.log_history[0]
    assert logged["hooks/answer"] == 42.0
    assert 0 <= logged["correct_rate"] <= 1
    assert logged["level/1"] == 1.0


def test_several_optimiser_steps_a_generation(tiny_policy: Path, tmp_path: Path, tasks: list[Task]) -> None:
    hooks = Hooks()
    trainer = make_trainer(
        tiny_policy,
        tmp_path,
        tasks,
        hooks,
        per_device_train_batch_size=4,
        steps_per_generation=2,
        num_iterations=2,
        max_steps=8,
    )
    trainer.train()
    assert trainer._generation == 2
    assert [entry[1] for entry in hooks.told if entry[0] == "credit"] == ["0-0", "0-1", "1-0", "1-1"]
    # One generation batch (two prompts) is read ahead at most.
    assert len(trainer.stream.state_dict()["ahead"]) <= 2


def test_batch_metrics_count_infra_apart(tasks: list[Task]) -> None:
    scores = HashScorer().verify_batch([(tasks[0], Candidate.from_code(str(n))) for n in range(6)])
    broken = Score(
        "t", 1, "k", Candidate.from_code(""), Verdict(Status.INFRA, Stage.FULL), None, RewardParts(None, None)
    )
    with_infra = batch_metrics([*scores, broken])
    assert with_infra["correct_rate"] == batch_metrics(scores)["correct_rate"]
    assert with_infra["status/INFRA"] == pytest.approx(1 / 7)
    assert batch_metrics([broken])["correct_rate"] == 0.0

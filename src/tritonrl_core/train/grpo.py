"""GRPO with hierarchical credit: the one file that subclasses TRL (1.16).

TRL samples, optimises and saves. Ours are the reward (the verifier's scores, gathered so that every rank sees every
group whole) and the advantages: one row per completion and one column per token instead of one number per completion.
Plan tokens carry the plan's advantage, all others (code, tags, fences, end of text) the code's: a malformed frame fails
like malformed code.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from accelerate.utils import gather_object
from datasets import IterableDataset
from trl import GRPOConfig, GRPOTrainer

from tritonrl_core.spans import PLAN, parse_completion, token_parts
from tritonrl_core.train.data import TaskStream
from tritonrl_core.train.ranks import whole
from tritonrl_core.types import Candidate, Credit, Score, Status, Task


class Scorer(Protocol):
    """What training needs of a verifier."""

    def verify_batch(
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]: ...


class CreditHooks(Protocol):
    """What training needs of a session."""

    def assign_credit(self, scores: Sequence[Score]) -> Sequence[Credit]: ...

    def observe_group(self, scores: Sequence[Score], step: int) -> None: ...

    def collect_metrics(self, step: int) -> Mapping[str, float]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def correctness(score: list[Score], **_: Any) -> list[float | None]:
    """TRL reward column: 1 for a correct kernel; None for INFRA, which TRL leaves out."""
    return [item.reward.correctness for item in score]


def speed(score: list[Score], **_: Any) -> list[float | None]:
    """TRL reward column: the speed reward, 0 for a kernel that is not correct; None for INFRA."""
    return [item.reward.speed for item in score]


@dataclass(frozen=True)
class Rollout:
    """This rank's completions of one generation, and the scores of all ranks in TRL's gathered order."""

    token_ids: Sequence[Sequence[int]]
    candidates: Sequence[Candidate]
    all_scores: Sequence[Score]


class KernelGRPOTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL has no types
    """TRL's GRPO on a `TaskStream`, scored by a `Scorer`, with credit by token.

    `on_score` is told of each of this rank's scores as it comes. Sampling is seeded anew for each generation from
    (seed, generation, rank), so a resumed run samples what the uninterrupted one would have.
    """

    def __init__(
        self,
        *,
        model: Any,
        tokenizer: Any,
        args: GRPOConfig,
        stream: TaskStream,
        scorer: Scorer,
        hooks: CreditHooks,
        on_score: Callable[[Score], None] = lambda score: None,
        **options: Any,
    ) -> None:
        super().__init__(
            model=model,
            args=args,
            processing_class=tokenizer,
            reward_funcs=[correctness, speed],
            train_dataset=IterableDataset.from_generator(_Rows(stream)),
            **options,
        )
        self.stream = stream
        self._scorer = scorer
        self._hooks = hooks
        self._on_score = on_score
        self._generation = 0
        self._rollout: Rollout | None = None

    def state_to_save(self) -> dict[str, Any]:
        """What a resumed run needs beside TRL's own checkpoint; the same on every rank."""
        return {
            "generation": self._generation,
            "stream": self.stream.state_dict(),
            "session": self._hooks.state_dict(),
        }

    def load_saved_state(self, state: Mapping[str, Any]) -> None:
        """Take back `state_to_save`; call before `train`."""
        self._generation = state["generation"]
        self.stream.load_state_dict(state["stream"])
        self._hooks.load_state_dict(state["session"])

    def _generate(self, prompts: list[Any]) -> Any:
        began = time.perf_counter()
        with nullcontext() if self.use_vllm else whole(self.model):
            result = super()._generate(prompts)
        self._note("time/generation_s", time.perf_counter() - began)
        return result

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        rank = self.accelerator.process_index
        torch.manual_seed(_seed_of(self.args.seed, self._generation, rank))
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        assert self._rollout is not None
        credits = self._share_credit(self._rollout.all_scores)
        mine = credits[rank * len(inputs) : (rank + 1) * len(inputs)]
        output["advantages"] = self._token_advantages(self._rollout, mine, output["completion_ids"])
        self.stream.used(len(credits) // self.num_generations)
        self._generation += 1
        return output

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: list[Any], completions: list[Any], completion_ids_list: Any
    ) -> torch.Tensor:
        """TRL's matrix of rewards, (completions of all ranks, 2), from this rank's verdicts."""
        texts = self._tokenizer.batch_decode(completion_ids_list, skip_special_tokens=True)
        candidates = [parse_completion(text) for text in texts]
        began = time.perf_counter()
        scores = self._verify([self.stream.tasks[row["task_id"]] for row in inputs], candidates)
        self._note("time/verification_s", time.perf_counter() - began)
        self._rollout = Rollout(completion_ids_list, candidates, gather_object(scores))
        scored = [{**row, "score": score} for row, score in zip(inputs, scores, strict=True)]
        rewards: torch.Tensor = super()._calculate_rewards(scored, prompts, completions, completion_ids_list)
        return rewards

    def _verify(self, tasks: Sequence[Task], candidates: Sequence[Candidate]) -> list[Score]:
        first = self.accelerator.process_index * len(tasks)
        placed: dict[int, Score] = {}

        def place(index: int, score: Score) -> None:
            group = f"{self._generation}-{(first + index) // self.num_generations}"
            placed[index] = score.at(step=self.state.global_step, group=group)
            self._on_score(placed[index])

        self._scorer.verify_batch(list(zip(tasks, candidates, strict=True)), on_score=place)
        return [placed[index] for index in range(len(tasks))]

    def _share_credit(self, scores: Sequence[Score]) -> list[Credit]:
        """Each group's credit, and everyone told of the group: once a group, in the same order on every rank."""
        step, size = self.state.global_step, self.num_generations
        credits: list[Credit] = []
        for first in range(0, len(scores), size):
            group = scores[first : first + size]
            credits += self._hooks.assign_credit(group)
            self._hooks.observe_group(group, step)
            self.stream.observe(group, step)
        for name, value in {**batch_metrics(scores), **self._hooks.collect_metrics(step)}.items():
            self._note(name, value)
        return credits

    def _token_advantages(
        self, rollout: Rollout, credits: Sequence[Credit], completion_ids: torch.Tensor
    ) -> torch.Tensor:
        """(B, T) advantages of this rank's tokens; padding keeps 0."""
        advantages = torch.zeros(completion_ids.shape, dtype=torch.float32, device=completion_ids.device)
        for row, (ids, candidate, credit) in enumerate(
            zip(rollout.token_ids, rollout.candidates, credits, strict=True)
        ):
            parts = token_parts(self._tokenizer, ids, candidate)
            values = [credit.plan if part == PLAN else credit.code for part in parts]
            advantages[row, : len(values)] = torch.tensor(values, device=completion_ids.device)
        return advantages

    def _note(self, name: str, value: float) -> None:
        """A figure for this step's log line, beside TRL's own."""
        self._metrics["train" if self.model.training else "eval"][name].append(float(value))


def batch_metrics(scores: Sequence[Score]) -> dict[str, float]:
    """Shares of a batch: correct, valid, compiled, by level and by status (of those judged; INFRA is counted apart)."""
    judged = [score for score in scores if score.verdict.status is not Status.INFRA]
    count = max(len(judged), 1)
    shares = {
        "correct_rate": sum(bool(score.reward.correctness) for score in judged) / count,
        "valid_rate": sum(score.verdict.valid is True for score in judged) / count,
        "compiled_rate": sum(score.verdict.compiled is True for score in judged) / count,
        "cached_rate": sum(score.cached for score in scores) / max(len(scores), 1),
    }
    for level, number in sorted(Counter(score.level for score in scores).items()):
        shares[f"level/{level}"] = number / len(scores)
    for status, number in sorted(Counter(score.verdict.status.value for score in scores).items()):
        shares[f"status/{status}"] = number / len(scores)
    return shares


class _Rows:
    """The stream as a generator function for `datasets`, which hashes what it is given: this has nothing to hash."""

    def __init__(self, stream: TaskStream) -> None:
        self._stream = stream

    def __call__(self) -> Any:
        return self._stream.rows()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Rows, (None,))


def _seed_of(seed: int, generation: int, rank: int) -> int:
    """A seed that no two generations or ranks of a run share."""
    return (seed * 1_000_003 + generation * 8_191 + rank) % 2**63

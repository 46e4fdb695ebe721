"""A taskset of the package `verifiers` (its v1 interface): the service's tasks, scored by the service.

Prompts and rewards are the service's own, so this needs no GPU, no torch and no plugin. `verifiers` finds a taskset by
a top-level module; make one of a single line:

    from tritonrl_core.serve.verifiers_taskset import *  # tritonrl_env.py, then: vf-eval tritonrl_env
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import verifiers.v1 as vf

from tritonrl_core.errors import InfraError
from tritonrl_core.serve.client import RemoteVerifier
from tritonrl_core.spans import parse_completion
from tritonrl_core.types import Score, Status

__all__ = ["TritonTaskset"]


class KernelConfig(vf.TaskConfig):
    """How a task is scored: by the service at `url`."""

    url: str = "http://127.0.0.1:8686"
    patience_s: float = 600.0


class KernelData(vf.TaskData):
    """A task's name at the service, and the key of its content."""

    task_id: str
    task_key: str


class KernelTask(vf.Task[KernelData, vf.State, KernelConfig]):
    """Write a kernel; the last reply is the completion."""

    @vf.reward
    async def reward(self, trace: vf.Trace) -> Mapping[str, float]:
        """Correctness and speed, of which the reward is the sum. Raises `InfraError` for a fault of the service's."""
        score = await asyncio.to_thread(self._score, trace.last_reply)
        verdict, parts = score.verdict, score.reward
        trace.info["verdict"] = {"status": verdict.status.value, "stage": verdict.stage.value, "reason": verdict.reason}
        if parts.correctness is None:
            raise InfraError(f"{self.config.url}: no verdict: {verdict.reason}", remedy="See the service's log.")
        trace.record_metric("correct", float(verdict.status is Status.PASSED))
        return {"correctness": parts.correctness, "speed": parts.speed or 0.0}

    def _score(self, reply: str) -> Score:
        with RemoteVerifier(self.config.url, patience_s=self.config.patience_s) as verifier:
            return verifier.verify(self.data.task_id, parse_completion(reply))


class TritonConfig(vf.TasksetConfig):
    """Which of the service's tasks: a split, and levels (all where there are none)."""

    task: KernelConfig = KernelConfig()
    split: str = "train"
    levels: tuple[int, ...] = ()


class TritonTaskset(vf.Taskset[KernelTask, TritonConfig]):
    """The tasks of a service."""

    def load(self) -> Iterable[KernelTask]:
        """Raises `InfraError` where the service does not answer."""
        chosen = self.config.task
        with RemoteVerifier(chosen.url, patience_s=chosen.patience_s) as verifier:
            for line in verifier.tasks(self.config.split):
                if self.config.levels and line["level"] not in self.config.levels:
                    continue
                system, *asked = verifier.task(line["id"])["messages"]
                yield KernelTask(
                    KernelData(
                        id=line["id"], name=line["id"], task_id=line["id"], task_key=line["key"],
                        system_prompt=system["content"], prompt="\n\n".join(part["content"] for part in asked),
                    ),
                    chosen,
                )  # fmt: skip

"""Checking several cases of one candidate at once, where all are expected to pass: what a check costs is asking the
device and waiting for it, and here several cases wait together.

For the replay worker. It can only say that every case is plainly right. Whatever else it sees it tells as `apart`, and
then each case is checked by itself, from the start, by `replay.check`, which alone says what is wrong and whose fault
it is. The order of things is the same as there; what differs is that the cases' arenas lie on the device together, each
by itself between its guards. That no kernel touched another case's is told by sums over each arena: right after it was
filled, before and after its own run, and at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tritonrl_core.bench.replay.check import Bench, Clock, Job, Used, facts, fault_boundary
from tritonrl_core.bench.replay.device_memory import POISONS, bit_sum, wipe
from tritonrl_core.bench.replay.kept_cases import Answers, Kept
from tritonrl_core.bench.replay.replayer import Placed
from tritonrl_core.bench.replay.verdict import Left, plain_answer, question
from tritonrl_core.bench.walk import seeded


@dataclass
class _Stand:
    """One case on the device: its arena, and the arena's sums at four moments (filled, before, after, at the end)."""

    job: Job
    kept: Kept
    placed: Placed
    sums: list[torch.Tensor]
    bytes_while_running: int = 0

    def add_sum(self) -> None:
        """Enqueued after all that came before on the stream."""
        self.sums.append(bit_sum(self.placed.arena.memory))

    def touched(self) -> torch.Tensor:
        """Whether others changed the arena: between filling and its run, or after it."""
        filled, before, after, end = self.sums
        return (filled != before) | (after != end)


def check_together(bench: Bench, jobs: Sequence[Job]) -> dict[str, Any]:
    """`right`: fields of each case's result, in their order; or `apart`: why they must be checked one by one.

    `facts` are by case, `seconds` of all of them. Raises as `Bench.check` does.
    """
    clock = Clock()
    stands = _laid(bench, jobs, clock)
    if stands is None:
        return {"apart": "a case is too large to be kept"}
    most = _run(bench, stands)
    clock.mark("run")
    bench.give_way()
    used = Used(bench.device, outside=bench.flush.numel())
    answer = _judged(bench, stands, clock)
    told = [{**facts(bench.replay(stand.job)), **stand.placed.room(), "bytes_at_most": max(most, used.most()),
             "bytes_while_running": stand.bytes_while_running} for stand in stands]  # fmt: skip
    clock.mark("after")
    return {**answer, "facts": told, "seconds": clock.seconds}


def _laid(bench: Bench, jobs: Sequence[Job], clock: Clock) -> list[_Stand] | None:
    """All cases in memory; when this is over nothing else of theirs is. None where one is not kept on the shelf."""
    replays = [bench.replay(job) for job in jobs]
    clock.mark("load")
    kept: list[Kept] = []
    for job in jobs:
        bench.give_way()
        one = bench.cases.kept(job.task, job.case)
        if one is None:
            return None
        kept.append(one)
    clock.mark("inputs")
    given = bench.cases.given_together(kept)
    stands = []
    for job, one, replay, parts in zip(jobs, kept, replays, given, strict=True):
        bench.give_way()
        stands.append(_Stand(job, one, replay.place(parts, POISONS[0], guarded=True), []))
        wipe(parts.inputs)
    given.clear()
    del parts
    bench.cases.clear()
    clock.mark("place")
    return stands


def _run(bench: Bench, stands: Sequence[_Stand]) -> int:
    """One after the other on one stream; the host waits once, at the end. Gives the most bytes that were in use."""
    arenas, most = sum(stand.placed.arena.memory.numel() for stand in stands), 0
    for stand in stands:
        stand.add_sum()
    with fault_boundary():
        for stand in stands:
            used = Used(bench.device, outside=bench.flush.numel())
            stand.add_sum()
            with seeded(stand.job.case.seed):
                stand.placed.run()
            if bench.device.type == "cuda":
                most = max(most, used.most())
                stand.bytes_while_running = used.most() - arenas + stand.placed.arena.memory.numel()
            stand.add_sum()
        if bench.device.type == "cuda":
            torch.cuda.synchronize()
    for stand in stands:
        stand.add_sum()
    return most


def _judged(bench: Bench, stands: Sequence[_Stand], clock: Clock) -> dict[str, Any]:
    """One question for all of it. A worker whose own memory was written to is replaced."""
    answers = bench.cases.answers_together([stand.kept for stand in stands])
    clock.mark("answers")
    try:
        asked = [question(_left(bench, *pair)) for pair in zip(stands, answers, strict=True)]
        plain = [one for one in asked if one is not None]
        if len(plain) < len(stands):
            return {"apart": "a case takes a closer look"}
        touched = torch.stack([bench.disturbed(), *(stand.touched() for stand in stands)]).double()
        parts = [touched, *plain]
        sizes = [part.numel() for part in parts]
        (ours, *others), *found = torch.cat(parts).cpu().split(sizes)  # type: ignore[no-untyped-call]
    finally:
        wipe(tensor for one in answers for tensor in one.tensors())
        clock.mark("compare")
    if ours:
        return {"apart": "a kernel wrote to memory that it was not given", "replace_worker": True}
    if any(others):
        return {"apart": "a kernel wrote to another case's memory"}
    right = [plain_answer(one, numbers.tolist()) for one, numbers in zip(answers, found, strict=True)]
    return {"right": right} if all(right) else {"apart": "not every case is plainly right"}


def _left(bench: Bench, stand: _Stand, answers: Answers) -> Left:
    got = [output.to(bench.device) for output in stand.placed.outputs()]
    return Left(stand.job, stand.placed, got, answers, stand.placed.arena.disturbed())

"""Candidates whose verdict is known, one for each way to end, for the same small task. They need no GPU and use none.

    for sample in labelled_candidates():
        score = verifier.verify(sample.task, sample.candidate)
        assert score.verdict.status in sample.statuses
"""

from __future__ import annotations

from dataclasses import dataclass

from tritonrl_core.testing.samples import SAMPLE_KERNEL, sample_candidate, sample_task
from tritonrl_core.types import Candidate, Status, Task


@dataclass(frozen=True)
class Labelled:
    """A candidate and the statuses that say what it is: where there are two, either says it."""

    label: str
    task: Task
    candidate: Candidate
    statuses: frozenset[Status]


def labelled_candidates() -> list[Labelled]:
    """Candidates that pass, are wrong, slow, broken, hang, crash and cheat.

    The slow one is right, and takes sixteen launches for the work of one.
    """
    return [
        Labelled(label, sample_task(), _candidate(code), frozenset(statuses))
        for label, (code, *statuses) in _CODES.items()
    ]


def _candidate(code: str) -> Candidate:
    return sample_candidate() if code == SAMPLE_KERNEL else Candidate.from_code(code)


def _changed(old: str, new: str) -> str:
    """The sample kernel with one piece replaced."""
    if SAMPLE_KERNEL.count(old) != 1:
        raise ValueError(f"the sample kernel has not exactly one {old!r}")
    return SAMPLE_KERNEL.replace(old, new)


_LAUNCH = "        relu_kernel[(triton.cdiv(n, 128),)](x, y, n, BLOCK=128)\n"

_CODES: dict[str, tuple[str, *tuple[Status, ...]]] = {
    "passes": (SAMPLE_KERNEL, Status.PASSED),
    "wrong": (_changed("tl.maximum(x, 0.0)", "tl.where(x > 0, x, 0.1 * x)"), Status.WRONG),
    "slow": (_changed(_LAUNCH, f"        for _ in range(16):\n    {_LAUNCH}"), Status.PASSED),
    "broken": (_changed("tl.maximum(x, 0.0)", "tl.no_such_function(x)"), Status.BUILD_ERROR),
    "hangs": (_changed("        x = x.contiguous()\n", "        while True:\n            pass\n"), Status.TIMEOUT),
    "crashes": (_changed("        x = x.contiguous()\n", "        x = x.to(self.dtype)\n"), Status.RUNTIME_ERROR),
    "cheats": (_changed("        return y\n", "        return torch.relu(x)\n"), Status.REJECTED, Status.CHEATED),
}

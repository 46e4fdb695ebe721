"""verl's reward functions over a verifier service: one completion at a time, or a batch.

    custom_reward_function.path=pkg://tritonrl_core.serve.verl
    custom_reward_function.name=compute_score           # compute_scores with the reward manager `batch`
    +custom_reward_function.reward_kwargs.url=http://127.0.0.1:8686

The dataset's `reward_model.ground_truth` is the task's name. verl itself is not imported. Its rewards are numbers, so a
fault of the service's is 0 with `infra` 1, not left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from tritonrl_core.errors import UsageError
from tritonrl_core.serve.client import RemoteVerifier, reward_part
from tritonrl_core.spans import parse_completion
from tritonrl_core.types import Score, Status

URL = "TRITONRL_URL"
"""Environment variable with the service's address, where none is given."""


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, *,
    url: str = "", part: str = "total", **_: Any,
) -> dict[str, float]:  # fmt: skip
    """The score of one completion. `part` of the reward is `total`, `correctness` or `speed`.

    Raises `UsageError` where the service refuses (an unknown task), `InfraError` where it stays away.
    """
    return compute_scores([data_source], [solution_str], [ground_truth], url=url, part=part)[0]


def compute_scores(
    data_sources: Sequence[str], solution_strs: Sequence[str], ground_truths: Sequence[str], extra_infos: Any = None, *,
    url: str = "", part: str = "total", **_: Any,
) -> list[dict[str, float]]:  # fmt: skip
    """The scores of a batch, in order."""
    jobs = [(str(name), parse_completion(text)) for name, text in zip(ground_truths, solution_strs, strict=True)]
    return [_as_data(score, part) for score in _verifier(_address(url), os.getpid()).verify_batch(jobs)]


def _address(url: str) -> str:
    found = url or os.environ.get(URL, "")
    if not found:
        raise UsageError(
            "no verifier service is named", remedy=f"Set reward_kwargs.url, or {URL}, to what `tritonrl serve` shows."
        )
    return found


@lru_cache(maxsize=8)
def _verifier(url: str, process: int) -> RemoteVerifier:
    """One client for each address and process: connections don't survive a fork."""
    return RemoteVerifier(url)


def _as_data(score: Score, part: str) -> dict[str, float]:
    """Numbers only, the same names each time: verl makes arrays of them."""
    reward = score.reward
    return {
        "score": reward_part(score, part) or 0.0, "correctness": reward.correctness or 0.0,
        "speed": reward.speed or 0.0, "correct": float(score.verdict.status is Status.PASSED),
        "infra": float(score.verdict.status is Status.INFRA),
    }  # fmt: skip

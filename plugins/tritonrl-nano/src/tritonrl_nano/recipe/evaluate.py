"""How often the model is right on its held-out tasks, by the project's own verifier: at temperature 1 and greedy."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tritonrl_nano.recipe.suite import SEEDS
from tritonrl_nano.recipe.tasks import nano_tasks

MAX_NEW_TOKENS = 256


def evaluate(
    model: Path, preset: str = "all_extensions", tasks: int = 256, samples: int = 2, seed: int = 0
) -> dict[str, Any]:
    """Two reports, `sampled` (`tasks` × `samples` at temperature 1), `greedy` (one a task), as plain data.

    Tasks are those of the shipped draw, the shipped ones first; `seed` seeds the sampling. Intervals: 95 %, by
    bootstrap over tasks.
    """
    from tritonrl_core.evaluate import evaluate_policy
    from tritonrl_core.preset import load_preset
    from tritonrl_core.train.model import load_policy
    from tritonrl_core.verifier import Verifier

    policy = load_policy(model)
    suite = nano_tasks("held_out", tasks, SEEDS["held_out"])
    with Verifier(load_preset(preset)) as verifier:
        common: dict[str, Any] = {"max_new_tokens": MAX_NEW_TOKENS, "seed": seed}
        sampled = evaluate_policy(policy, suite, verifier, samples=samples, temperature=1.0, **common)
        greedy = evaluate_policy(policy, suite, verifier, samples=1, temperature=0.0, **common)
    return {name: _plain(report) for name, report in (("sampled", sampled), ("greedy", greedy))}


def _plain(report: Any) -> dict[str, Any]:
    data = asdict(report)
    del data["scores"]
    return data

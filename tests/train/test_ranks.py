"""Two ranks share a group: each holds the credit of its own rows, and both are told of the whole group."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_ranks(world: int, policy: Path, work: Path) -> list[dict[str, Any]]:
    common = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(world),
        "OMP_NUM_THREADS": "1",
    }
    script = str(Path(__file__).parent / "two_ranks.py")
    ranks = [
        subprocess.Popen(
            [sys.executable, script, str(policy), str(work)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": "true"},
        )
        for rank in range(world)
    ]
    outputs = [rank.communicate(timeout=200) for rank in ranks]
    for rank, (_, errors) in zip(ranks, outputs, strict=True):
        assert rank.returncode == 0, errors[-3000:]
    return [json.loads(out.strip().splitlines()[-1]) for out, _ in outputs]


def test_two_ranks_hold_their_own_rows_of_a_shared_group(tiny_policy: Path, tmp_path: Path) -> None:
    from tritonrl_core.reward import group_credit

    first, second = run_ranks(2, tiny_policy, tmp_path)
    assert (first["world"], first["rank"], second["rank"]) == (2, 0, 1)
    assert first["told"] == second["told"]
    # Three generations (one given, two sampled), one group of eight each, spread over both ranks.
    assert [entry[0] for entry in first["told"]] == ["credit", "observe", "metrics"] * 3
    assert first["weights"] == second["weights"]

    import importlib.util

    spec = importlib.util.spec_from_file_location("kit", Path(__file__).parent / "test_grpo.py")
    assert spec
    assert spec.loader
    kit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kit)
    from tritonrl_core.spans import parse_completion
    from tritonrl_core.types import Task

    task = Task(id="t", level=1, source="")
    scores = kit.HashScorer().verify_batch([(task, parse_completion(text)) for text in kit.COMPLETIONS])
    expected = group_credit(scores, 0.1)
    for credit, got in zip(expected, first["advantages"] + second["advantages"], strict=True):
        assert {round(value, 5) for value in got} == {round(credit.plan, 5), round(credit.code, 5)}

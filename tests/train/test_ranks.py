"""Two ranks share a group, by DDP or FSDP2: each holds the credit of its own rows, both are told of the whole group,
and together they make the step that one process makes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from tritonrl_core.errors import UsageError
from tritonrl_core.train.launch import command
from tritonrl_core.train.ranks import check_ranks

HERE = Path(__file__).parent


LIMIT_S = 150.0
"""For one start of ranks; each says where it is some time before (`rank.py`)."""


class Ranks:
    """A script of this folder in so many processes, as `tritonrl train --launch` starts them; one runs by itself."""

    def __init__(self, how: str, device: str, script: str, arguments: Sequence[object], world: int = 2) -> None:
        if device == "cuda" and torch.cuda.device_count() < world:
            pytest.skip(f"needs {world} GPUs")
        program = [str(HERE / script), *map(str, arguments)]
        if how == "fsdp2" and device == "cpu":
            program = [str(HERE / "shard_on_cpu.py"), *program]
        hidden = {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"} if device == "cpu" else {}
        if device == "cuda" and world == 1:  # or transformers would spread the batch over all that it sees
            hidden = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]}
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the processes
        sys.stdout.write(f"{datetime.now():%M:%S.%f} {how}, {world} of {script}\n")
        self._process = subprocess.Popen(
            command(how, world, program) if world > 1 else [sys.executable, *program],
            env={**os.environ, **hidden, "OMP_NUM_THREADS": "1"},
            stdout=self._said,
            stderr=self._said,
        )

    def finish(self) -> None:
        """Wait for them and end those that go on for ever. Fails with their last words; `pytest -rP` shows all."""
        try:
            code = self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.terminate()  # a launcher ends its ranks then
            code = self._process.wait(10)
        self._said.seek(0)
        words = self._said.read()
        sys.stdout.write(words)
        assert code == 0, words[-4000:]


def run_ranks(how: str, device: str, script: str, arguments: Sequence[object], world: int = 2) -> None:
    """Start ranks and wait for them."""
    Ranks(how, device, script, arguments, world).finish()


class Alone(NamedTuple):
    """What one process makes of all completions, while the ranks make the same."""

    device: str
    work: Path
    process: Ranks


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def alone(request: pytest.FixtureRequest, tiny_policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    work = tmp_path_factory.mktemp("alone")
    return Alone(request.param, work, Ranks("ddp", request.param, "rank.py", [request.param, tiny_policy, work], 1))


def gradients(work: Path) -> dict[str, torch.Tensor]:
    return {part: torch.load(work / f"gradient-{part}.pt") for part in ("whole", "plan", "code")}


def expected_credit() -> list[set[float]]:
    """Each completion's advantages, by the core's own formula."""
    from tritonrl_core.reward import group_credit
    from tritonrl_core.spans import parse_completion
    from tritonrl_core.types import Task

    spec = importlib.util.spec_from_file_location("kit", HERE / "test_grpo.py")
    assert spec
    assert spec.loader
    kit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kit)
    task = Task(id="t", level=1, source="")
    scores = kit.HashScorer().verify_batch([(task, parse_completion(text)) for text in kit.COMPLETIONS])
    return [{round(credit.plan, 5), round(credit.code, 5)} for credit in group_credit(scores, 0.1)]


@pytest.mark.parametrize("how", ["ddp", pytest.param("fsdp2", marks=pytest.mark.slow)])
def test_two_ranks_make_the_step_that_one_makes(how: str, alone: Alone, tiny_policy: Path, tmp_path: Path) -> None:
    device = alone.device
    run_ranks(how, device, "rank.py", [device, tiny_policy, tmp_path])
    alone.process.finish()
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    sampled: list[dict[str, Any]] = [first["sampled"], second["sampled"]]
    assert [rank["world"] for rank in sampled] == [2, 2]
    assert [rank["sharded"] for rank in sampled] == [how == "fsdp2"] * 2
    assert [rank["device"] for rank in sampled] == [device] * 2

    # Each rank holds its own rows' credit, from scores of the whole group.
    held = first["given"][0]["advantages"] + second["given"][0]["advantages"]
    assert [{round(value, 5) for value in row} for row in held] == expected_credit()

    # The gradient is that of one process, and plan and code are its two parts.
    mine, single = gradients(tmp_path), gradients(alone.work)
    for part in ("whole", "plan", "code"):
        assert single[part].abs().max() > 0
        torch.testing.assert_close(mine[part], single[part], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(mine["plan"] + mine["code"], mine["whole"], rtol=1e-3, atol=1e-5)

    # Sampled steps: both are told of the same groups in the same order, and end with the same weights.
    assert sampled[0]["told"] == sampled[1]["told"]
    assert [entry[0] for entry in sampled[0]["told"]] == ["credit", "observe", "metrics"] * 2
    assert [rank["moved"] for rank in sampled] == [2, 2]
    assert sampled[0]["weights"] == sampled[1]["weights"]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "FSDP 1"),
        (
            {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_CPU_RAM_EFFICIENT_LOADING": "True"},
            "fsdp_cpu_ram_efficient_loading",
        ),
    ],
)
def test_a_launcher_that_asks_for_something_else_is_refused(environment: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as refusal:
        check_ranks(environment)
    assert "fsdp" in refusal.value.remedy
    check_ranks({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"})

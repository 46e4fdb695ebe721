"""A whole run on two ranks: one folder, one model, the same scores after a kill as without one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tritonrl_core.runs import read_metrics, read_scores

HERE = Path(__file__).parent
REFERENCE = """\
import torch
import torch.nn as nn
class Model(nn.Module):
    def forward(self, x):
        return x + {n}
def get_inputs():
    return [torch.randn({n})]
def get_init_inputs():
    return []
"""


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def launch(tiny_policy: Path, tmp_path: Path) -> Callable[..., Path]:
    """Trains on two ranks in the folder of that name, which it returns."""
    tasks = tmp_path / "tasks" / "level1"
    tasks.mkdir(parents=True)
    for n in (1, 2, 3):
        (tasks / f"{n}_add.py").write_text(REFERENCE.format(n=n))
    ranks = load("test_ranks")

    def run(name: str, how: str, weights: str, *die_after: int) -> Path:
        out = tmp_path / name
        arguments = [tiny_policy, tmp_path / f"{name}.log", tasks, out, weights, *die_after]
        ranks.run_ranks(how, "cpu", "whole_run.py", arguments)
        return out

    return run


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_two_ranks_leave_one_run(launch: Callable[..., Path], tiny_policy: Path, how: str) -> None:
    run = launch("run", how, "all")
    assert len(list(read_scores(run))) == 6 * 16
    rows = list(read_metrics(run))
    assert [row["step"] for row in rows if row["stage"] == "rl"] == [1, 2, 3, 4, 5, 6]
    evaluated = [(row["when"], row["sampled/samples"], row["greedy/samples"]) for row in rows if row["stage"] == "eval"]
    assert evaluated == [("before", 6, 3), ("step 4", 6, 3), ("after", 6, 3)]
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_policy, run / "checkpoints/rl/final"))
    assert before.keys() == after.keys()
    assert {name: tensor.shape for name, tensor in after.items()} == {n: t.shape for n, t in before.items()}
    assert any(not before[name].equal(after[name]) for name in before)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["all", "lora"])
@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_two_ranks_that_were_killed_end_as_if_they_were_not(
    launch: Callable[..., Path], how: str, weights: str
) -> None:
    outcome = load("run_kit").outcome
    run = launch("run", how, weights)
    with pytest.raises(AssertionError, match=r"Interrupt|Error"):
        launch("torn", how, weights, 27)
    assert [path.name for path in (run / "../torn/checkpoints/rl").glob("checkpoint-*")] == ["checkpoint-2"]
    launch("torn", how, weights)
    assert outcome(run / "../torn") == outcome(run)
    whole, resumed = (load_file(run / f"../{name}/checkpoints/rl/final/model.safetensors") for name in ("run", "torn"))
    assert all(whole[name].allclose(resumed[name], atol=1e-6) for name in whole)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_a_cold_start_on_two_ranks_leaves_one_whole_model(how: str, tiny_policy: Path, tmp_path: Path) -> None:
    load("test_ranks").run_ranks(how, "cpu", "sft_run.py", [tiny_policy, tmp_path / "run"])
    assert [row["step"] for row in read_metrics(tmp_path / "run")] == [1, 2, 3]
    final = tmp_path / "run/checkpoints/sft/final/model.safetensors"
    before, after = load_file(tiny_policy / "model.safetensors"), load_file(final)
    assert {name: tensor.shape for name, tensor in after.items()} == {n: t.shape for n, t in before.items()}
    assert any(not before[name].equal(after[name]) for name in before)

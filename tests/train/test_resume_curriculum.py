"""A run with a curriculum that is killed and resumed chooses the levels and tasks of one that never was."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tritonrl_core.preset import Preset
from tritonrl_core.runs import read_metrics
from tritonrl_core.train.run import train

REFERENCE = """\
import torch
import torch.nn as nn
N = {n}
class Model(nn.Module):
    def forward(self, x):
        return x + {n}
def get_inputs():
    return [torch.randn(N)]
def get_init_inputs():
    return []
"""
EAGER = {"published": {"window": 2, "step": 0.2, "trigger": 0.3}, "even_odds": {"floor": 0.2}}


@pytest.fixture(scope="module")
def kit() -> Any:
    spec = importlib.util.spec_from_file_location("run_kit", Path(__file__).parent / "run_kit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tasks")
    for level in (1, 2):
        (root / f"level{level}").mkdir()
        for n in range(4):
            (root / f"level{level}" / f"{n + 1}_add.py").write_text(REFERENCE.format(n=10 * level + n))
    return root


def preset_with(kit: Any, policy: Path, tasks: Path, mode: str) -> Preset:
    plain = kit.tiny_preset(policy, tasks)
    data = {**plain.dump(), "levels": {1: 0.5, 2: 0.5}}
    return Preset.from_data(data).with_plugins(curriculum={"mode": mode, **EAGER[mode]})


def told(run: Path) -> list[dict[str, Any]]:
    """What the metrics say of the curriculum, step by step."""
    return [
        {name: value for name, value in row.items() if name.startswith(("curriculum/", "level/"))}
        for row in read_metrics(run)
    ]


@pytest.mark.parametrize("mode", ["published", "even_odds"])
def test_a_killed_run_goes_on_with_its_curriculum(
    kit: Any, tiny_policy: Path, task_folder: Path, tmp_path: Path, mode: str
) -> None:
    preset = preset_with(kit, tiny_policy, task_folder, mode)

    def scorer(log: str, die_after: int = -1) -> Any:
        return lambda preset, session, known: kit.HashScorer(known, tmp_path / log, die_after)

    train(preset, out=tmp_path / "whole", open_scorer=scorer("log"))
    with pytest.raises(KeyboardInterrupt):
        train(preset, out=tmp_path / "torn", open_scorer=scorer("log2", die_after=36))
    train(None, resume=tmp_path / "torn", open_scorer=scorer("log2"))
    assert kit.outcome(tmp_path / "torn") == kit.outcome(tmp_path / "whole")
    assert told(tmp_path / "torn") == told(tmp_path / "whole")
    last = told(tmp_path / "whole")[-1]
    if mode == "published":
        assert last["curriculum/changes"] >= 1
        assert last["curriculum/last_change_mean_rate"] >= 0.3  # the reason
    else:
        assert any(name.startswith("curriculum/estimated_rate_level_") for name in last)

"""The preset under which `reverify` and `export` judge: a run's own, on this machine's settings, or another."""

import pytest

from tritonrl_core.cli.reverify import run_preset
from tritonrl_core.errors import UsageError
from tritonrl_core.preset import load_preset
from tritonrl_core.runs import Run
from tritonrl_core.session import Session


@pytest.fixture
def folder(tmp_path):
    preset = load_preset("baseline", ["verifier.device=cuda", "reward.alpha=0.25"])
    Run.create(tmp_path / "run", preset.dump(), Session.open(preset).lock()).close()
    return tmp_path / "run"


def test_a_runs_own_preset_is_as_it_was(folder):
    preset = run_preset(folder, None, [])
    assert (preset.verifier.device, preset.reward.alpha) == ("cuda", 0.25)


def test_a_runs_own_preset_may_judge_on_another_machine(folder):
    preset = run_preset(folder, None, ["verifier.device=cpu"])
    assert (preset.verifier.device, preset.reward.alpha) == ("cpu", 0.25)


def test_a_runs_own_rules_stay(folder):
    with pytest.raises(UsageError, match=r"reward\.alpha=1: of a run's own preset only the machine's settings"):
        run_preset(folder, None, ["verifier.device=cpu", "reward.alpha=1"])


def test_a_named_preset_may_be_changed(folder):
    assert run_preset(folder, "baseline", ["reward.alpha=1"]).reward.alpha == 1

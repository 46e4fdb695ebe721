"""What a training run refuses before there is a folder, and whose folders it does not go on in."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, NoReturn

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.preset import load_preset
from tritonrl_core.runs import EVAL_FILE, Run
from tritonrl_core.session import Session
from tritonrl_core.train.opening import collect_tasks, own_preset
from tritonrl_core.train.progress import Silent
from tritonrl_core.train.run import train

PRESET = load_preset("baseline", ["verifier.device=cpu"])


def test_a_runs_own_preset_comes_back(tmp_path: Path) -> None:
    Run.create(tmp_path / "run", PRESET.dump(), {}).close()
    assert own_preset(tmp_path / "run").dump() == PRESET.dump()


def test_an_evaluations_folder_is_no_training_runs(tmp_path: Path) -> None:
    Run.create(tmp_path, PRESET.dump(), {}, subfolders=False).close()
    with pytest.raises(UsageError, match="is no training run's folder"):
        own_preset(tmp_path)
    (tmp_path / EVAL_FILE).write_text("{}")
    with pytest.raises(UsageError) as error:
        own_preset(tmp_path)
    assert f"tritonrl eval --resume {tmp_path}" in error.value.remedy


@pytest.mark.parametrize(
    ("override", "said"), [("tasks.paths=[absent]", "absent"), ("tasks.suite=none", "no tasks to train on")]
)
def test_a_run_that_has_no_tasks_leaves_no_folder(tmp_path: Path, override: str, said: str) -> None:
    preset = load_preset("baseline", ["verifier.device=cpu", "train.sft={}", override])
    with pytest.raises(UsageError, match=said):
        train(preset, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_level_without_tasks_is_said() -> None:
    class Heard(Silent):
        lines: ClassVar[list[str]] = []

        def say(self, text: str) -> None:
            self.lines.append(text)

    collect_tasks(Session.open(load_preset("baseline", ["levels={3: 1.0, 4: 0.0}"])), Heard())
    assert Heard.lines == ["levels: there is no task of level 3; its weight goes to the others"]


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    class Heard(Silent):
        lines: ClassVar[list[str]] = []

        def say(self, text: str) -> None:
            self.lines.append(text)

    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    preset = load_preset("baseline", ["verifier.device=cpu"])
    with pytest.raises(KeyboardInterrupt):
        train(preset, out=tmp_path / "run", progress=Heard(), open_scorer=interrupted)
    assert Heard.lines[-1] == f"interrupted; go on with: tritonrl train --resume {tmp_path / 'run'}"
    assert own_preset(tmp_path / "run").dump() == preset.dump()

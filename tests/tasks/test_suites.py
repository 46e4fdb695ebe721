"""Suites by name: the built-in one, and the tasks that a bundled model brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.preset import load_preset
from tritonrl_core.session import generate_tasks
from tritonrl_core.tasks.suites import check_suites, named_tasks, suite_name, suite_tasks


def test_auto_is_the_bundled_models_own_suite_and_builtin_for_all_others() -> None:
    assert suite_name("auto", "nano") == "nano"
    assert suite_name("auto", "Qwen/Qwen3-8B") == "builtin"
    assert suite_name("auto") == "builtin"


def test_a_checkpoint_has_the_suite_of_the_model_that_its_run_began_with(tmp_path: Path) -> None:
    runs = {"first": "nano", "second": str(tmp_path / "first/checkpoints/rl/final"), "other": "Qwen/Qwen3-8B"}
    for name, model in runs.items():
        (tmp_path / name / "checkpoints/rl/final").mkdir(parents=True)
        (tmp_path / name / "preset.resolved.yaml").write_text(f"train: {{model: {model}}}\n")
        (tmp_path / name / "plugins.lock.json").write_text("{}")
    found = {name: suite_name("auto", str(tmp_path / name / "checkpoints/rl/final")) for name in runs}
    assert found == {"first": "nano", "second": "nano", "other": "builtin"}
    assert suite_name("auto", str(tmp_path)) == "builtin"


def test_a_bundled_suite_holds_other_computations_or_shapes_out_than_it_trains_on() -> None:
    train, held_out = suite_tasks("nano", "train"), suite_tasks("nano", "held_out")
    assert len(train) >= 256
    assert {task.level for task in train} == {task.level for task in held_out} == {1, 2}
    assert not {task.key for task in train} & {task.key for task in held_out}
    assert {task.split for task in held_out} == {"held_out"}
    assert len(suite_tasks("nano", "all")) == len(train) + len(held_out)


def test_no_suite_gives_no_tasks_and_an_unknown_one_a_hint() -> None:
    assert suite_tasks("none", "train") == []
    with pytest.raises(UsageError, match="builtin"):
        suite_tasks("buildin", "train")
    with pytest.raises(UsageError, match="held_out"):
        suite_tasks("builtin", "test")


def test_presets_name_suites_for_training_and_for_judging() -> None:
    preset = load_preset("baseline", ["tasks.suite=builtin"])
    assert {task.origin for task in generate_tasks(preset)} == {"builtin:small"}
    assert {task.split for task in named_tasks("builtin")} == {"held_out"}
    assert {task.split for task in named_tasks("builtin:train")} == {"train"}
    assert named_tasks("auto", "nano") == suite_tasks("nano", "held_out")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("tasks.suite=buildin", "tasks.suite: there is no suite 'buildin'"),
        ("tasks.paths=[nowhere]", "tasks.paths: no such file or folder: nowhere"),
        ("eval.suite=builtin:held", "eval.suite: suite builtin: there is no split 'held'"),
        ("eval.suite=./nowhere", "eval.suite: no such file or folder: ./nowhere"),
    ],
)
def test_what_a_preset_names_and_is_not_there_is_said_with_its_key(override: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_suites(load_preset("baseline", [override]))
    assert raised.value.message == said
    assert raised.value.remedy


def test_a_data_set_to_train_on_is_not_asked_for_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "relu.py").write_text("")
    asked: list[str] = []
    monkeypatch.setattr("tritonrl_core.tasks.loaders.fetched", asked.append)
    check_suites(load_preset("baseline", [f"tasks.paths=[{tmp_path}, {tmp_path / 'relu.py'}, somebody/kernels]"]))
    assert not asked

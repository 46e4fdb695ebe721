"""Others' completions as a "model": every form, and every mistake by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.evaluate.completions import are_completions, read_completions
from tritonrl_core.types import Task


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_completion_is_parsed_and_bare_code_is_taken_whole(kit: Any, tmp_path: Path) -> None:
    path = lines(
        tmp_path / "made.jsonl",
        {"task": "suite/a", "completion": "<plan>\nthink\n</plan>\n```python\nx = 1\n```"},
        {"task_id": "suite/b", "code": "y = 2\n"},
    )
    jobs = read_completions(str(path), kit.TASKS).jobs
    assert [(task.id, candidate.plan.strip(), candidate.code.strip()) for task, candidate in jobs] == [
        ("suite/a", "think", "x = 1"),
        ("suite/b", "", "y = 2"),
    ]


def test_what_is_not_of_the_suite_and_what_is_not_answered_are_named(kit: Any, tmp_path: Path) -> None:
    path = lines(tmp_path / "made.jsonl", {"task": "suite/a", "code": "1"}, {"task": "other/z", "code": "1"})
    found = read_completions(str(path), kit.TASKS)
    assert found.strangers == ("other/z",)
    assert found.silent == ("suite/b", "suite/c", "suite/d", "suite/e")


def test_a_folder_of_kernelbench_kernels_finds_its_tasks_by_number(tmp_path: Path) -> None:
    (tmp_path / "level_1_problem_3_sample_0_kernel.py").write_text("first\n")
    (tmp_path / "level_1_problem_3_sample_1_kernel.py").write_text("second\n")
    (tmp_path / "level_2_problem_3_sample_0_kernel.py").write_text("other level\n")
    task = Task("level1/3_Batched_matmul", 1, "source")
    found = read_completions(str(tmp_path), [task])
    assert [candidate.code for _, candidate in found.jobs] == ["first\n", "second\n"]
    assert found.strangers == ("level_2_problem_3",)


def test_a_model_folder_is_no_completions(tmp_path: Path) -> None:
    lines(tmp_path / "made.jsonl", {"task": "a", "code": "1"})
    assert are_completions(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert not are_completions(str(tmp_path))
    assert not are_completions("nano")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
        ({"code": "x"}, "line 2: names no task"),
        ({"task": "suite/a"}, "line 2: has neither"),
    ],
)
def test_a_broken_line_is_named(kit: Any, tmp_path: Path, row: object, words: str) -> None:
    path = lines(tmp_path / "made.jsonl", {"task": "suite/a", "code": "1"}, row)
    with pytest.raises(UsageError, match=words):
        read_completions(str(path), kit.TASKS)


def test_completions_of_another_suite_are_refused_with_the_nearest_name(kit: Any, tmp_path: Path) -> None:
    path = lines(tmp_path / "made.jsonl", {"task": "suit/a", "code": "1"})
    with pytest.raises(UsageError) as raised:
        read_completions(str(path), kit.TASKS)
    assert "suite/a" in raised.value.remedy
    with pytest.raises(UsageError, match="no such file"):
        read_completions(str(tmp_path / "none.jsonl"), kit.TASKS)

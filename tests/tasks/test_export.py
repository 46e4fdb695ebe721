"""Rows on disk: tasks come back as they were, and solutions are what TRL's SFT takes."""

import json

import pytest

from tritonrl_core.base.known_solution import known_solution
from tritonrl_core.errors import UsageError
from tritonrl_core.spans import parse_completion
from tritonrl_core.tasks.export import solution_row, task_row, write_rows
from tritonrl_core.tasks.loaders import load_tasks
from tritonrl_core.tasks.suite import builtin_tasks

TASKS = builtin_tasks("train")[:5] + builtin_tasks("train")[-5:]


def test_tasks_come_back_from_jsonl_as_they_were(tmp_path):
    path = tmp_path / "deep" / "tasks.jsonl"
    assert write_rows(map(task_row, TASKS), path) == 10
    assert load_tasks(path) == TASKS
    assert [file.name for file in path.parent.iterdir()] == ["tasks.jsonl"]


@pytest.mark.parametrize("style", ["chat", "compact"])
def test_a_row_has_the_prompt_and_a_completion_that_parses_back(style):
    solution = known_solution(TASKS[0])
    row = json.loads(json.dumps(solution_row(TASKS[0], solution, style)))
    text = row["completion"] if style == "compact" else row["completion"][0]["content"]
    assert parse_completion(text).code == solution.code
    assert parse_completion(text).plan == solution.plan
    assert ("<|task|>" in row["prompt"]) == (style == "compact")


def test_an_unknown_style_is_refused():
    with pytest.raises(UsageError, match="chatt"):
        solution_row(TASKS[0], known_solution(TASKS[0]), "chatt")


@pytest.mark.parametrize("style", ["chat", "compact"])
def test_a_folder_is_a_dataset(tmp_path, style):
    from datasets import load_from_disk

    rows = [solution_row(task, known_solution(task), style) for task in TASKS]
    assert write_rows(rows, tmp_path / "sft") == 10
    assert load_from_disk(str(tmp_path / "sft")).to_list() == rows


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_rows([], tmp_path / "file" / "tasks.jsonl")

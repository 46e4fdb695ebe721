"""`tritonrl tasks generate`."""

import json

import pytest
from typer.testing import CliRunner

from tritonrl_core.cli.app import app
from tritonrl_core.spans import parse_completion
from tritonrl_core.tasks.export import RowsAsTheyCome
from tritonrl_core.tasks.loaders import load_tasks


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TRITONRL_CACHE", str(tmp_path_factory.getbasetemp() / "generate-cache"))


def run(*arguments):
    return CliRunner().invoke(app, ["tasks", "generate", *map(str, arguments)])


def test_tasks_are_written_down_and_load_again(tmp_path):
    out = tmp_path / "tasks.jsonl"
    result = run("--preset", "fusion_data_only", "--count", 4, "--out", out)
    assert result.exit_code == 0, result.output
    tasks = load_tasks(out)
    assert len(tasks) == 4
    assert all(task.level == 2 and task.grade["launches"] >= 1 for task in tasks)
    again = run("--preset", "fusion_data_only", "--count", 4)
    assert [json.loads(line) for line in again.stdout.splitlines()] == [
        json.loads(line) for line in out.read_text().splitlines()
    ]


def test_options_of_the_plugin_can_be_set_and_the_seed_counts(tmp_path):
    def ids(*arguments):
        result = run("--count", 3, *arguments)
        assert result.exit_code == 0, result.output
        return [json.loads(line)["id"] for line in result.stdout.splitlines()]

    assert all("gated_mlp" in name for name in ids("--set", "plugins.fusion.patterns=[gated_mlp]"))
    assert ids("--seed", 5) != ids("--seed", 6)


def test_a_held_out_split_can_be_generated():
    result = run("--count", 2, "--split", "held_out")
    assert [json.loads(line)["split"] for line in result.stdout.splitlines()] == ["held_out"] * 2


def test_solutions_are_judged_before_they_are_kept(tmp_path):
    out = tmp_path / "sft.jsonl"
    only = "plugins.fusion.patterns=[gated_mlp,layernorm_gelu]"
    result = run("--count", 3, "--with-solutions", "--set", only, "--out", out)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 3
    for row in rows:
        assert "one fused Triton kernel" in row["prompt"][-1]["content"]
        assert "class ModelNew" in parse_completion(row["completion"][0]["content"]).code


def test_what_is_there_is_not_overwritten(tmp_path):
    out = tmp_path / "tasks.jsonl"
    out.write_text("mine\n")
    result = run("--count", 1, "--out", out)
    assert "tasks.jsonl is there already" in str(result.exception)
    result = run("--count", 1, "--with-solutions", "--out", tmp_path / "tasks")
    assert "tasks.jsonl is there already" in str(result.exception)
    assert "--resume" in result.exception.remedy
    assert out.read_text() == "mine\n"


@pytest.mark.slow
def test_interrupted_solutions_stay_and_are_gone_on_with(tmp_path, monkeypatch):
    arguments = ("--count", 3, "--with-solutions", "--set", "plugins.fusion.patterns=[gated_mlp]", "--out")
    whole, out = tmp_path / "whole.jsonl", tmp_path / "sft.jsonl"
    assert run(*arguments, whole).exit_code == 0
    rows = {json.loads(line)["task_id"]: line for line in whole.read_text().splitlines(keepends=True)}
    kept = next(iter(rows))
    out.write_text(rows[kept] + '{"task_id": "cut o')

    def add_and_be_killed(self, row, add=RowsAsTheyCome.add):
        add(self, row)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RowsAsTheyCome, "add", add_and_be_killed)
        assert run(*arguments, out, "--resume").exit_code != 0
    ids = [json.loads(line)["task_id"] for line in out.read_text().splitlines()]
    assert len(ids) == len(set(ids)) == 2
    assert ids[0] == kept
    result = run(*arguments, out, "--resume")
    assert "3 solutions" in result.stdout
    assert {json.loads(line)["task_id"]: line for line in out.read_text().splitlines(keepends=True)} == rows


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "baseline", "--count", "3"], "enables no plugin that generates"),
        (["--preset", "baseline"], "no plugin of preset baseline generates tasks"),
        (["--split", "test"], "there is no split 'test'"),
        (["--style", "verse"], "there is no style 'verse'"),
        (["--count", "1", "--resume"], "--resume goes on with solutions in a file"),
        (["--count", "1", "--out", "/proc/nowhere/tasks.jsonl"], "cannot be written"),
    ],
)
def test_bad_usage_is_said(arguments, said):
    result = run(*arguments)
    assert result.exit_code != 0
    assert said in str(result.exception)

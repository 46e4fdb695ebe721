"""`tritonrl tasks`: the built-in suite and a user's folder, listed, shown and checked."""

import pytest
from typer.testing import CliRunner

from tritonrl_core.cli.app import app

GOOD = """\
import torch

class Model(torch.nn.Module):
    def forward(self, x):
        return {forward}

def get_inputs():
    return [torch.randn(24, 40)]

def get_init_inputs():
    return []
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITONRL_CACHE", str(tmp_path / "cache"))


def run(*arguments):
    return CliRunner().invoke(app, ["tasks", *map(str, arguments)])


def test_the_suite_is_listed():
    result = run("list")
    assert result.exit_code == 0
    assert "l1_softmax" in result.output
    assert "l2_swiglu" in result.output


def test_a_task_is_shown_as_reference_prompt_or_facts():
    assert "class Model(nn.Module)" in run("show", "l1_softmax").output
    assert "count as cheating" in run("show", "l1_softmax", "--prompt").output
    facts = run("show", "l2_scale_bias_tanh", "--facts").output
    assert "mul, add, tanh" in facts
    assert "(computed)" in facts


def test_a_folder_is_checked_and_each_bad_task_said_with_its_reason(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "good.py").write_text(GOOD.format(forward="torch.softmax(x, 1)"))
    assert run("check", folder).exit_code == 0
    (folder / "constant.py").write_text(GOOD.format(forward="torch.softmax(x.sum(1, keepdim=True), 1)"))
    (folder / "broken.py").write_text("def f(:")
    result = run("check", folder)
    assert result.exit_code == 1
    assert "constant: the output is the same for other inputs" in result.output
    assert "broken.py, line 1" in result.output
    assert "1 fit, 1 unfit, 1 broken" in result.output


def test_a_presets_unfit_tasks_are_said_too(tmp_path):
    (tmp_path / "constant.py").write_text(GOOD.format(forward="x.clamp(max=0).clamp(min=0)"))
    preset = tmp_path / "mine.yaml"
    preset.write_text(f"schema: 1\nextends: baseline\ntasks: {{suite: none, paths: ['{tmp_path / 'constant.py'}']}}\n")
    result = run("check", "--preset", preset)
    assert result.exit_code == 1
    assert "constant: the output is the same for other inputs" in result.output

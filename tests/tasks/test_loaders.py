"""Loaders: a user's files become tasks, and a broken one says where and why."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from tritonrl_core.errors import TaskError
from tritonrl_core.tasks.loaders import load_reference, load_tasks, load_what_can_be
from tritonrl_core.types import Policy

GOOD = """\
import torch
import torch.nn as nn

ROWS = 16

class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x)

def get_inputs():
    return [torch.randn(ROWS, 32)]

def get_init_inputs():
    return []
"""


def write(path, text=GOOD):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_a_task_that_varies_values_and_layouts_only(tmp_path):
    path = write(tmp_path / "relu.py")
    task = load_reference(path)
    assert (task.id, task.level, task.origin, task.mode) == ("relu", 1, str(path), "as_is")
    assert task.vary == {}
    assert task.dtypes == ()
    assert "Shapes are as in the source." in task.prompt


def test_a_folder_is_searched_in_depth_and_its_names_give_levels(tmp_path):
    write(tmp_path / "level2" / "7_fused.py")
    write(tmp_path / "level1" / "1_relu.py")
    write(tmp_path / "level1" / "_notes.py", "not a task")
    assert [(task.id, task.level) for task in load_tasks(tmp_path)] == [("level1/1_relu", 1), ("level2/7_fused", 2)]


def test_a_file_declares_what_may_vary_as_literals(tmp_path):
    declared = 'VARY = {"ROWS": [5, 33]}\nDTYPES = ["float16"]\nMODE = "eval"\n'
    task = load_reference(write(tmp_path / "relu.py", GOOD + declared))
    assert task.vary == {"ROWS": (5, 33)}
    assert task.dtypes == ("float16",)
    assert task.mode == "eval"
    assert "ROWS: 5, 33" in task.prompt


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("class Model(nn.Module):", "class Model(nn.Module)"), ["relu.py, line 6"]),
        (GOOD.replace("class Model", "class Net"), ["relu.py", "does not define `Model`"]),
        (GOOD + 'VARY = {"ROW": [5]}\n', ["relu.py", "'ROW'", "Did you mean 'ROWS'?"]),
        (GOOD + 'VARY = {"ROWS": [5.5]}\n', ["VARY['ROWS'] is [5.5]", "list of integers"]),
        (GOOD + "VARY = dict(ROWS=[5])\n", ["relu.py, line 15", "literal"]),
        (GOOD + 'VARY = {"ROWS": 5}\n', ["VARY['ROWS'] is 5", "list of integers"]),
        (GOOD + 'DTYPES = "float16"\n', ["DTYPES is 'float16'", 'DTYPES = ["float16"]']),
        (GOOD + 'MODE = "evil"\n', ["MODE is 'evil'", "eval, train, as_is"]),
        (GOOD + "\0", ["relu.py: source code string cannot contain null bytes", "must be Python"]),
        ("x = " + 5000 * "-" + "1", ["relu.py", "must be Python"]),
    ],
)
def test_a_broken_file_is_named_with_line_and_remedy(tmp_path, text, said):
    with pytest.raises(TaskError) as error:
        load_reference(write(tmp_path / "relu.py", text))
    assert all(words in str(error.value) for words in said)
    assert error.value.exit_code == 2


def test_what_is_missing_or_unreadable_is_named(tmp_path):
    with pytest.raises(TaskError, match=r"no such file: .*none\.py"):
        load_reference(tmp_path / "none.py")
    with pytest.raises(TaskError, match="no such file or folder"):
        load_tasks(tmp_path / "nowhere")
    with pytest.raises(TaskError, match=r"no \.py files"):
        load_tasks(tmp_path)
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TaskError, match="not UTF-8"):
        load_reference(tmp_path / "bytes.py")
    with pytest.raises(TaskError, match="is a folder"):
        load_reference(tmp_path)
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(TaskError, match=r"none\.jsonl: no task in this file"):
        load_tasks(tmp_path / "none.jsonl")


def test_a_byte_order_mark_is_no_part_of_a_reference(tmp_path):
    assert load_reference(write(tmp_path / "relu.py", "\ufeff" + GOOD)).source == GOOD


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"level": "two"}, 'level is "two"'),
        ({"mode": "evil"}, 'mode is "evil"'),
        ({"vary": [3]}, "vary is [3]"),
        ({"dtypes": 16}, "dtypes is 16"),
        ({"policy": {"delegate": "none"}}, 'policy is {"delegate": "none"}'),
    ],
)
def test_a_field_of_the_wrong_kind_is_named_with_its_line(tmp_path, field, said):
    path = write(tmp_path / "tasks.jsonl", json.dumps({"source": GOOD}) + "\n" + json.dumps({"source": GOOD, **field}))
    with pytest.raises(TaskError) as error:
        load_tasks(path)
    assert "tasks.jsonl, line 2" in error.value.message
    assert said in error.value.message


def test_a_line_of_jsonl_ends_where_json_says(tmp_path):
    row = {"id": "mine", "source": GOOD.replace("import torch\n", "import torch  # a\u2028b\n", 1)}
    path = write(tmp_path / "a.jsonl", json.dumps(row, ensure_ascii=False))
    assert [task.id for task in load_tasks(path)] == ["mine"]


def test_buffers_that_a_module_in_training_mode_changes_are_found(tmp_path):
    text = GOOD.replace("    def forward(self, x):\n        return torch.relu(x)", textwrap.indent(textwrap.dedent("""\
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(32)

        def forward(self, x):
            return self.norm(x)"""), "    "))
    task = load_reference(write(tmp_path / "norm.py", text))
    assert task.mutated_buffers == ("norm.running_mean", "norm.running_var", "norm.num_batches_tracked")
    assert load_reference(write(tmp_path / "calm.py", text + 'MODE = "eval"\n')).mutated_buffers == ()


def test_jsonl_lines_are_tasks_with_the_fields_of_a_task(tmp_path):
    row = {"id": "mine", "level": 2, "source": GOOD, "vary": {"ROWS": [3]}, "dtypes": ["float16"], "mode": "eval",
           "policy": {"delegation": "none", "forbidden_builtins": ["softmax"]}}
    path = write(tmp_path / "tasks.jsonl", json.dumps(row) + "\n\n" + json.dumps({"source": GOOD}) + "\n")
    first, second = load_tasks(path)
    assert (first.id, first.level, first.vary, first.dtypes) == ("mine", 2, {"ROWS": (3,)}, ("float16",))
    assert first.policy == Policy(delegation="none", forbidden_builtins=("softmax",))
    assert second.id == "tasks-3"


def test_a_broken_file_of_a_folder_need_not_hide_the_others(tmp_path):
    write(tmp_path / "good.py")
    write(tmp_path / "worse.py", "def f(:")
    tasks, errors = load_what_can_be(tmp_path)
    assert [task.id for task in tasks] == ["good"]
    assert ["worse.py, line 1" in str(error) for error in errors] == [True]
    with pytest.raises(TaskError, match=r"worse\.py, line 1"):
        load_tasks(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", "not JSON"),
        ('{"id": "x"}', "no `source`"),
        (json.dumps({"source": GOOD, "varry": {}}), "Did you mean 'vary'?"),
        (json.dumps({"source": "def f(:"}), "invalid syntax"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, said):
    path = write(tmp_path / "tasks.jsonl", json.dumps({"source": GOOD}) + "\n" + line + "\n")
    with pytest.raises(TaskError) as error:
        load_tasks(path)
    assert said in str(error.value)
    assert "tasks.jsonl" in str(error.value)


def test_a_dataset_that_cannot_be_fetched_says_so_and_what_to_do(tmp_path):
    code = "from tritonrl_core.tasks.loaders import load_tasks; load_tasks('ScalingIntelligence/KernelBench')"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "TRITONRL_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "TaskError: dataset ScalingIntelligence/KernelBench: not in the local cache" in done.stderr
    assert "Connect to the network once" in done.stderr


FETCH = """
import shutil, sys
from pathlib import Path
from datasets import config, load_dataset
from tritonrl_core.tasks.loaders import load_tasks

made = load_dataset("json", data_files={"level_2": sys.argv[1]})["level_2"].cache_files[0]["filename"]
kept = Path(config.HF_DATASETS_CACHE, "acme___kernel_tasks", "default", "0.0.0", "abc")
shutil.copytree(Path(made).parent, kept)
(kept / "json-level_2.arrow").rename(kept / "kernel_tasks-level_2.arrow")
print([(task.id, task.level) for task in load_tasks("acme/KernelTasks")])
"""


def test_without_the_hub_a_dataset_that_its_library_has_kept_serves(tmp_path):
    rows = write(tmp_path / "rows.jsonl", json.dumps({"name": "1_relu", "code": GOOD}) + "\n")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "TRITONRL_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", FETCH, str(rows)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout == "[('1_relu', 2)]\n", done.stderr


def test_a_dataset_in_the_local_cache_needs_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITONRL_CACHE", str(tmp_path))
    row = {"id": "1_relu", "level": 1, "source": GOOD}
    write(tmp_path / "datasets" / "someone--tasks.jsonl", json.dumps(row) + "\n")
    (task,) = load_tasks("someone/tasks")
    assert task.id == "1_relu"

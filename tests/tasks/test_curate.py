"""What is collected is examined and kept apart from what is tested on, without being asked."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from tritonrl_core import generate_tasks, load_preset
from tritonrl_core.session import Session
from tritonrl_core.tasks.curate import curate
from tritonrl_core.tasks.room import Room
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Task

FORM = """\
import torch

class Model(torch.nn.Module):
    def forward(self, x):
        return {forward}

def get_inputs():
    return [torch.randn(24, 40)]

def get_init_inputs():
    return []
"""


def task(name, forward, **more):
    return Task(name, 2, FORM.format(forward=forward), **more)


FIT = task("fit", "torch.tanh(x).cumsum(1) * 3")
CONSTANT = task("constant", "x.clamp(max=0).clamp(min=0)")
SOFTCAP = task("softcap", "torch.softmax(7 * torch.tanh(x / 7), dim=-1)")
"""The computation of the held-out `l2_softcap_softmax`, with another constant."""


def test_an_unfit_task_is_left_out_with_its_reason():
    found = curate([FIT, CONSTANT], "train", Room())
    assert found.kept == [FIT]
    assert found.unfit[0][0] is CONSTANT
    assert "1 of 2 tasks left out: not fit to judge with (constant:" in found.summary[0]


def test_what_equals_a_held_out_task_is_not_trained_on():
    found = curate([FIT, SOFTCAP], "train", Room())
    assert found.tested == [(SOFTCAP, "l2_softcap_softmax")]
    assert found.summary == ["1 of 2 tasks left out: they compute what a tested task does"]
    assert curate([SOFTCAP], "held_out", Room()).kept == [SOFTCAP]


def test_a_suite_that_ships_with_us_is_only_kept_out_of_what_the_user_names(tmp_path):
    (tmp_path / "mine.py").write_text(FORM.format(forward="torch.softmax(x, 1)"))
    suite = builtin_tasks("train")
    assert curate(suite, "train", Room()).kept == suite
    found = curate(suite, "train", Room(named=[str(tmp_path)]))
    assert {(task.id, twin) for task, twin in found.tested} == {("l1_softmax", "mine"), ("l1_softmax_columns", "mine")}


def test_a_presets_paths_are_examined_and_kept_apart(tmp_path):
    for subject in (FIT, CONSTANT, SOFTCAP):
        (tmp_path / f"{subject.id}.py").write_text(subject.source)
    preset = load_preset("baseline", ["tasks.suite=none", f"tasks.paths=['{tmp_path}']"])
    assert [task.id for task in generate_tasks(preset)] == ["fit"]
    assert len(Session.open(preset).tasks("train").summary) == 2


def test_what_plugins_generate_is_kept_apart_from_what_is_evaluated_on_too(tmp_path):
    (tmp_path / "fit.py").write_text(FIT.source)
    room = Room(evaluated=[str(tmp_path)])
    made = replace(FIT, origin="fusion")
    assert curate([made], "train", room, {"fusion"}).tested == [(made, "fit")]
    assert curate([FIT], "train", room, {"fusion"}).kept == [FIT], "a user's own files are the user's decision"


def test_the_second_start_needs_no_torch(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITONRL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "fit.py").write_text(FIT.source)
    preset = load_preset("baseline", ["tasks.suite=none", f"tasks.paths=['{tmp_path / 'fit.py'}']"])
    assert len(generate_tasks(preset)) == 1
    code = (
        "import json, sys\nfrom tritonrl_core import generate_tasks\nfrom tritonrl_core.preset import Preset\n"
        "assert len(generate_tasks(Preset.from_data(json.load(sys.stdin)))) == 1\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], input=json.dumps(preset.dump()), text=True, check=True)


def test_a_module_in_training_mode_is_the_same_computation():
    norm = "torch.relu(torch.nn.functional.batch_norm(x, None, None, training={}))"
    layer = FORM.replace("forward(self, x)", "__init__(self):\n        super().__init__()\n"
                         "        self.norm = torch.nn.BatchNorm1d(40)\n\n    def forward(self, x)")  # fmt: skip
    room = Room()
    modes = {room.computation(Task(mode, 2, layer.format(forward="torch.relu(self.norm(x))"), mode=mode))
             for mode in ("eval", "train", "as_is")}  # fmt: skip
    assert len(modes) == 1
    assert room.computation(task("other", norm.format(True))) not in modes


@pytest.mark.parametrize("subject", [FIT, task("broken", "x @ x")])
def test_a_room_answers_and_does_not_raise(subject):
    room = Room()
    assert isinstance(room.computation(subject), str)
    assert (room.unfit(subject) == "") == (subject is FIT)
    facts = room.facts(subject)
    assert (facts is None) == (subject is not FIT)
    if facts:
        assert room.facts(subject) == facts
        assert facts.fusible_edges == 2
        assert set(facts.grade) >= {"launches", "bytes", "saving", "roofline_us"}

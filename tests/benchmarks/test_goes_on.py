"""Whole commands and machines: what was interrupted goes on, what a machine is too small for is left out."""

import fleet
import front_door
import gpu_count
import pytest
import scaling_train
import throughput_parts

from tritonrl_core.runs import PRESET_FILE


def test_a_command_that_was_interrupted_goes_on(tmp_path):
    asked = "train", tmp_path, ["--preset", "baseline"]
    assert front_door.begun_or_new(*asked) == ["train", "--preset", "baseline", "--out", str(tmp_path)]
    (tmp_path / PRESET_FILE).touch()
    assert front_door.begun_or_new(*asked) == ["train", "--resume", str(tmp_path)]


def test_shapes_that_there_are_too_few_gpus_for_are_left_out_and_told(capsys):
    shapes = {text: fleet.gpus_of(text) for text in ("1x16", "2x32@ray", "1x16+1x16")}
    assert shapes == {"1x16": 1, "2x32@ray": 2, "1x16+1x16": 2}
    assert gpu_count.possible(shapes, 1) == ["1x16"]
    assert "2x32@ray is left out: it needs 2 GPUs, and there are 1" in capsys.readouterr().err
    assert gpu_count.possible(shapes, 2) == list(shapes)


SHAPE = {"gpus": 1, "cores": 16, "verifiers": 1, "by": "processes", "rate": 20.0, "cores_used": 13,
         "parent_cpu_ms": 5.0, "statuses": {"PASSED": 40}}  # fmt: skip


def test_a_table_that_is_not_whole_says_so():
    assert fleet.table([SHAPE], "fleet", 12.0, ["2x32", "4x64"]).notes[-1] == "Not measured: 2x32, 4x64"
    assert not any("Not measured" in note for note in fleet.table([SHAPE], "fleet", 12.0).notes)
    rows = [["attention"], ["loss"]]
    assert "Only these 2" in throughput_parts.table("families", rows, "a command", whole=False).notes[0]
    assert throughput_parts.table("families", rows, "a command", whole=True).notes == []


def test_each_number_of_ranks_runs_by_each_launcher():
    assert list(scaling_train.runs([1, 2], ["ddp", "fsdp2"])) == [(1, ""), (2, "ddp"), (2, "fsdp2")]


def test_steps_that_differ_are_shown_beside_their_mean():
    run = {"ranks": 1, "launch": "", "size": "small", "steps": 3, "completions": 32, "step_s": 13.1,
           "generation_s": 7.2, "verification_s": 3.3, "optimisation_s": 2.6, "completions_per_s": 2.4,
           "each_step_s": [15.4, 13.4, 10.5]}  # fmt: skip
    two = {**run, "ranks": 2, "launch": "ddp", "completions": 64, "completions_per_s": 4.8, "failed": -15}
    table = scaling_train.table([run, two])
    assert [row[-2:] for row in table.rows] == [["1.00×", "15.4, 13.4, 10.5"], ["2.00×", "15.4, 13.4, 10.5"]]
    assert "2 GPUs, ddp: ended by its limit with 3 steps that count" in table.notes


@pytest.mark.parametrize(
    ("name", "shown"), [("fast_1", "59.4 % (50.8 to 68.0)"), ("speedup", "0.59× (0.51 to 0.68)")]
)
def test_figures_of_an_evaluation_are_shown_in_their_units(name, shown):
    assert front_door.cell(name, {"value": 0.59375, "low": 0.5078, "high": 0.6797}) == shown
    assert front_door.cell(name, {"value": None, "low": None, "high": None}) == "–"

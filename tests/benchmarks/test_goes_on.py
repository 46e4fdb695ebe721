"""Whole commands and machines: what was interrupted goes on, what a machine is too small for is left out."""

import fleet
import front_door
import scaling_train

from tritonrl_core.runs import PRESET_FILE


def test_a_command_that_was_interrupted_goes_on(tmp_path):
    asked = "train", tmp_path, ["--preset", "baseline"]
    assert front_door.begun_or_new(*asked) == ["train", "--preset", "baseline", "--out", str(tmp_path)]
    (tmp_path / PRESET_FILE).touch()
    assert front_door.begun_or_new(*asked) == ["train", "--resume", str(tmp_path)]


def test_shapes_that_there_are_too_few_gpus_for_are_left_out_and_told(capsys):
    assert fleet.possible(["1x16", "2x32@ray", "1x16+1x16"], 1) == ["1x16"]
    assert "2x32@ray is left out: 2 GPUs, and there are 1" in capsys.readouterr().err
    assert fleet.possible(["2x32", "1x16+1x16"], 2) == ["2x32", "1x16+1x16"]


def test_ranks_that_there_are_too_few_gpus_for_are_left_out_and_told(capsys, monkeypatch):
    monkeypatch.setattr(scaling_train, "visible_gpus", lambda: ["one", "two"])
    assert scaling_train.possible("1,2,4") == [1, 2]
    assert "4 ranks are left out: there are 2 GPUs" in capsys.readouterr().err
    monkeypatch.setattr(scaling_train, "visible_gpus", list)
    assert scaling_train.possible("1,2,4") == [1, 2, 4], "without any GPU it is tried on the CPU"

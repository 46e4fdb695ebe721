"""`make bench-gpu`: every table of the page has its piece, every piece a command that reads, and none is run twice."""

import re
import sys
import time

import bench_gpu
import gpu_test_notes
import gpu_tests
import pytest
import tables
from pieces import MOST_MINUTES, PIECES, Piece

NO_TABLE = ("measured", "estimated", "integrity", "ablations")
"""Pieces that measure for a piece which makes the table, or for the table of another page."""


def test_every_table_of_the_page_is_made_by_a_piece_and_every_piece_makes_one():
    """A table that is new on the page needs its line in `benchmarks/pieces.py`."""
    places = set(re.findall(r"^<!-- (?!end of )(.+) -->$", tables.PAGE.read_text(), re.M))
    made = {name for piece in PIECES for name in piece.tables}
    assert made == places
    empty = [piece.name for piece in PIECES if not piece.tables]
    assert all(any(word in name for word in NO_TABLE) for name in empty)


def test_pieces_take_less_than_ten_minutes_and_come_after_pieces_that_are_there():
    names = [piece.name for piece in PIECES]
    assert len(set(names)) == len(names)
    for place, piece in enumerate(PIECES):
        assert piece.minutes < MOST_MINUTES
        assert "," not in piece.name  # `--pieces` parts names by commas
        assert set(piece.after) <= set(names[:place])


@pytest.mark.slow
def test_every_command_line_reads_and_every_table_renders():
    assert bench_gpu.rehearse(PIECES) == 0


def test_a_command_line_that_does_not_read_is_told():
    assert "--nothing" in bench_gpu.unread("benchmarks/full_size.py --nothing 1")
    assert "no place for odd" in bench_gpu.unrendered("odd", "a page")


def test_a_share_of_a_piece_does_less_in_whole_runs():
    command = "a.py --runs {20} --minutes {8.0} --only 3"
    assert bench_gpu.shared(command, 1.0) == "a.py --runs 20 --minutes 8 --only 3"
    assert bench_gpu.shared(command, 0.3) == "a.py --runs 6 --minutes 2.4 --only 3"
    for piece in PIECES:
        assert "{" not in bench_gpu.shared(piece.command, 0.01)


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    """A folder of our own for results, and pieces that append to a file there: the second goes wrong the first time."""
    for name in ("DONE", "RESULTS", "ROOT"):
        monkeypatch.setattr(bench_gpu, name, tmp_path / "done" if name == "DONE" else tmp_path)
    (tmp_path / "one.py").write_text("open('log', 'a').write('one ')\n")
    (tmp_path / "two.py").write_text(
        "open('log', 'a').write('two ')\nraise SystemExit(open('log').read().count('two') < 2)\n"
    )
    (tmp_path / "three.py").write_text("open('log', 'a').write('three ')\n")
    pieces = [Piece("one", "one.py", gpus=0), Piece("two", "two.py", gpus=0),
              Piece("three", "three.py", gpus=0, after=("two",))]  # fmt: skip
    monkeypatch.setattr(bench_gpu, "PIECES", pieces)
    return tmp_path, pieces


def test_what_failed_goes_on_with_the_next_call_and_what_is_done_does_not_run_again(workshop):
    folder, pieces = workshop
    assert bench_gpu.run_all(pieces, float("inf"), 1.0) == ["two"]
    assert (folder / "log").read_text() == "one two "
    assert bench_gpu.run_all(pieces, float("inf"), 1.0) == []
    assert (folder / "log").read_text() == "one two two three "
    assert bench_gpu.run_all(pieces, float("inf"), 1.0) == []
    assert (folder / "log").read_text() == "one two two three "


def test_a_piece_that_another_call_is_at_is_left_to_it(workshop):
    folder, pieces = workshop
    with bench_gpu.claimed(pieces[0]) as mine:
        assert mine
        bench_gpu.run_all(pieces[:1], float("inf"), 1.0)
    assert not (folder / "log").exists()


def test_no_piece_is_begun_that_might_end_too_late_or_needs_more_gpus(workshop, capsys, monkeypatch):
    folder, pieces = workshop
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    bench_gpu.run_all([pieces[0], Piece("many", "one.py", gpus=64)], 0.0, 1.0)
    assert not (folder / "log").exists()
    said = capsys.readouterr().out
    assert "one: left for the next call" in said
    assert "many: needs 64 GPUs" in said


def test_a_share_of_a_piece_is_not_the_piece(workshop, monkeypatch, capsys):
    (folder, pieces), page = workshop, tables.PAGE.read_text()
    monkeypatch.setattr(sys, "argv", ["bench_gpu.py", "--pieces", "one", "--share", "0.5"])
    bench_gpu.main()
    assert "left as it is" in capsys.readouterr().out
    assert tables.PAGE.read_text() == page
    assert not bench_gpu.is_done(pieces[0])
    assert (folder / "log").read_text() == "one "


def test_lanes_share_gpus_and_cores(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    cores = list(range(9))
    assert bench_gpu.lane(0, 2, cores) == ("4", [0, 1, 2, 3])
    assert bench_gpu.lane(1, 2, cores) == ("6", [4, 5, 6, 7])
    assert bench_gpu.lane(2, 3, cores) == ("", [6, 7, 8])
    assert bench_gpu.lane(1, 2, [0]) == ("6", [0])


def test_notes_of_tests_are_counted_by_file_and_what_did_not_pass_is_forgotten_for_the_next_call(tmp_path):
    notes = tmp_path / "notes.jsonl"
    ended = {"tests/a.py::one": "passed", "tests/a.py::two[x::y]": "failed", "tests/b.py::three": "skipped",
             "plugins/one/tests/c.py::TestPlugin::four": "passed"}  # fmt: skip
    for test, outcome in ended.items():
        gpu_test_notes.write(notes, {"test": test, "limit": 9.0, "began": 1.0})
        gpu_test_notes.write(notes, {"test": test, "outcome": outcome})
    gpu_test_notes.write(notes, {"test": "tests/b.py::five", "limit": 9.0, "began": 2.0})
    assert gpu_tests.running(notes)["test"] == "tests/b.py::five"
    assert gpu_tests.outcomes(notes) == ended
    assert gpu_tests.table_of([notes], ["tests/other.py"]).rows == [
        ["plugins/one/tests/c.py", 1, 0, 0], ["tests/a.py", 1, 1, 0], ["tests/b.py", 0, 0, 1],
    ]  # fmt: skip
    assert "tests/other.py" in gpu_tests.table_of([notes], ["tests/other.py"]).notes[0]
    gpu_test_notes.write(notes, gpu_tests.WHOLE)
    gpu_tests.forget_failures(notes)
    assert gpu_tests.outcomes(notes) == {test: how for test, how in ended.items() if how == "passed"}
    assert not gpu_tests.run([], notes, time.monotonic()), "what failed or was skipped is there to be run again"


def test_a_file_whose_tests_have_all_passed_is_not_begun_again(tmp_path):
    notes = tmp_path / "notes.jsonl"
    for note in ({"test": "tests/a.py::one", "outcome": "passed"}, gpu_tests.WHOLE):
        gpu_test_notes.write(notes, note)
    gpu_tests.forget_failures(notes)
    assert gpu_tests.run([], notes, time.monotonic())


HANG_AND_DIE = """
import os, signal, time, pytest
pytestmark = pytest.mark.gpu
def test_first(): pass
@pytest.mark.timeout(1)
def test_that_is_too_slow(): time.sleep(60)
@pytest.mark.timeout(1)
def test_that_does_not_listen():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(60)
def test_that_ends_its_process(): os._exit(3)
def test_last(): pass
"""


@pytest.mark.slow
def test_a_test_that_hangs_or_breaks_its_process_costs_only_itself(tmp_path, monkeypatch):
    file, notes = tmp_path / "test_some.py", tmp_path / "notes.jsonl"
    file.write_text(HANG_AND_DIE)
    monkeypatch.setattr(gpu_tests, "GRACE_S", 2.0)
    assert gpu_tests.run([str(file)], notes, time.monotonic() + 100)
    found = {test.rpartition("::")[2]: outcome for test, outcome in gpu_tests.outcomes(notes).items()}
    slow = ("test_that_is_too_slow", "test_that_does_not_listen", "test_that_ends_its_process")
    assert found == {"test_first": "passed", **dict.fromkeys(slow, "failed"), "test_last": "passed"}
    assert not gpu_tests.run([str(file)], tmp_path / "other.jsonl", time.monotonic() + 5), "too little time to begin"


def test_the_files_with_a_test_that_needs_a_gpu_are_found_and_no_others():
    found = {str(path) for path in gpu_tests.gpu_test_files()}
    assert {"tests/replay/test_gpu.py", "plugins/tritonrl-plugin-ray/tests/test_ray_plugin.py"} <= found
    assert "tests/benchmarks/test_tables.py" not in found

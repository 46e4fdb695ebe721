"""`make bench-gpu`: every table of the page has its piece, every piece a command that reads, and none is run twice."""

import re
import sys

import bench_gpu
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


def test_a_report_of_tests_is_counted_by_file(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text("""<testsuites><testsuite>
<testcase classname="tests.replay.test_gpu" name="a"/>
<testcase classname="tests.replay.test_gpu" name="b"><failure message="no"/></testcase>
<testcase classname="tests.replay.test_liger" name="c"><skipped/></testcase>
<testcase classname="plugins.one.tests.test_plugin.TestPlugin" name="d"/>
</testsuite></testsuites>""")
    assert not gpu_tests.passed(report)
    assert gpu_tests.table_of([report]).rows == [
        ["plugins/one/tests/test_plugin.py", 1, 0, 0],
        ["tests/replay/test_gpu.py", 1, 1, 0],
        ["tests/replay/test_liger.py", 0, 0, 1],
    ]
    assert "tests/other.py" in gpu_tests.table_of([report], ["tests/other.py"]).notes[0]


def test_the_files_with_a_test_that_needs_a_gpu_are_found_and_no_others():
    found = {str(path) for path in gpu_tests.gpu_test_files()}
    assert {"tests/replay/test_gpu.py", "plugins/tritonrl-plugin-ray/tests/test_ray_plugin.py"} <= found
    assert "tests/benchmarks/test_tables.py" not in found

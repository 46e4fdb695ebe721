"""The soak: what is left over, pieces that add up, verdicts alone that are judged once."""

import json
import os
import random
import subprocess
import sys
from argparse import Namespace

import in_use
import soak

from tritonrl_core.types import Task


def test_a_process_below_this_one_is_seen_with_what_it_runs():
    before = in_use.in_use("cpu")
    command = "import time; kept = bytearray(b'x') * (64 << 20); print(1); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        after = in_use.in_use("cpu")
        assert child.pid in in_use.below(os.getpid())
        child.kill()
    assert after["processes"] == before["processes"] + 1
    assert after["memory_mib"] >= before["memory_mib"] + 60
    assert after["of"][sys.executable]["processes"] == 1
    assert any(story.startswith("processes") for story in in_use.left_over(before, after))


def test_caches_may_grow_a_little_and_processes_may_not():
    before = {"memory_mib": 1000, "descriptors": 60, "processes": 10, "of": {}}
    assert in_use.left_over(before, {**before, "memory_mib": 1200, "descriptors": 62, "of": {"a": {}}}) == []
    assert in_use.left_over(before, {**before, "memory_mib": 2000, "processes": 11}) == [
        "memory_mib: 1000 → 2000", "processes: 10 → 11",
    ]  # fmt: skip
    assert in_use.left_over({**before, "gpu_mib": 1.0}, {**before, "gpu_mib": None}) == ["gpu_mib: not told"]


def test_a_mix_has_its_shares():
    names = {what: [f"{what}/{number}" for number in range(3)] for what in (*soak.SHARES, "ordinary")}
    order = soak.mixed(names, 10_000, random.Random(1))
    assert len(order) == 10_000
    assert sum(name.startswith("gpu hang/") for name in order) == 30
    assert sum(name.startswith("fault/") for name in order) == 40
    assert sum(not name.startswith("ordinary/") for name in order) == 1000


def line(piece: str, verdicts: int, **more: object) -> str:
    counts = dict.fromkeys(soak.COUNTS, 1)
    return json.dumps({"piece": piece, "asked": verdicts, "verdicts": verdicts, "missing": 0, "seconds": 1.0,
                       "statuses": {"PASSED": verdicts}, "differ": [], **counts, **more})  # fmt: skip


def test_pieces_add_up_also_one_that_was_ended_from_outside(tmp_path):
    file = tmp_path / "soak.jsonl"
    lines = [line("a", 10), line("a", 20), line("b", 7, differ=["x"]), line("a", 30, left=["processes: 1 → 2"])]
    file.write_text("\n".join([*lines, line("b", 9)[:40]]))
    found = soak.summed(file)
    assert (found["pieces"], found["verdicts"], found["statuses"]) == (2, 37, {"PASSED": 37})
    assert found["ended from outside"] == 1
    assert (found["differ"], found["left"]) == (["x"], ["processes: 1 → 2"])


def test_a_verdict_alone_is_known_by_text_and_settings():
    args = Namespace(preset="baseline", device="cpu", timeout=3.0)
    task, code, what = Task(id="relu", level=1, source="class Model: ..."), "class ModelNew: ...", "hostile"
    known = soak._key((task, code, what), "kernel", args)
    assert soak._key((Task(id="again", level=1, source=task.source), code, what), "kernel", args) == known
    assert soak._key((task, f"{code}#", what), "kernel", args) != known
    assert soak._key((task, code, what), "kernel", Namespace(preset="baseline", device="cpu", timeout=9.0)) != known

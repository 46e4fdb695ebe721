"""A service around a judge that the test scripts: HTTP, the queue and the store are real, the verdicts are not."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import pytest

from tritonrl_core.preset import load_preset
from tritonrl_core.runs import Run
from tritonrl_core.serve.desk import Desk
from tritonrl_core.testing import sample_score, sample_task
from tritonrl_core.types import Candidate, Score, Status, Task

LOCK = {"plugins": []}


class Judge:
    """Passes code without the word `wrong`, is at fault for `fault`; waits where it is told to, counts what it did."""

    def __init__(self) -> None:
        self.judged: Counter[str] = Counter()
        self.go = threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def __call__(self, task: Task, candidate: Candidate) -> Score:
        with self._lock:
            self.judged[candidate.code] += 1
        self.go.wait(20)
        kinds = {"wrong": Status.WRONG, "fault": Status.INFRA}
        status = next((status for word, status in kinds.items() if word in candidate.code), Status.PASSED)
        return replace(sample_score(status), candidate=candidate, task_id=task.id, task_key=task.key)


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def open_desk(tmp_path, judge):
    """`open_desk(capacity=…)`: a desk on the same folder each time."""
    opened = []

    def make(**settings) -> Desk:
        folder = tmp_path / "store"
        preset = load_preset("baseline").dump()
        run = Run.open(folder) if folder.exists() else Run.create(folder, preset, LOCK, subfolders=False)
        opened.append(Desk(judge, run, **settings))
        return opened[-1]

    yield make
    judge.go.set()
    for desk in opened:
        desk.close()


@pytest.fixture
def jobs():
    """`jobs("a", "b")`: candidates with that code, for one task."""
    return lambda *codes: [(sample_task(), Candidate.from_code(code)) for code in codes]

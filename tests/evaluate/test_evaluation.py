"""An evaluation's folder: what an interruption leaves, what goes on from it, and that judging overlaps sampling."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.evaluate import evaluation as room
from tritonrl_core.evaluate.evaluation import Evaluation, Question, for_criterion, last_scores
from tritonrl_core.evaluate.sampling import BATCH, evaluate_policy, judge_as_they_come
from tritonrl_core.preset import load_preset
from tritonrl_core.types import Score, Status

FILES = """
import torch.nn as nn
class Model(nn.Module):
    def forward(self, x): return x + {number}
def get_inputs(): return []
def get_init_inputs(): return []
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "suite"
    folder.mkdir()
    for number in range(5):
        (folder / f"task{number}.py").write_text(FILES.format(number=number))
    return folder


def made(kit: Any, suite: Path, folder: Path, samples: int = 3, model: str = "scripted") -> Evaluation:
    question = Question(model, str(suite), samples, 1.0, 64, 7)
    return Evaluation.create(folder, kit.baseline(), question, {"plugins": []})


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BATCH", 4)


def outcome(folder: Path) -> Counter[tuple[str, int, str, Status]]:
    return Counter((s.group, s.step, s.candidate.code, s.verdict.status) for s in last_scores(folder))


def test_every_task_is_sampled_and_judged_as_often_as_asked(kit: Any, suite: Path, tmp_path: Path) -> None:
    policy, scorer, watcher = kit.Scripted(), kit.Odd(), kit.Quiet()
    result = made(kit, suite, tmp_path / "e").run(scorer, lambda: policy, watcher)
    assert (result.tasks, result.samples) == (5, 15)
    assert [len(batch) for batch in policy.batches] == [4, 4, 4, 3]
    assert watcher.done[-1] == (15, 15)
    assert len(outcome(tmp_path / "e")) == 15
    assert all(name.startswith("judge") for name in scorer.threads)


def test_an_interrupted_evaluation_goes_on_and_ends_the_same(kit: Any, suite: Path, tmp_path: Path) -> None:
    made(kit, suite, tmp_path / "whole").run(kit.Odd(), kit.Scripted, kit.Quiet())
    torn, first = made(kit, suite, tmp_path / "torn"), kit.Odd()
    with pytest.raises(KeyboardInterrupt):
        torn.run(first, lambda: kit.Scripted(fails_at=2), kit.Quiet())
    judged = len(first.judged)
    assert 0 < judged < 15
    policy, second = kit.Scripted(), kit.Odd()
    result = Evaluation.open(tmp_path / "torn").run(second, lambda: policy, kit.Quiet())
    assert result.samples == 15
    assert len(second.judged) == 15 - judged
    assert len(policy.batches) == 2
    assert outcome(tmp_path / "torn") == outcome(tmp_path / "whole")


def test_a_finished_evaluation_loads_no_model_again(kit: Any, suite: Path, tmp_path: Path) -> None:
    made(kit, suite, tmp_path / "e").run(kit.Odd(), kit.Scripted, kit.Quiet())

    def never() -> Any:
        raise AssertionError("loaded a model")

    again = kit.Odd()
    assert Evaluation.open(tmp_path / "e").run(again, never, kit.Quiet()).samples == 15
    assert again.judged == []


def test_completions_are_judged_and_nothing_is_generated(kit: Any, suite: Path, tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    rows = [{"task": "task1", "code": "# 1"}, {"task": "task1", "code": "# 2"}, {"task": "gone", "code": "# 1"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    watcher = kit.Quiet()

    def never() -> Any:
        raise AssertionError("loaded a model")

    result = made(kit, suite, tmp_path / "e", model=str(path)).run(kit.Odd(), never, watcher)
    assert (result.tasks, result.samples, result.correct) == (1, 2, 0.5)
    assert watcher.said == [
        "not in this suite and left out: gone",
        "without any completion and left out: task0, task2, task3 and 1 more",
    ]


def test_a_folder_that_holds_an_evaluation_is_not_written_over(kit: Any, suite: Path, tmp_path: Path) -> None:
    made(kit, suite, tmp_path / "e")
    with pytest.raises(UsageError, match="already holds a run"):
        made(kit, suite, tmp_path / "e")
    with pytest.raises(UsageError, match="not an evaluation's folder"):
        room.read_question(tmp_path)


def test_a_batch_is_judged_while_the_next_is_made(kit: Any) -> None:
    """The second batch is only made once the first is being judged: without overlap this would wait for ever."""
    judging = threading.Event()

    class Tells:
        def verify_batch(
            self, jobs: Sequence[Any], on_score: Callable[[int, Score], None] | None = None
        ) -> list[Score]:
            judging.set()
            return [kit.score() for _ in jobs]

    def batches() -> Iterator[list[Any]]:
        yield [(kit.TASKS[0], kit.score().candidate)]
        assert judging.wait(20), "the first batch is not judged before the second is made"
        yield [(kit.TASKS[1], kit.score().candidate)]

    assert len(judge_as_they_come(batches(), Tells(), lambda *_: None)) == 2


@pytest.mark.parametrize(("gpu", "timed_on", "apart"), [(1, (1,), True), (0, (1,), False), (None, (0,), False)])
def test_a_batch_is_not_made_on_the_gpu_that_times_are_taken_on(
    kit: Any, gpu: int | None, timed_on: tuple[int, ...], apart: bool
) -> None:
    made_first, judged = threading.Event(), list[bool]()

    class Timed:
        def __init__(self) -> None:
            self.timed_on = timed_on

        def verify_batch(
            self, jobs: Sequence[Any], on_score: Callable[[int, Score], None] | None = None
        ) -> list[Score]:
            judged.append(made_first.wait(0.3 if apart else 20))  # whether the next batch is made meanwhile
            return [kit.score() for _ in jobs]

    class Model(kit.Scripted):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.gpu, self.batches = gpu, 0

        def sample(self, prompts: Sequence[Any], **how: Any) -> list[str]:
            self.batches += 1
            if self.batches == 2:
                made_first.set()
            return ["no code"] * len(prompts)

    evaluate_policy(Model(), kit.TASKS[:2], Timed(), samples=BATCH)
    assert judged[0] is not apart


def test_a_stop_does_not_wait_for_the_rest_of_a_batch(kit: Any) -> None:
    begun, told = threading.Event(), []

    class Slow:
        def verify_batch(self, jobs: Sequence[Any], on_score: Callable[[int, Score], None]) -> list[Score]:
            for index in range(len(jobs)):
                begun.set()
                if index == 0:
                    stop.wait(20)
                on_score(index, kit.score())
            raise AssertionError("judged to the end")

    stop = threading.Event()

    def batches() -> Iterator[list[Any]]:
        yield [(kit.TASKS[0], kit.score().candidate)] * 50
        assert begun.wait(20)
        threading.Timer(1.0, stop.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge_as_they_come(batches(), Slow(), lambda batch, index, score: told.append(index))
    assert told == [0], "what was under way is kept, the rest is dropped"


def test_a_failing_scorer_is_heard(kit: Any, suite: Path, tmp_path: Path) -> None:
    class Broken:
        def verify_batch(self, jobs: Any, on_score: Any = None) -> list[Score]:
            raise UsageError("broken")

    with pytest.raises(UsageError, match="broken"):
        made(kit, suite, tmp_path / "e").run(Broken(), kit.Scripted, kit.Quiet())


def test_the_kernelbench_criterion_is_five_inputs_as_written() -> None:
    preset = for_criterion(load_preset("all_extensions"), "kernelbench")
    options = dict(preset.plugins)["multi_input"]
    assert (options["criterion"], options["num_tests"]) == ("kernelbench", 5)
    assert not any(options[what] for what in ("shapes", "values", "dtypes", "layouts"))
    assert dict(preset.plugins)["funnel"] == {"tiny_run": False}
    assert "funnel" not in dict(for_criterion(load_preset("baseline"), "kernelbench").plugins)
    assert [name for name, _ in preset.plugins] == [name for name, _ in load_preset("all_extensions").plugins]
    assert for_criterion(load_preset("baseline"), "default") == load_preset("baseline")
    with pytest.raises(UsageError, match="no criterion"):
        for_criterion(preset, "mine")

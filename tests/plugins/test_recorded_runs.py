"""With funnel or curriculum off the base answers exactly as before: held against a run that was recorded without them.

`tests/recorded` holds what tritonrl-nano wrote for its training tasks at temperature 1 (`young_run.jsonl`, with the
verdicts of preset `baseline`, on a CPU), the tasks, and which tasks the baseline's stream drew while it saw groups of
those scores (`young_stream.json`). Recorded with neither plugin among the preset's.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.session import Session
from tritonrl_core.spans import parse_completion
from tritonrl_core.tasks.loaders import load_tasks
from tritonrl_core.train.data import TaskStream
from tritonrl_core.types import RewardParts, Score, Stage, Status, Task, Verdict
from tritonrl_core.verifier import Verifier

RECORDED = Path(__file__).parents[1] / "recorded"
GROUP = 4
OF_EACH_END = 4


def tasks() -> dict[str, Task]:
    return {task.id: task for task in load_tasks(RECORDED / "young_tasks.jsonl")}


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECORDED / "young_run.jsonl").read_text(encoding="utf-8").splitlines()]


def some_of_each_end() -> list[dict[str, Any]]:
    """A few of every status and stage."""
    seen: dict[tuple[str, str], int] = {}
    found = []
    for row in rows():
        end = row["verdict"]["status"], row["verdict"]["stage"]
        seen[end] = seen.get(end, 0) + 1
        found += [row] if seen[end] <= OF_EACH_END else []
    return found


def without(preset: str, plugin: str) -> Preset:
    return load_preset(preset, [f"without=[{plugin}]", "verifier.device=cpu", "verifier.cpu_workers=2"])


def judged(preset: Preset, wanted: Sequence[dict[str, Any]]) -> list[Verdict]:
    known = tasks()
    with Verifier(preset) as verifier:
        jobs = [(known[row["task"]], parse_completion(row["completion"])) for row in wanted]
        return [score.verdict for score in verifier.verify_batch(jobs)]


def told(verdict: Verdict) -> dict[str, Any]:
    return {
        "status": verdict.status, "stage": verdict.stage, "valid": verdict.valid, "compiled": verdict.compiled,
        "cases_passed": verdict.cases_passed, "cases_total": verdict.cases_total, "source": verdict.source,
    }  # fmt: skip


def test_the_record_has_every_kind_of_end() -> None:
    ends = {(row["verdict"]["status"], row["verdict"]["stage"]) for row in rows()}
    assert ends >= {("PASSED", "full"), ("WRONG", "full"), ("BUILD_ERROR", "record"), ("REJECTED", "ast")}
    assert sum(row["verdict"]["status"] == "PASSED" for row in rows()) == 30
    assert len(rows()) == 100


def test_with_the_funnel_off_every_verdict_is_the_recorded_one() -> None:
    wanted = some_of_each_end()
    for verdict, row in zip(judged(without("staged_eval_only", "funnel"), wanted), wanted, strict=True):
        assert told(verdict) == row["verdict"], (row["task"], verdict.reason)


def test_with_the_funnel_on_the_same_candidates_pass_and_those_that_do_not_end_sooner() -> None:
    wanted = some_of_each_end()
    on = judged(load_preset("staged_eval_only", ["verifier.device=cpu", "verifier.cpu_workers=2"]), wanted)
    assert [verdict.status for verdict in on] == [row["verdict"]["status"] for row in wanted]
    # Two launch over no programs, which their recording tells.
    assert {verdict.stage for verdict in on if verdict.status is Status.WRONG} == {Stage.TINY, Stage.RECORD}


def drawn(preset: Preset) -> list[str]:
    """Which tasks a run's stream draws, while the session sees groups of the recorded scores."""
    session = Session.open(preset)
    stream = TaskStream(list(tasks().values()), session, lambda task: task.id, seed=preset.seed)
    given = stream.rows()
    found = []
    for step, scores in enumerate(groups()):
        row = next(given)
        found.append(row["task_id"])
        stream.used(1)
        at_level = [_of_level(score, row["level"]) for score in scores]
        session.observe_group(at_level, step)
        stream.observe(at_level, step)
    return found


def groups() -> list[list[Score]]:
    """The recorded verdicts in groups, wrong ones first and then the right ones four times over, as in training."""
    known = tasks()
    right = [row for row in rows() if row["verdict"]["status"] == "PASSED"]
    wrong = [row for row in rows() if row not in right]
    scores = [_score(known[row["task"]], row) for row in [*wrong, *right * 4]]
    return [scores[first : first + GROUP] for first in range(0, len(scores), GROUP)]


def _score(task: Task, row: dict[str, Any]) -> Score:
    status = Status(row["verdict"]["status"])
    verdict = Verdict(status, Stage(row["verdict"]["stage"]))
    reward = RewardParts(float(status is Status.PASSED), 0.0)
    return Score(task.id, task.level, task.key, parse_completion(row["completion"]), verdict, None, reward)


def _of_level(score: Score, level: int) -> Score:
    return replace(score, level=level)


@pytest.mark.parametrize("preset", ["curriculum_only", "easy_combo", "all_extensions"])
def test_with_the_curriculum_off_the_stream_draws_the_recorded_tasks(preset: str) -> None:
    recorded = json.loads((RECORDED / "young_stream.json").read_text(encoding="utf-8"))
    assert drawn(without(preset, "curriculum")) == recorded


def test_with_the_curriculum_on_it_draws_others() -> None:
    recorded = json.loads((RECORDED / "young_stream.json").read_text(encoding="utf-8"))
    known, on = tasks(), drawn(load_preset("curriculum_only", ["verifier.device=cpu"]))
    assert on != recorded
    assert sum(known[name].level == 2 for name in on) > sum(known[name].level == 2 for name in recorded)

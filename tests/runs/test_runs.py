"""A run's folder keeps what was written through kills, and a score survives the way to disk and back."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.runs import (
    Journal,
    Run,
    new_run_folder,
    read_journal,
    read_metrics,
    read_run,
    read_scores,
    score_from_data,
    verification_key,
)
from tritonrl_core.types import (
    SCORE_SCHEMA,
    Candidate,
    RewardParts,
    Score,
    Stage,
    Status,
    Timing,
    Verdict,
    WorstElement,
)

PRESET = {
    "name": "tiny",
    "verifier": {"device": "cpu"},
    "reward": {"alpha": 0.1},
    "plugins": [],
    "owners": {},
    "seed": 0,
}
LOCK = {"plugins": {}}


def full_score(step: int = 3, code: str = "class ModelNew: pass\n", status: Status = Status.WRONG) -> Score:
    verdict = Verdict(
        status,
        Stage.FULL,
        "worst at [0, 1]",
        valid=True,
        compiled=True,
        worst_error=float("inf"),
        worst=WorstElement(0, (0, 1), float("nan"), 1.5, 0.01),
        cases_passed=1,
        cases_total=5,
        source="multi_input",
        sandbox="none",
        unchecked=("races",),
        facts={"launches": 2, "bytes": {"read": 3.5}},
        stage_seconds={"full": 0.25},
    )
    timing = Timing(
        (1.0, 2.0),
        {"eager": (3.0,)},
        2.0,
        1.5,
        2.5,
        "H200",
        "adaptive",
        "events",
        notes=("short",),
        speedups={"eager": (2.0, 1.5, 2.5)},
        facts={"floor_us": 0.5, "slowed_by": []},
    )
    text = f"<plan>p</plan>\n```python\n{code}```"
    candidate = Candidate(text, code, "p", (6, 7), (text.index(code), text.index(code) + len(code)))
    return Score(
        "relu",
        1,
        "abc",
        candidate,
        verdict,
        timing,
        RewardParts(0.0, 0.0),
        family="act",
        step=step,
        group=f"{step}-0",
        seconds=0.5,
    )


def make_run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", PRESET, LOCK)


def test_a_score_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    run, score = make_run(tmp_path), full_score()
    run.append_score(score)
    run.close()
    back = next(read_scores(tmp_path / "run"))
    assert repr(back) == repr(score)  # repr, because nan is not equal to itself
    assert back.candidate == score.candidate
    assert back.timing == score.timing


def test_lines_are_strict_json(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.append_score(full_score())

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    row = json.loads(run.paths.scores.read_text(), parse_constant=refuse)
    assert row["verdict"]["worst"]["got"] == "nan"
    assert row["schema"] == SCORE_SCHEMA


def test_a_score_without_verdict_details_comes_back(tmp_path: Path) -> None:
    bare = Score(
        "t", 1, "k", Candidate("no code", ""), Verdict(Status.INFRA, Stage.FULL), None, RewardParts(None, None)
    )
    run = make_run(tmp_path)
    run.append_score(bare)
    assert next(read_scores(tmp_path / "run")) == bare


def test_a_later_schema_is_refused_with_the_remedy() -> None:
    with pytest.raises(UsageError, match=r"reads up to .*\n.*upgrade"):
        score_from_data({"schema": SCORE_SCHEMA + 1})


def test_something_else_is_not_a_score() -> None:
    with pytest.raises(UsageError, match="Not a score"):
        score_from_data({"schema": 1, "task_id": "x"})


def test_a_torn_last_line_is_passed_over_and_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert [row["step"] for row in read_journal(path)] == [1, 2]
    journal = Journal(path)
    journal.append({"step": 3})
    journal.close()
    journal.close()
    assert [row["step"] for row in read_journal(path)] == [1, 2, 3]


def test_a_line_that_does_not_fit_on_the_disk_is_not_there(tmp_path: Path, few_bytes: Callable[[int], None]) -> None:
    path = tmp_path / "lines.jsonl"
    journal = Journal(path)
    journal.append({"n": 0})
    few_bytes(path.stat().st_size + 10)
    with pytest.raises(OSError, match=r"lines\.jsonl"):
        journal.append({"n": 1, "more": "x" * 100})
    few_bytes(resource.RLIM_INFINITY)
    journal.append({"n": 2})
    journal.close()
    assert [row["n"] for row in read_journal(path)] == [0, 2]


@pytest.fixture
def few_bytes() -> Iterator[Callable[[int], None]]:
    """Says how large a file of this process may become: what lies past it is refused, as on a full disk."""
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)

    def allow(count: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kept[0] if count == resource.RLIM_INFINITY else count, kept[1]))

    yield allow
    resource.setrlimit(resource.RLIMIT_FSIZE, kept)


def test_a_malformed_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"step": 1}\nnot json\n{"step": 2}\n')
    with pytest.raises(UsageError, match=r"rows\.jsonl:2"):
        list(read_journal(path))


def test_rows_past_a_checkpoint_stay_and_are_superseded(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for step in (0, 1, 2):
        run.append_score(full_score(step))
        run.append_metrics("rl", step + 1, {"reward": step})
    run.append_metrics("sft", 3, {"loss": 1.0})
    run.supersede("rl", steps_done=1)
    run.append_score(full_score(1))
    run.append_metrics("rl", 2, {"reward": 20})
    run.close()
    root = tmp_path / "run"
    assert [score.step for score in read_scores(root)] == [0, 1]
    assert [score.step for score in read_scores(root, superseded=True)] == [0, 1, 2, 1]
    assert [(row["stage"], row["step"]) for row in read_metrics(root)] == [("rl", 1), ("sft", 3), ("rl", 2)]


def test_a_run_that_starts_over_supersedes_everything(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.append_score(full_score(0))
    run.append_metrics("rl", 1, {})
    run.supersede("rl", steps_done=0)
    run.close()
    assert list(read_scores(tmp_path / "run")) == []
    assert list(read_metrics(tmp_path / "run")) == []


def test_known_scores_include_superseded_ones_and_no_infra(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.append_score(full_score(1))
    run.append_score(full_score(2, code="class ModelNew: 2\n", status=Status.INFRA))
    run.append_score(full_score(3, code="class ModelNew: 3\n"))
    run.supersede("rl", steps_done=1)
    run.close()
    again = Run.open(tmp_path / "run")
    assert [score.step for score in again.known_scores()] == [1, 3]


def test_known_scores_of_another_verification_do_not_count(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.append_score(full_score())
    run.close()
    other = Run(tmp_path / "run", verification_key({**PRESET, "verifier": {"device": "cuda"}}, LOCK))
    assert other.known_scores() == []
    assert verification_key(PRESET, {"plugins": {"funnel": "0.2"}}) != run.verification


def test_a_folder_is_not_used_twice(tmp_path: Path) -> None:
    make_run(tmp_path).close()
    with pytest.raises(UsageError, match=r"already holds a run.*\n.*--resume"):
        make_run(tmp_path)


def test_a_run_that_is_at_work_is_not_gone_on_with(tmp_path: Path) -> None:
    first = Run.create(tmp_path / "run", PRESET, LOCK)
    Run.open(tmp_path / "run", repair=False).close()  # another rank
    with pytest.raises(UsageError, match="is in use: another process is at work in it"):
        Run.open(tmp_path / "run")
    first.close()
    Run.open(tmp_path / "run").close()


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run's folder"):
        Run.open(tmp_path)


@pytest.mark.parametrize(("name", "text"), [("plugins.lock.json", ""), ("preset.resolved.yaml", "a: [")])
def test_a_damaged_file_of_a_run_is_named(tmp_path: Path, name: str, text: str) -> None:
    Run.create(tmp_path / "run", PRESET, LOCK).close()
    (tmp_path / "run" / name).write_text(text)
    with pytest.raises(UsageError, match=f"{name} cannot be read: ") as caught:
        read_run(tmp_path / "run")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("text", ["", "[1]"])
def test_a_preset_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    Run.create(tmp_path / "run", PRESET, LOCK).close()
    (tmp_path / "run" / "preset.resolved.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"preset\.resolved\.yaml does not hold keys"):
        read_run(tmp_path / "run")


def test_preset_and_lock_come_back(tmp_path: Path) -> None:
    make_run(tmp_path).close()
    assert read_run(tmp_path / "run") == (PRESET, LOCK)


def test_new_folders_do_not_collide(tmp_path: Path) -> None:
    first = new_run_folder("baseline", tmp_path)
    first.mkdir()
    assert first.name.startswith("baseline-")
    assert new_run_folder("baseline", tmp_path) != first


WRITER = """
import sys
from pathlib import Path
from tritonrl_core.runs import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 10**9):
    journal.append({"step": number, "text": "x" * (number * 37 % 5000)})
    print(number, flush=True)
"""


def test_nothing_that_was_written_is_lost_by_kills_at_random_moments(tmp_path: Path) -> None:
    path, rng, acknowledged = tmp_path / "rows.jsonl", random.Random(7), -1
    for _ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(acknowledged + 1)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        first = writer.stdout.readline()
        assert first.strip()
        time.sleep(rng.uniform(0, 0.05))
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = int((first + writer.communicate()[0]).split()[-1])
        steps = [row["step"] for row in read_journal(path)]
        assert set(range(acknowledged + 1)) <= set(steps)
        assert steps == sorted(steps)

"""What is on the page is what is in the run: figures against the scores, texts whole, nothing fetched, size held."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.report.candidates import pack_candidates
from tritonrl_core.report.load import load_run
from tritonrl_core.report.page import digest, page, write_report
from tritonrl_core.report.series import MOST_POINTS, held_out_series, step_series
from tritonrl_core.report.summary import best_by_task, funnel, kind_of_reason, said
from tritonrl_core.types import Status

COUNT = 600


@pytest.fixture(scope="module")
def folder(kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kit.make_run(tmp_path_factory.mktemp("runs") / "made-up", COUNT)


def unpack(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text)))


def data_of(text: str, name: str) -> str:
    found = re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', text, re.DOTALL)
    assert found, name
    return found[1]


def test_the_page_holds_every_candidate_whole(folder: Path) -> None:
    text = write_report(folder).read_text()
    rows = unpack(data_of(text, "rows"))
    blocks = [entry for n in range(-(-COUNT // rows["block"])) for entry in unpack(data_of(text, f"block{n}"))]
    scores = load_run(folder).scores
    assert len(rows["status"]) == len(scores) == COUNT
    for number, score in enumerate(scores):
        entry = blocks[rows["text"][number]]
        assert entry["code"] == score.candidate.code
        assert entry["plan"] == score.candidate.plan
        assert entry["reason"] == score.verdict.reason
        assert rows["tasks"][rows["task"][number]] == entry["task"] == score.task_id
        assert rows["statuses"][rows["status"][number]] == score.verdict.status


def test_nothing_is_fetched(folder: Path) -> None:
    text = write_report(folder).read_text()
    head = text.split('<script type="text/plain"')[0]
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", head)
    assert not re.search(r"@import|url\(\s*[\"']?http|fetch\(|XMLHttpRequest|WebSocket|import\(", head)


def test_a_completion_cannot_end_its_script(kit: Any, tmp_path: Path) -> None:
    folder = kit.make_run(tmp_path / "run", 8)
    run = load_run(folder)
    nasty = "</script><script>alert(1)</script><!-- \u2028"
    bad = [replace(s, task_id=nasty, verdict=replace(s.verdict, reason=nasty)) for s in run.scores]
    run = replace(run, scores=bad)
    text = page(run, pack_candidates(run))
    assert "alert(1)</script>" not in text
    assert json.loads(data_of(text, "digest"))["reasons"][0]["reason"].startswith("</script>")


def test_the_figures_are_those_of_the_scores(folder: Path) -> None:
    run = load_run(folder)
    data = digest(run, pack_candidates(run))
    statuses = Counter(score.verdict.status.value for score in run.scores)
    assert data["headline"]["statuses"] == dict(statuses)
    assert data["headline"]["held_out"]["after"]["sampled_correct"] == 0.8
    steps = data["steps"]
    assert sum(steps["count"]) == COUNT
    assert {name: sum(counts) for name, counts in steps["status"].items()} == dict(statuses)
    first = [s for s in run.scores if s.step == 0 and s.verdict.status is not Status.INFRA]
    right = sum(s.verdict.status is Status.PASSED for s in first) / len(first)
    assert steps["correct"]["value"][0] == pytest.approx(right, abs=1e-4)
    assert data["time"]["wall"]["verification"] == pytest.approx(sum(data["time_steps"]["verification"]), rel=1e-3)
    best = data["best"][0]
    assert best["low"] == max(row["low"] for row in data["best"])
    assert run.scores[best["candidate"]].task_id == best["task"]
    json.dumps(data, allow_nan=False)


def test_the_funnel_loses_nobody(folder: Path) -> None:
    rows = funnel(load_run(folder).scores)
    for row, following in pairwise(rows):
        assert row["entered"] - sum(row["stopped"].values()) == following["entered"]
    judged = [s for s in load_run(folder).scores if s.verdict.status is not Status.INFRA]
    assert rows[0]["entered"] == len(judged)
    assert rows[-1]["entered"] == sum(s.verdict.status is Status.PASSED for s in judged)


def test_many_steps_share_a_point_and_lose_no_score(kit: Any, tmp_path: Path) -> None:
    run = load_run(kit.make_run(tmp_path / "run", 1200, steps=1000))
    series = step_series(run)
    assert len(series["step"]) <= MOST_POINTS
    assert sum(series["count"]) == 1200
    assert series["step"][-1] == 1000


def test_held_out_results_along_the_way_are_a_curve(folder: Path) -> None:
    run = load_run(folder)
    assert held_out_series(run) == {}, "before and after are no curve"
    bounds = {"sampled/correct_low": 0, "sampled/correct_high": 1}
    rows = [{"stage": "eval", "step": step, "sampled/correct": step / 10, **bounds} for step in (5, 0, 9)]
    assert held_out_series(replace(run, metrics=rows)) == {
        "step": [0, 5, 9], "value": [0.0, 0.5, 0.9], "low": [0, 0, 0], "high": [1, 1, 1],
    }  # fmt: skip


def test_texts_are_held_to_a_size_and_the_best_stay(folder: Path) -> None:
    run = load_run(folder)
    whole = pack_candidates(run)
    small = pack_candidates(run, budget=sum(map(len, whole.blocks)) // 2)
    assert whole.kept == COUNT
    assert 0 < small.kept < COUNT
    assert sum(map(len, small.blocks)) <= sum(map(len, whole.blocks)) // 2
    positions = unpack(small.rows)["text"]
    assert all(positions[place] >= 0 for place in best_by_task(run.scores).values())
    statuses = {score.verdict.status for score, position in zip(run.scores, positions, strict=True) if position >= 0}
    assert statuses == {score.verdict.status for score in run.scores}, "some of every status stay"


def test_the_same_completion_lies_there_once(kit: Any, tmp_path: Path) -> None:
    run = load_run(kit.make_run(tmp_path / "run", 20))
    twice = replace(run, scores=[*run.scores, *run.scores])
    assert len(pack_candidates(twice).blocks[0]) == pytest.approx(len(pack_candidates(run).blocks[0]), rel=0.05)
    assert pack_candidates(twice).kept == 40


def test_superseded_scores_are_not_shown(kit: Any, tmp_path: Path) -> None:
    folder = kit.make_run(tmp_path / "run", 80, steps=8)
    with (folder / "scores.jsonl").open("a") as file:
        file.write('{"superseded_after": 3, "stage": "rl"}\n')
    assert {score.step for score in load_run(folder).scores} == {0, 1, 2, 3}


def test_reasons_of_one_kind_are_one(kit: Any) -> None:
    score = kit.score(Random(1), 0, 0.0)
    texts = [
        "input case C=4 R=8 strided: output[1, 2] is 0.5, expected -1.5e-07 ± 1.3e-05",
        "output[77] is -3, expected 12 ± 0.5",
    ]
    kinds = {kind_of_reason(replace(score, verdict=replace(score.verdict, reason=text))) for text in texts}
    assert kinds == {"output[…] is …, expected … ± …"}
    nan = replace(score, verdict=replace(score.verdict, reason="output[7] is nan, expected 1 ± 2"))
    assert kind_of_reason(nan) == "output[…] is nan, expected … ± …"


def test_a_reason_is_shown_in_its_own_words_where_they_are_short(kit: Any) -> None:
    score = kit.score(Random(1), 0, 0.0)

    def shown(text: str) -> str:
        return said(replace(score, verdict=replace(score.verdict, reason=text)))

    assert shown("input case C=4: output[1, 2] is 0.5, expected 1 ± 0.1") == "output[1, 2] is 0.5, expected 1 ± 0.1"
    assert shown("line 10: there is no triton.language.tanh") == "there is no triton.language.tanh"
    assert len(shown("line 3: " + "words 5 " * 40)) <= 110


def test_a_folder_without_a_run_is_refused(kit: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run's folder"):
        write_report(tmp_path)
    with pytest.raises(UsageError, match="nothing was judged"):
        write_report(kit.make_run(tmp_path / "empty", 0))

"""Requests from the service's own OpenAPI description, good and bad: none crashes it, each answer is as described."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tritonrl_core.preset import load_preset
from tritonrl_core.runs import Run
from tritonrl_core.testing import sample_score, sample_task

PROBLEMS = {400, 401, 403, 404, 405, 409, 413, 422, 429}


@pytest.fixture
def app(tmp_path):
    pytest.importorskip("fastapi")
    from tritonrl_core.serve.app import Served, make_app
    from tritonrl_core.serve.desk import Desk

    run = Run.create(tmp_path / "store", load_preset("baseline").dump(), {}, subfolders=False)
    desk = Desk(lambda task, candidate: sample_score(), run, capacity=10_000)
    task = sample_task()
    yield make_app(Served(desk, {task.id: task}, "baseline", "key", accept_references=True))
    desk.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_answer_is_as_described(app, mode: str) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    description = schemathesis.openapi.from_asgi("/openapi.json", app)
    seen = {}
    for found in description.get_all_operations():
        operation = found.ok()
        if mode == "positive" or operation.path not in ("/v1/health", "/metrics"):  # which take nothing
            cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))
            seen[operation.path] = answers(cases)
    assert set(seen) >= {"/v1/score", "/v1/tasks", "/v1/tasks/{task_id}"}
    assert seen["/v1/score"] - {200}, "no request was ever refused"


def answers(cases) -> set[int]:
    """Ask with many cases; the statuses of the answers."""
    statuses = set()

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=cases)
    def ask(case) -> None:
        answer = case.call()
        statuses.add(answer.status_code)
        assert answer.status_code == 200 or answer.status_code in PROBLEMS, answer.text
        if answer.status_code != 200:
            assert set(answer.json()) == {"code", "message", "remedy"}

    ask()
    return statuses

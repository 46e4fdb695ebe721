"""The HTTP side: a versioned, typed schema, one clear problem for each bad request, metrics, and who may."""

from __future__ import annotations

import json

import httpx
import pytest

pytest.importorskip("fastapi")

from tritonrl_core.serve.app import MOST_BYTES, Served, make_app
from tritonrl_core.serve.schema import MOST_ITEMS
from tritonrl_core.testing import sample_task

TASK = sample_task()
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def client(open_desk):
    """`client(token=…, capacity=…)`: an HTTP client of an app around a new desk."""

    def make(capacity: int = 100, **settings) -> httpx.AsyncClient:
        served = Served(
            open_desk(capacity=capacity), {TASK.id: TASK}, "baseline", "key", {"device": "fake"}, **settings
        )
        return httpx.AsyncClient(transport=httpx.ASGITransport(make_app(served)), base_url="http://test")

    return make


def items(*codes: str, **more) -> dict:
    return {"items": [{"task_id": TASK.id, "code": code, **more} for code in codes]}


async def test_scores_come_as_lines_with_their_places_and_an_end(client) -> None:
    answer = await client().post("/v1/score", json=items("a", "wrong", "a"))
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[-1] == {"done": 3}
    told = {line["index"]: line["score"]["verdict"]["status"] for line in lines[:-1]}
    assert told == {0: "PASSED", 1: "WRONG", 2: "PASSED"}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, "items"),
        ({"items": []}, 422, "at least 1"),
        (items(*["x"] * (MOST_ITEMS + 1)), 422, "at most"),
        (items("x", surprise=1), 422, "surprise"),
        ({"items": [{"task_id": TASK.id}]}, 422, "either code or completion"),
        ({"items": [{"code": "x"}]}, 422, "either task_id or reference"),
        ({"items": [{"task_id": "nowhere", "code": "x"}]}, 404, "no task 'nowhere'"),
        (items("x", task_key="another"), 409, "another one here"),
        ({"items": [{"reference": {"id": "mine", "source": "import os"}, "code": "x"}]}, 403, "its own tasks only"),
    ],
)
async def test_a_bad_request_is_one_problem_and_judges_nothing(client, judge, body, status, words) -> None:
    answer = await client().post("/v1/score", json=body)
    assert answer.status_code == status
    assert words in answer.json()["message"]
    assert set(answer.json()) == {"code", "message", "remedy"}
    assert not judge.judged


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"\xff{", "application/json", "parsing the body"),
        (b'{"items": [', "application/json", "no JSON: Expecting value at character 11"),
        (b"[1, 2]", "application/json", "valid dictionary"),
        (b"null", "application/json", "the body: "),
        (b"{}", "application/x-www-form-urlencoded", "not said to be JSON"),
    ],
)
async def test_what_is_no_json_is_a_problem_too(client, body, kind, words) -> None:
    answer = await client().post("/v1/score", content=body, headers={"Content-Type": kind})
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"code", "message", "remedy"}
    assert words in answer.json()["message"]


async def test_a_path_that_is_not_there_is_a_problem_too(client) -> None:
    answer = await client().get("/v2/score")
    assert (answer.status_code, answer.json()["code"]) == (404, "http")


async def test_a_body_that_is_too_large_is_refused_announced_or_not(client, judge) -> None:
    async def unannounced():
        for _ in range(MOST_BYTES // (1 << 20) + 1):
            yield b" " * (1 << 20)

    http = client()
    for body in (b" " * (MOST_BYTES + 1), unannounced()):
        answer = await http.post("/v1/score", content=body)
        assert answer.status_code == 413
        assert answer.json()["code"] == "too_large"
    assert not judge.judged


async def test_a_full_service_says_when_to_come_back(client, judge) -> None:
    answer = await client(capacity=1).post("/v1/score", json=items("a", "b"))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


async def test_an_ending_service_takes_nothing(client, open_desk) -> None:
    served = Served(open_desk(), {TASK.id: TASK}, "baseline", "key")
    served.desk.drain()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(served)), base_url="http://test") as http:
        assert (await http.post("/v1/score", json=items("a"))).status_code == 503
        assert (await http.get("/v1/health")).json()["status"] == "draining"


async def test_without_the_token_there_is_nothing_to_see_but_health(client) -> None:
    http = client(token="a secret of some length")
    for path in ("/v1/tasks", f"/v1/tasks/{TASK.id}", "/metrics"):
        none = await http.get(path)
        assert (none.status_code, none.headers["WWW-Authenticate"]) == (401, "Bearer")
        wrong = await http.get(path, headers={"Authorization": "Bearer wrong"})
        assert (wrong.status_code, wrong.json()["message"]) == (401, "this is not the service's token")
        good = await http.get(path, headers={"Authorization": "Bearer a secret of some length"})
        assert good.status_code == 200
    assert (await http.post("/v1/score", json=items("a"))).status_code == 401
    assert (await http.get("/v1/health")).status_code == 200


async def test_tasks_are_listed_and_shown(client) -> None:
    http = client()
    listed = (await http.get("/v1/tasks", params={"level": 1})).json()
    assert listed == [{"id": TASK.id, "key": TASK.key, "level": 1, "family": "", "split": "train"}]
    assert (await http.get("/v1/tasks", params={"level": 2})).json() == []
    assert (await http.get(f"/v1/tasks/{TASK.id}")).json()["source"] == TASK.source
    assert (await http.get("/v1/tasks/nowhere")).status_code == 404


async def test_references_are_judged_where_the_service_was_told_to(client, judge) -> None:
    body = {"items": [{"reference": {"id": "mine", "source": TASK.source}, "code": "x"}]}
    answer = await client(accept_references=True).post("/v1/score", json=body)
    assert answer.status_code == 200
    assert judge.judged == {"x": 1}


async def test_metrics_count_verdicts(client) -> None:
    http = client()
    await http.post("/v1/score", json=items("a", "wrong", "a"))
    text = (await http.get("/metrics")).text
    assert 'tritonrl_verdicts_total{status="PASSED"} 1.0' in text
    assert 'tritonrl_verdicts_total{status="WRONG"} 1.0' in text
    assert "tritonrl_known_total 1.0" in text
    assert "tritonrl_capacity 100.0" in text


async def test_the_schema_is_published(client) -> None:
    schema = (await client().get("/openapi.json")).json()
    assert {"/v1/score", "/v1/tasks", "/v1/health"} <= set(schema["paths"])
    assert "429" in schema["paths"]["/v1/score"]["post"]["responses"]

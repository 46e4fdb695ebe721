"""HTTP around a desk: routes, who may, how much at once. No decision about a candidate is made here."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tritonrl_core import __version__
from tritonrl_core.runs import plain, score_to_data
from tritonrl_core.serve.desk import Desk, DrainingError, FullError, Job
from tritonrl_core.serve.schema import (
    API,
    EndLine,
    Health,
    Item,
    Problem,
    ScoreLine,
    ScoreRequest,
    TaskDetail,
    TaskLine,
)
from tritonrl_core.tasks.prompts import chat_messages, compact_prompt
from tritonrl_core.types import Score, Task

MOST_BYTES = 32 << 20
"""Of one request's body."""

JSON_LINES = "application/x-ndjson"

BEARER = HTTPBearer(auto_error=False)


@dataclass(frozen=True)
class Served:
    """What the service stands for: its desk, its tasks by name, and what it says about itself."""

    desk: Desk
    tasks: Mapping[str, Task]
    preset: str
    verification: str
    bench: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    accept_references: bool = False
    delegation: str = "layout_only"


class ProblemError(Exception):
    """An answer that is no answer."""

    def __init__(self, status: int, code: str, message: str, remedy: str = "", retry_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_s = status, retry_s
        self.problem = Problem(code=code, message=message, remedy=remedy)


def make_app(served: Served) -> FastAPI:
    """The service as an ASGI application."""

    def allowed(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        shown = given.credentials if given else ""
        if served.token and not hmac.compare_digest(shown.encode(), served.token.encode()):
            what = "this is not the service's token" if shown else "a token is needed"
            raise ProblemError(401, "unauthorized", what, "Send `Authorization: Bearer TOKEN` (TRITONRL_TOKEN there).")

    app = FastAPI(title="tritonrl verifier", version=__version__, redoc_url=None)
    app.add_middleware(BoundedBody, most=MOST_BYTES)
    app.add_exception_handler(ProblemError, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    problems: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem} for status in (400, 401, 403, 404, 409, 413, 422, 429, 503)
    }

    @app.post(
        f"/{API}/score", dependencies=[Depends(allowed)], responses={
            **problems, 200: {"content": {JSON_LINES: {}}, "description": "One ScoreLine a line, then an EndLine."}},
        response_class=StreamingResponse,
    )  # fmt: skip
    async def score(request: ScoreRequest) -> StreamingResponse:
        jobs = [_job(item, served) for item in request.items]
        try:
            futures = served.desk.submit(jobs)
        except FullError as full:
            raise ProblemError(429, "full", str(full), "Wait as Retry-After says.", full.retry_s) from None
        except DrainingError:
            raise ProblemError(503, "draining", "the service is ending", "Ask again in a while.", 5) from None
        return StreamingResponse(_lines(futures), media_type=JSON_LINES)

    @app.get(f"/{API}/tasks", dependencies=[Depends(allowed)], responses=problems)
    async def tasks(split: str | None = None, level: int | None = None) -> list[TaskLine]:
        return [
            TaskLine(**_line(task))
            for task in served.tasks.values()
            if split in (None, task.split) and level in (None, task.level)
        ]

    @app.get(f"/{API}/tasks/{{task_id:path}}", dependencies=[Depends(allowed)], responses=problems)
    async def task(task_id: str) -> TaskDetail:
        found = _known_task(task_id, None, served)
        return TaskDetail(
            **_line(found), prompt=found.prompt, source=found.source,
            messages=chat_messages(found, served.delegation), compact=compact_prompt(found),
        )  # fmt: skip

    @app.get(f"/{API}/health")
    async def health() -> Health:
        return Health(
            status="draining" if served.desk.draining else "ok", version=__version__, preset=served.preset,
            verification=served.verification, waiting=served.desk.counts().waiting, capacity=served.desk.capacity,
            bench=dict(served.bench),
        )  # fmt: skip

    @app.get("/metrics", dependencies=[Depends(allowed)], response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        return PlainTextResponse(_metrics(served), media_type="text/plain; version=0.0.4")

    return app


def _job(item: Item, served: Served) -> Job:
    if item.reference is None:
        return _known_task(item.task_id or "", item.task_key, served), item.candidate()
    if not served.accept_references:
        raise ProblemError(
            403, "references_refused", "this service judges its own tasks only: a reference is code that it would run",
            "Name a task by task_id, or start the service with --accept-references for clients that you trust.",
        )  # fmt: skip
    return item.reference.task(), item.candidate()


def _known_task(task_id: str, key: str | None, served: Served) -> Task:
    found = served.tasks.get(task_id)
    if found is None:
        raise ProblemError(404, "unknown_task", f"there is no task {task_id!r}", f"GET /{API}/tasks lists them.")
    if key is not None and key != found.key:
        raise ProblemError(
            409, "other_task", f"task {task_id!r} is another one here (key {found.key})",
            "Start the service with the same preset, seed and versions as the client.",
        )  # fmt: skip
    return found


def _line(task: Task) -> dict[str, Any]:
    return {"id": task.id, "key": task.key, "level": task.level, "family": task.family, "split": task.split}


async def _lines(futures: Sequence[Future[Score]]) -> AsyncIterator[str]:
    """Lines as verdicts come. A client that goes away stops nothing: what it asked for is judged and kept."""
    places: dict[asyncio.Future[Score], list[int]] = {}
    wrapped: dict[int, asyncio.Future[Score]] = {}
    for index, future in enumerate(futures):
        waiting = wrapped.setdefault(id(future), asyncio.shield(asyncio.wrap_future(future)))
        places.setdefault(waiting, []).append(index)
    unfinished = set(places)
    while unfinished:
        finished, unfinished = await asyncio.wait(unfinished, return_when=asyncio.FIRST_COMPLETED)
        for judged in finished:
            data = plain(score_to_data(judged.result()))
            for index in places[judged]:
                yield ScoreLine(index=index, score=data).model_dump_json() + "\n"
    yield EndLine(done=len(futures)).model_dump_json() + "\n"


def _metrics(served: Served) -> str:
    """Prometheus' text format."""
    from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

    registry, counts = CollectorRegistry(), served.desk.counts()
    verdicts = Counter("tritonrl_verdicts", "Verdicts given, by status.", ["status"], registry=registry)
    for status, given in counts.statuses.items():
        verdicts.labels(status).inc(given)
    for name, says, number in (
        ("tritonrl_known", "Candidates whose verdict was known, or in work already.", counts.known),
        ("tritonrl_refused", "Candidates sent away because there was no room.", counts.refused),
        ("tritonrl_judging_seconds", "Seconds spent judging, summed over workers.", counts.seconds),
    ):
        Counter(name, says, registry=registry).inc(number)
    for name, says, level in (
        ("tritonrl_waiting", "Candidates that are not judged yet.", counts.waiting),
        ("tritonrl_capacity", "Candidates that may wait.", served.desk.capacity),
        ("tritonrl_draining", "1 while the service is ending.", int(served.desk.draining)),
    ):
        Gauge(name, says, registry=registry).set(level)
    return generate_latest(registry).decode()


async def _answer_problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    headers = {} if error.retry_s is None else {"Retry-After": str(max(1, round(error.retry_s)))}
    headers |= {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    return JSONResponse(error.problem.model_dump(), error.status, headers)


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    message, remedy = f"{where}: {first['msg']}", "See /openapi.json."
    if first["type"] == "json_invalid":
        message = f"the body is no JSON: {first['ctx']['error']} at character {where}"
    elif where == "the body" and "json" not in request.headers.get("content-type", ""):
        message, remedy = "the body is not said to be JSON", "Send `Content-Type: application/json`."
    return JSONResponse(Problem(code="invalid", message=message, remedy=remedy).model_dump(), 422)


async def _answer_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    problem = Problem(code="http", message=str(error.detail), remedy="See /openapi.json.")
    return JSONResponse(problem.model_dump(), error.status_code)


class BoundedBody:
    """Refuses a body of more than `most` bytes, by its announced length or while it arrives."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._most:
            await self._refuse(scope, receive, send)
            return
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._most:
                await self._refuse(scope, receive, send)
                return
            if not message.get("more_body", False):
                break
        await self._app(scope, _replayed(b"".join(parts), receive), send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem(
            code="too_large", message=f"a body may have {self._most} bytes", remedy="Send fewer candidates at once."
        )
        await JSONResponse(json.loads(problem.model_dump_json()), 413, {"Connection": "close"})(scope, receive, send)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read, to be read again; then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

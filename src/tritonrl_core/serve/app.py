"""HTTP around a desk: routes, and who may. No decision about a candidate is made here."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tritonrl_core import __version__
from tritonrl_core.runs import plain, score_to_data
from tritonrl_core.serve.body import BoundedBody
from tritonrl_core.serve.desk import Desk, DrainingError, FullError, Job
from tritonrl_core.serve.metrics import exposition
from tritonrl_core.serve.problems import PROBLEMS, ProblemError, answer_problems
from tritonrl_core.serve.schema import API, EndLine, Health, Item, ScoreLine, ScoreRequest, TaskDetail, TaskLine
from tritonrl_core.tasks.prompts import chat_messages, compact_prompt
from tritonrl_core.types import Score, Task

MOST_BYTES = 32 << 20
"""Of one request's body."""

JSON_LINES = "application/x-ndjson"


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


def make_app(served: Served) -> FastAPI:
    """The service as an ASGI application."""
    app = FastAPI(title="tritonrl verifier", version=__version__, redoc_url=None)
    app.state.served = served
    app.add_middleware(BoundedBody, most=MOST_BYTES)
    answer_problems(app)
    app.include_router(guarded)
    app.include_router(open_to_all)
    return app


def _served(request: Request) -> Served:
    served: Served = request.app.state.served
    return served


Service = Annotated[Served, Depends(_served)]
Given = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def _allowed(given: Given, served: Service) -> None:
    shown = given.credentials if given else ""
    if served.token and not hmac.compare_digest(shown.encode(), served.token.encode()):
        what = "this is not the service's token" if shown else "a token is needed"
        raise ProblemError(401, "unauthorized", what, "Send `Authorization: Bearer TOKEN` (TRITONRL_TOKEN there).")


guarded = APIRouter(dependencies=[Depends(_allowed)])
open_to_all = APIRouter()


@guarded.post(
    f"/{API}/score", response_class=StreamingResponse, responses={
        **PROBLEMS, 200: {"content": {JSON_LINES: {}}, "description": "One ScoreLine a line, then an EndLine."}},
)  # fmt: skip
async def score(request: ScoreRequest, served: Service) -> StreamingResponse:
    jobs = [_job(item, served) for item in request.items]
    try:
        futures = served.desk.submit(jobs)
    except FullError as full:
        raise ProblemError(429, "full", str(full), "Wait as Retry-After says.", full.retry_s) from None
    except DrainingError:
        raise ProblemError(503, "draining", "the service is ending", "Ask again in a while.", 5) from None
    return StreamingResponse(_lines(futures), media_type=JSON_LINES)


@guarded.get(f"/{API}/tasks", responses=PROBLEMS)
async def tasks(served: Service, split: str | None = None, level: int | None = None) -> list[TaskLine]:
    return [
        TaskLine(**_line(task))
        for task in served.tasks.values()
        if split in (None, task.split) and level in (None, task.level)
    ]


@guarded.get(f"/{API}/tasks/{{task_id:path}}", responses=PROBLEMS)
async def task(task_id: str, served: Service) -> TaskDetail:
    found = _known_task(task_id, None, served)
    return TaskDetail(
        **_line(found), prompt=found.prompt, source=found.source,
        messages=chat_messages(found, served.delegation), compact=compact_prompt(found),
    )  # fmt: skip


@guarded.get("/metrics", response_class=PlainTextResponse)
async def metrics(served: Service) -> PlainTextResponse:
    return PlainTextResponse(exposition(served.desk), media_type="text/plain; version=0.0.4")


@open_to_all.get(f"/{API}/health")
async def health(served: Service) -> Health:
    return Health(
        status="draining" if served.desk.draining else "ok", version=__version__, preset=served.preset,
        verification=served.verification, waiting=served.desk.counts().waiting, capacity=served.desk.capacity,
        bench=dict(served.bench),
    )  # fmt: skip


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

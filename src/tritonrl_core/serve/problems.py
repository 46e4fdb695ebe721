"""Answers that are no answer: each is a `Problem` with what is wrong and what to do, in the field's HTTP statuses."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tritonrl_core.serve.schema import Problem

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 409, 413, 422, 429, 503)
}
"""Of every route, for the description of the interface."""


class ProblemError(Exception):
    """An answer that is no answer."""

    def __init__(self, status: int, code: str, message: str, remedy: str = "", retry_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_s = status, retry_s
        self.problem = Problem(code=code, message=message, remedy=remedy)


def answer_problems(app: FastAPI) -> None:
    """Have the application answer what goes wrong in it."""
    app.add_exception_handler(ProblemError, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)


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

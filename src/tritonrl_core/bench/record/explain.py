"""What a candidate's exception means for its verdict: a status, a reason in few words, a line of its code."""

from __future__ import annotations

import traceback
from dataclasses import replace

from torch._subclasses.fake_tensor import (
    DynamicOutputShapeException,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
from triton.compiler.errors import CompilationError

from tritonrl_core.bench.compile.triton_internals import BorrowedKernelError, UnsupportedKernelError
from tritonrl_core.bench.record.device_stand_in import UnsupportedDeviceCallError
from tritonrl_core.bench.record.planner import UnknownContentError
from tritonrl_core.bench.record.request import RecordFailure
from tritonrl_core.bench.record.trace import CANDIDATE_FILE, UnsupportedCallError, ValueNeededError
from tritonrl_core.types import Stage, Status

UNSUPPORTED = (
    ValueNeededError, UnsupportedCallError, UnsupportedKernelError, UnsupportedDeviceCallError,
    UnsupportedFakeTensorException, UnsupportedOperatorException, DynamicOutputShapeException,
)  # fmt: skip
"""Exceptions that say that a program is honest but cannot be recorded."""


def explain(error: BaseException, code: str) -> RecordFailure:
    """What a candidate's exception means for its verdict, with the line of its code."""
    line = _candidate_line(error)
    if isinstance(error, UnknownContentError):
        return failure(Status.RUNTIME_ERROR, Stage.RECORD, str(error), error.line)
    if isinstance(error, BorrowedKernelError):
        return failure(Status.REJECTED, Stage.RECORD, str(error), line)
    if isinstance(error, CompilationError):
        return failure(Status.BUILD_ERROR, Stage.RECORD, *_compilation(error, code, line))
    if isinstance(error, UNSUPPORTED):
        needs = isinstance(error, ValueNeededError)
        return replace(failure(Status.UNSUPPORTED, Stage.RECORD, _first_lines(error), line), needs_values=needs)
    text = f"{type(error).__name__}: {_first_lines(error)}"
    if "not supported for tensor subclasses" in text:
        return failure(Status.UNSUPPORTED, Stage.RECORD, f"values leave torch, which cannot be recorded: {text}", line)
    if _within(error, "front_half"):
        return failure(Status.BUILD_ERROR, Stage.RECORD, text, line)
    if _within(error, "load_module"):
        return failure(Status.BUILD_ERROR, Stage.RECORD, f"the code does not import: {text}", line)
    return failure(Status.RUNTIME_ERROR, Stage.RECORD, text, line)


def failure(status: Status, stage: Stage, reason: str, line: int) -> RecordFailure:
    """A failure whose reason begins with its line, where it has one."""
    text = reason if line == 0 else f"line {line}: {reason}"
    return RecordFailure(status, stage, text[:1500], line)


def _first_lines(error: BaseException, count: int = 6) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return "\n".join(line[:300] for line in lines[:count]) or type(error).__name__


def _compilation(error: BaseException, code: str, fallback: int) -> tuple[str, int]:
    """Triton's own message without the source that it repeats, and the line in the candidate's file."""
    inner = error
    while isinstance(inner.__cause__, CompilationError):
        inner = inner.__cause__
    node, src = getattr(inner, "node", None), getattr(inner, "src", None)
    message = getattr(inner, "error_message", None) or (str(inner.__cause__) if inner.__cause__ else "") or str(inner)
    message = "\n".join(part[:300] for part in str(message).strip().splitlines()[:6])
    line = fallback
    if isinstance(src, str) and node is not None:
        start = code.find(src.strip().splitlines()[0])
        line = code.count("\n", 0, start) + int(node.lineno) if start >= 0 else fallback
    return f"{type(inner).__name__}: {message}", line


def _candidate_line(error: BaseException) -> int:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == CANDIDATE_FILE]
    return int(frames[-1].lineno or 0) if frames else 0


def _within(error: BaseException, function: str) -> bool:
    """Whether it was raised inside this function of ours."""
    return any(frame.name == function for frame in traceback.extract_tb(error.__traceback__))

"""What an exception out of a candidate means: status, stage, and a reason with the line it happened in.

For the child that interprets. It names things; it decides nothing about right or wrong outputs.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from tritonrl_core.types import Stage, Status

MOST_TEXT = 600


class Stop(Exception):  # noqa: N818 - the end of a candidate's run, not always an error
    """The candidate's run is over, with this status."""

    def __init__(self, status: Status, stage: Stage, reason: str) -> None:
        super().__init__(reason)
        self.status, self.stage, self.reason = status, stage, reason


def describe(error: BaseException, filename: str, code: str, *, importing: bool = False) -> Stop:
    """The status and reason of what a candidate raised. Memory that ran out is raised on, as `MemoryError`."""
    from triton.errors import TritonError

    from tritonrl_core.bench.device_stand_in import UnsupportedDeviceCallError
    from tritonrl_core.bench.interpreter_meter import OutOfBoundsError
    from tritonrl_core.bench.interpreter_triton import NotInterpretableError

    chain = list(_chain(error))
    root = chain[-1]
    if any(_is_memory(link) for link in chain):
        raise MemoryError
    where = _where(chain, filename, code)
    in_kernel = any(isinstance(link, TritonError) for link in chain)
    if isinstance(root, NotInterpretableError):
        return Stop(Status.UNSUPPORTED, Stage.FULL, f"Triton's interpreter cannot run {root}{where}")
    if isinstance(root, UnsupportedDeviceCallError) or (in_kernel and _is_gap(root)):
        return Stop(Status.UNSUPPORTED, Stage.FULL, f"{_text(root)}{where}")
    if isinstance(root, OutOfBoundsError):
        return Stop(Status.RUNTIME_ERROR, Stage.FULL, f"{root}{where}")
    if in_kernel and _raised_in(root, ("create_assert", "create_assume")):
        return Stop(Status.RUNTIME_ERROR, Stage.FULL, f"an assertion or assumption of the kernel failed: {root}{where}")
    if in_kernel:
        return Stop(Status.BUILD_ERROR, Stage.COMPILE, f"the kernel does not build: {_text(root)}{where}")
    if importing:
        return Stop(Status.BUILD_ERROR, Stage.RECORD, f"the code does not import: {_text(root)}{where}")
    return Stop(Status.RUNTIME_ERROR, Stage.RECORD, f"{_text(root)}{where}")


def not_python(error: Exception, filename: str, code: str) -> Stop:
    """The verdict on a text that does not parse."""
    reason = f"not valid Python: {_text(error).partition(': ')[2]}{_where([error], filename, code)}"
    return Stop(Status.REJECTED, Stage.AST, reason)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and its explicit causes: Triton wraps what a kernel raised, once for each function it called."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def _is_memory(error: BaseException) -> bool:
    text = str(error) if isinstance(error, RuntimeError) else ""
    return isinstance(error, MemoryError) or "can't allocate memory" in text or "not enough memory" in text


def _is_gap(error: BaseException) -> bool:
    """Whether the interpreter lacks something that the compiler has."""
    text = str(error)
    return isinstance(error, NotImplementedError) or "interpreter mode" in text or "'InterpreterBuilder' object" in text


def _raised_in(error: BaseException, functions: tuple[str, ...]) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].name in functions


def _where(chain: list[BaseException], filename: str, code: str) -> str:
    line = next((line for error in reversed(chain) if (line := _line(error, filename)) is not None), None)
    if line is None:
        return ""
    lines = code.splitlines()
    text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return f", at line {line}: `{text}`" if text else f", at line {line}"


def _line(error: BaseException, filename: str) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == filename:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    return lines[-1] if lines else None


def _text(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    message = " ".join(message.split())
    return f"{type(error).__name__}: {message[:MOST_TEXT]}" if message else type(error).__name__

"""What crosses the wire, version 1. Validates; knows nothing of HTTP or of judging.

Scores travel as the lines of `scores.jsonl` (`runs.score_to_data`), which have a schema version of their own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tritonrl_core.types import Candidate, Policy, Task

API = "v1"

MOST_ITEMS = 1024
"""Candidates in one request."""

MOST_CODE = 256 << 10
"""Characters of one completion."""

Text = Annotated[str, Field(max_length=MOST_CODE)]
Name = Annotated[str, Field(min_length=1, max_length=300)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reference(_Message):
    """A task of the client's own. Its source is trusted code that the service runs: refused unless it was told to."""

    id: Name
    source: Text
    level: Annotated[int, Field(ge=1, le=99)] = 1
    prompt: Text = ""
    family: Annotated[str, Field(max_length=100)] = ""
    mode: Literal["eval", "train", "as_is"] = "eval"
    vary: dict[Name, tuple[Annotated[int, Field(ge=1, lt=2**31)], ...]] = Field(default_factory=dict, max_length=64)
    dtypes: tuple[Name, ...] = ()
    mutated_buffers: tuple[Name, ...] = ()
    tolerance: Annotated[float, Field(gt=0, le=1)] | None = None
    delegation: Literal["none", "layout_only", "reported"] | None = None

    def task(self) -> Task:
        """The task that this describes."""
        data = self.model_dump(exclude={"delegation"})
        return Task(**data, policy=Policy(delegation=self.delegation or ""), origin="client")


class Item(_Message):
    """One candidate: `code` that defines `ModelNew`, or a whole `completion` with its plan; for a task of the service's
    by name (and, to be sure, its content `task_key`), or for a `reference` of the client's.
    """

    task_id: Name | None = None
    task_key: Name | None = None
    reference: Reference | None = None
    code: Text | None = None
    completion: Text | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Item:
        if (self.task_id is None) == (self.reference is None):
            raise ValueError("give either task_id or reference")
        if (self.code is None) == (self.completion is None):
            raise ValueError("give either code or completion")
        return self

    def candidate(self) -> Candidate:
        """The candidate, with plan and spans where the completion has them."""
        from tritonrl_core.spans import parse_completion

        return Candidate.from_code(self.code) if self.code is not None else parse_completion(self.completion or "")


class ScoreRequest(_Message):
    """A batch. The answer is a stream of JSON lines, in the order in which verdicts come."""

    items: Annotated[list[Item], Field(min_length=1, max_length=MOST_ITEMS)]


class ScoreLine(BaseModel):
    """One line of the answer: the score of `items[index]`."""

    index: int
    score: dict[str, Any]


class EndLine(BaseModel):
    """The last line of an answer that is whole. Where it is missing, ask again: nothing is judged twice."""

    done: int


class TaskLine(BaseModel):
    """A task of the service, as `/v1/tasks` lists it."""

    id: str
    key: str
    level: int
    family: str
    split: str


class TaskDetail(TaskLine):
    """A task with what it is compared with, and what a model is asked: in messages, or in few tokens."""

    prompt: str
    source: str
    messages: list[dict[str, str]]
    compact: str


class Health(BaseModel):
    """What the service is and how busy. `verification`: key of what a verdict depends on beside task and code."""

    status: Literal["ok", "draining"]
    api: str = API
    version: str
    preset: str
    verification: str
    waiting: int
    capacity: int
    most_items: int = MOST_ITEMS
    bench: dict[str, str]


class Problem(BaseModel):
    """Every answer that is no answer: what is wrong, and what to do about it."""

    code: str
    message: str
    remedy: str = ""

"""The client of a verifier service. It needs no GPU, no torch and no plugin, and survives a restart of the service.

    with RemoteVerifier("http://127.0.0.1:8686") as verifier:
        scores = verifier.verify_batch([(task, candidate), …])

A stream that breaks off, a service that is ending, full or away: what has no answer yet is asked again, until
`patience_s` have passed without one. Nothing is judged twice, because the service knows what it judged by its content.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx

from tritonrl_core.errors import InfraError, UsageError
from tritonrl_core.reward import reward_parts
from tritonrl_core.runs import score_from_data
from tritonrl_core.serve.schema import API, MOST_ITEMS
from tritonrl_core.types import Candidate, Score, Task

if TYPE_CHECKING:
    from tritonrl_core.preset import RewardSettings

TOKEN = "TRITONRL_TOKEN"
"""Environment variable with the token, where none is given."""

COME_BACK = frozenset({429, 502, 503, 504})
"""Answers after which to ask again."""


Job = tuple[Task | str, Candidate]
"""A candidate for a task; a task by its name alone is whatever the service has under that name."""


class RemoteVerifier:
    """Judges through a service as `Verifier` does here. Thread-safe.

    Tasks are named, and their content is compared, unless a name is all that is given; with `references` their sources
    travel too (the service must accept them). `reward` turns verdict and timing into reward parts by this side's own
    settings. Raises `UsageError` where the service refuses what it is asked, `InfraError` where it stays away for
    longer than `patience_s`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        reward: RewardSettings | None = None,
        references: bool = False,
        patience_s: float = 600.0,
        chunk: int = 256,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"{url} is no address of a service", remedy="Write it like http://127.0.0.1:8686.")
        self.url = url.rstrip("/")
        self._reward, self._references, self._patience_s = reward, references, patience_s
        self._chunk = min(chunk, MOST_ITEMS)
        shown = os.environ.get(TOKEN, "") if token is None else token
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        # A verdict may take minutes; a connection that says nothing for that long is none.
        timeout = httpx.Timeout(30.0, read=900.0)
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> RemoteVerifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Safe to call twice."""
        self._http.close()

    def health(self) -> dict[str, Any]:
        """What the service says of itself. Raises `InfraError` where it does not answer."""
        try:
            answer = self._http.get(f"/{API}/health")
            return dict(answer.raise_for_status().json())
        except (httpx.HTTPError, ValueError) as error:
            raise InfraError(f"{self.url} does not answer: {error}", remedy="Is `tritonrl serve` running?") from error

    def tasks(self, split: str | None = None, level: int | None = None) -> list[dict[str, Any]]:
        """The service's tasks: `id`, `key`, `level`, `family`, `split` of each."""
        asked = {"split": split, "level": level}
        return list(self._get("tasks", {name: value for name, value in asked.items() if value is not None}))

    def task(self, name: str) -> dict[str, Any]:
        """One of them, with `source`, and what a model is asked: `messages`, or `compact` as one short text."""
        return dict(self._get(f"tasks/{name}"))

    def _get(self, what: str, asked: Mapping[str, Any] | None = None) -> Any:
        """Raises `UsageError` where the service refuses, `InfraError` where it does not answer."""
        try:
            answer = self._http.get(f"/{API}/{what}", params=asked)
            if answer.status_code == 200:
                return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise InfraError(f"{self.url} does not answer: {error}", remedy="Is `tritonrl serve` running?") from error
        refusal = _refusal(answer, self.url)
        raise InfraError(str(refusal)) if isinstance(refusal, _AgainError) else refusal

    def verify(self, task: Task | str, code: str | Candidate) -> Score:
        """Judge one candidate."""
        candidate = Candidate.from_code(code) if isinstance(code, str) else code
        return self.verify_batch([(task, candidate)])[0]

    def verify_batch(self, jobs: Sequence[Job], on_score: Callable[[int, Score], None] | None = None) -> list[Score]:
        """Judge many at once, in the order of `jobs`; `on_score(index, score)` is called as verdicts come."""
        scores: list[Score | None] = [None] * len(jobs)
        for begin in range(0, len(jobs), self._chunk):
            for index, score in self._until_all(jobs, range(begin, min(begin + self._chunk, len(jobs)))):
                scores[index] = score
                if on_score is not None:
                    on_score(index, score)
        return [score for score in scores if score is not None]

    def _until_all(self, jobs: Sequence[Job], places: range) -> Iterator[tuple[int, Score]]:
        missing = list(places)
        patience = _Patience(self._patience_s, self.url)
        while missing:
            asked = list(missing)
            try:
                for index, score in self._ask([jobs[place] for place in asked]):
                    missing.remove(asked[index])
                    patience.renew()
                    yield asked[index], self._own(score, *jobs[asked[index]])
            except _AgainError as again:
                patience.wait(again)

    def _ask(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Score]]:
        """Scores as they come. Raises `_AgainError` where some are missing in the end."""
        body = {"items": [self._item(task, candidate) for task, candidate in jobs]}
        try:
            with self._http.stream("POST", f"/{API}/score", json=body) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise _refusal(answer, self.url)
                for line in answer.iter_lines():
                    data = json.loads(line)
                    if "done" in data:
                        return
                    yield data["index"], score_from_data(data["score"])
        except (httpx.TransportError, httpx.StreamError, json.JSONDecodeError) as error:
            raise _AgainError(f"{type(error).__name__}: {error}") from error
        raise _AgainError("the answer broke off")

    def _item(self, task: Task | str, candidate: Candidate) -> dict[str, Any]:
        what = {"completion": candidate.text} if candidate.plan else {"code": candidate.code}
        if isinstance(task, str):
            return {"task_id": task, **what}
        if not self._references:
            return {"task_id": task.id, "task_key": task.key, **what}
        reference = {
            "id": task.id, "source": task.source, "level": task.level, "prompt": task.prompt, "family": task.family,
            "mode": task.mode, "vary": {name: list(values) for name, values in task.vary.items()},
            "dtypes": list(task.dtypes), "mutated_buffers": list(task.mutated_buffers), "tolerance": task.tolerance,
            "delegation": task.policy.delegation or None,
        }  # fmt: skip
        return {"reference": reference, **what}

    def _own(self, score: Score, task: Task | str, candidate: Candidate) -> Score:
        """The score under this side's names, and by this side's reward."""
        own = replace(score, candidate=candidate)
        if isinstance(task, Task):
            own = replace(own, task_id=task.id, task_key=task.key, level=task.level)
        if self._reward is None:
            return own
        return replace(own, reward=reward_parts(own.verdict, own.timing, self._reward))


class _AgainError(Exception):
    """Ask again, not before `retry_s`."""

    def __init__(self, why: str, retry_s: float = 0.0) -> None:
        super().__init__(why)
        self.retry_s = retry_s


@dataclass
class _Patience:
    """Waits longer and longer, and gives up where nothing has come for so long."""

    patience_s: float
    url: str
    pause_s: float = 0.25
    since: float = field(default_factory=time.monotonic)

    def renew(self) -> None:
        self.since, self.pause_s = time.monotonic(), 0.25

    def wait(self, again: _AgainError) -> None:
        if time.monotonic() - self.since > self.patience_s:
            raise InfraError(
                f"{self.url}: no verdict for {self.patience_s:.0f} s: {again}", remedy="Is `tritonrl serve` running?"
            ) from again
        time.sleep(max(self.pause_s, again.retry_s))
        self.pause_s = min(10.0, 2 * self.pause_s)


def _refusal(answer: httpx.Response, url: str) -> Exception:
    try:
        problem = dict(answer.json())
    except ValueError:
        problem = {}
    said = problem.get("message") or answer.text[:200]
    if answer.status_code in COME_BACK:
        return _AgainError(f"{answer.status_code} {said}", float(answer.headers.get("Retry-After", 0)))
    return UsageError(f"{url}: {answer.status_code}: {said}", remedy=str(problem.get("remedy", "")))


@dataclass(frozen=True)
class RemoteReward:
    """A reward function for trainers that call one with completions: `total`, `correctness` or `speed`.

    It can be pickled and holds no connection; each process opens its own. The trainer's dataset has the task's name in
    a column `task_id`; `tasks` maps it to the task, whose content is compared then. None means "left out" (a fault of
    the service's). Made for TRL's `reward_funcs`.
    """

    url: str
    tasks: Mapping[str, Task] | None = None
    part: str = "total"
    reward: RewardSettings | None = None
    patience_s: float = 600.0

    @property
    def __name__(self) -> str:
        return f"tritonrl_{self.part}"

    def __call__(self, completions: Sequence[Any], task_id: Sequence[str], **_: Any) -> list[float | None]:
        """Rewards of completions (texts, or chats whose last message is one), in order."""
        from tritonrl_core.spans import parse_completion

        texts = [text if isinstance(text, str) else text[-1]["content"] for text in completions]
        tasks = self.tasks or {}
        jobs = [(tasks.get(name, name), parse_completion(text)) for name, text in zip(task_id, texts, strict=True)]
        with RemoteVerifier(self.url, reward=self.reward, patience_s=self.patience_s) as verifier:
            return [reward_part(score, self.part) for score in verifier.verify_batch(jobs)]


def reward_part(score: Score, part: str = "total") -> float | None:
    """`total`, `correctness` or `speed` of a score's reward; None where it is left out."""
    parts = score.reward
    if parts.correctness is None:
        return None
    values = {"correctness": parts.correctness, "speed": parts.speed or 0.0}
    return values[part] if part in values else sum(values.values())

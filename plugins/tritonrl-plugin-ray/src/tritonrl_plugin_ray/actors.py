"""What runs inside Ray's actors, and how it is asked from outside. Placement and restarts are Ray's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayError

from tritonrl_core.errors import PlaceLost, TritonRLError
from tritonrl_core.types import BenchHost, BenchPlace

NAMESPACE = "tritonrl"


class Desk:
    """One actor's end: opens what it is told to, and answers. `values` has threads of its own, because a preparer may
    ask for values while every other thread of the host waits for preparers."""

    def __init__(self, opened: Callable[[], BenchHost]) -> None:
        self._host: BenchHost | None = None
        self._problem: TritonRLError | None = None
        try:
            self._host = opened()
        except TritonRLError as problem:  # to be told to whoever asks: an actor that does not start is only restarted
            self._problem = problem

    def answer(self, call: Any) -> tuple[bool, Any]:
        """(True, the answer) or (False, the error)."""
        try:
            if self._host is None:
                raise self._problem or AssertionError
            return True, self._host.answer(call)
        except TritonRLError as error:
            return False, error

    @ray.method(concurrency_group="values")
    def values(self, call: Any) -> tuple[bool, Any]:
        """As `answer`."""
        return self.answer(call)

    @ray.method(concurrency_group="values")
    def node(self) -> str:
        """Where it is: the node's id. Answers as soon as the actor is there, whatever else it does."""
        return str(ray.get_runtime_context().get_node_id())


def start(
    name: str, opened: Callable[[], BenchHost], *, cpus: int, gpus: int, at_once: int, kind: str | None = None
) -> ActorHandle[Any]:
    """Have Ray place an actor, on whichever node has room (and GPUs of that kind), and again on another where its node
    is lost."""
    # Its stubs don't know concurrency groups.
    desk: Any = ray.remote(concurrency_groups={"values": 8}, max_restarts=-1, max_task_retries=0)(Desk)  # type: ignore[call-overload]
    actor: ActorHandle[Any] = desk.options(
        name=name, namespace=NAMESPACE, num_cpus=cpus, num_gpus=gpus, max_concurrency=at_once,
        scheduling_strategy="SPREAD", accelerator_type=kind,
    ).remote(opened)  # fmt: skip
    return actor


class RayPlace:
    """An actor, by its name: can be pickled, and so asked from other actors."""

    def __init__(self, name: str, method: str = "answer", closing: Callable[[], None] | None = None) -> None:
        """`closing` is called when the place is closed, by whoever owns the actor."""
        self.name, self._method, self._closing = name, method, closing
        self.lost = 0
        self._actor: ActorHandle[Any] | None = None
        self._look: Any = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[RayPlace], tuple[str, str]]:
        return RayPlace, (self.name, self._method)

    def ask(self, call: Any) -> Any:
        """Have the actor answer. Raises `PlaceLost` where it, or its node, is gone."""
        try:
            good, answer = ray.get(getattr(self._found(), self._method).remote(call))
        except (RayError, ValueError) as error:
            self.lost += 1
            if isinstance(error, RayActorError) or not isinstance(error, RayError):
                raise PlaceLost(f"{type(error).__name__}: {_first_line(error)}") from None
            raise PlaceLost(f"Ray: {type(error).__name__}: {_first_line(error)}") from None
        if not good:
            raise answer
        return answer

    def back(self) -> bool:
        """Whether the actor answers again: Ray starts it anew where there is room."""
        with self._lock:
            try:
                if self._look is None:
                    self._look = self._found().node.remote()
                if not ray.wait([self._look], timeout=0)[0]:
                    return False
                look, self._look = self._look, None
                return bool(ray.get(look))
            except (RayError, ValueError):
                self._look = None
                return False

    def close(self) -> None:
        """Have the owner end the actor."""
        if self._closing is not None:
            self._closing()

    def _found(self) -> ActorHandle[Any]:
        if self._actor is None:
            self._actor = ray.get_actor(self.name, NAMESPACE)
        return self._actor


def places(names: Sequence[str], method: str = "answer") -> list[BenchPlace]:
    """Places by their names."""
    return [RayPlace(name, method) for name in names]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]

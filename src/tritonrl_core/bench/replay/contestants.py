"""Who is timed on the device, and where in memory: a candidate's plan and the reference, as captured graphs.

Says nothing of clocks. Before each timed run a candidate's memory is as if it had never run (`Clean`); the reference
has inputs of its own (`Runner`), which nobody else may change.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from tritonrl_core.bench.plan.flow import access
from tritonrl_core.bench.plan.schema import LaunchPlan, Step, Tune
from tritonrl_core.bench.references.prepared import named_inputs
from tritonrl_core.bench.references.reference import Materials, map_tensors
from tritonrl_core.bench.replay.cuda_driver import CudaError
from tritonrl_core.bench.replay.device_memory import bit_sum
from tritonrl_core.bench.replay.replayer import Placed
from tritonrl_core.bench.replay.stopwatch import LONG_US, ROUNDS, Lane
from tritonrl_core.types import TimingProtocol

SHIFT = 67 << 9
"""By how many bytes the buffers of one capture lie further on than those of the one before (a multiple of 512)."""

SHORT_US, COPIES = 8.0, 4
"""Work that moves its tensors in less than `SHORT_US` is captured `COPIES` times at each place: two graphs of the same
work differ by up to half a microsecond throughout."""

SHORT_RUN_US, TRIED = 20.0, 3
"""A run that takes longer is captured once though it moves little; how long is tried so many times, and the least
counts."""

LEAST_GRAPHS = 3
"""Graphs of work of up to `stopwatch.LONG_US`, over all places: as many runs can be enqueued before the host waits for
one, while nobody else can use the GPU."""


@dataclass(frozen=True)
class Timed:
    """A captured graph of what comes before a run, and the run, with events at the start, between the two, and at the
    end. As the events are in the graph, the host has no part in what lies between them.
    """

    launch: Callable[[], Any]
    start: Any
    begin: Any
    end: Any


def captures(
    before: Callable[[], Any], work: Callable[[], Any], floor_us: float | None, protocol: TimingProtocol,
    *, again: bool = False, seldom: bool = False,
) -> list[Lane] | str:  # fmt: skip
    """Lanes of the same work captured as often as it takes at one of the protocol's places; or why it can't be.

    `floor_us` is the least time in which its tensors can be moved. `again` as for `captured`; `seldom`: few runs of it
    are taken.
    """
    lanes: list[Lane] = []
    wanted = graphs_wanted(floor_us, 0.0, protocol, seldom=seldom)
    while len(lanes) < wanted:
        made = captured(before, work, again=again or bool(lanes))
        if isinstance(made, str):
            return made
        lanes.append(made)
        if len(lanes) == 1 and wanted > 1:
            wanted = graphs_wanted(floor_us, _least_us(made), protocol, seldom=seldom)
    return lanes


def graphs_wanted(floor_us: float | None, took_us: float, protocol: TimingProtocol, *, seldom: bool = False) -> int:
    """How often work is captured at each place, if a run of it takes `took_us`."""
    short = (floor_us or SHORT_US) < SHORT_US and took_us <= SHORT_RUN_US
    least = -(-LEAST_GRAPHS // protocol.captures) if took_us <= LONG_US and not seldom else 1
    most = protocol.trials // (ROUNDS * protocol.captures)
    return max(1, min(COPIES if short else least, most))


def _least_us(lane: Lane) -> float:
    """The least time of a few captured runs in microseconds; 0 where a run has no events of its own."""
    times = []
    for _ in range(TRIED if lane.timed is not None else 0):
        assert lane.timed is not None
        lane.timed.launch()
        torch.cuda.synchronize()
        times.append(float(lane.timed.begin.elapsed_time(lane.timed.end)) * 1e3)
    return min(times, default=0.0)


def captured(before: Callable[[], Any], work: Callable[[], Any], *, again: bool = False) -> Lane | str:
    """A lane of captured work, with what comes before it; or why the work can't be captured. `again`: the same work was
    captured before, and this has run: it is warm and waits for nothing."""
    if not again:
        work()
        why = _waits(work)
        if why:
            return why
    if not events_in_graphs():
        alone = _graph(work)
        return alone if isinstance(alone, str) else Lane(alone, before)
    start, begin, end = _events()

    def whole() -> Any:
        start.record()
        before()
        begin.record()
        result = work()
        end.record()
        return result

    graph = _graph(whole)
    return graph if isinstance(graph, str) else Lane(work, before, Timed(graph, start, begin, end))


@cache
def events_in_graphs() -> bool:
    """Whether events that were captured in a graph can be read after it has run; tried once a process."""
    _, begin, end = _events()
    memory = torch.zeros(1 << 20, dtype=torch.uint8, device="cuda")

    def work() -> None:
        begin.record()
        memory.zero_()
        end.record()

    launch = _graph(work)
    if isinstance(launch, str):
        return False
    try:
        launch()
        torch.cuda.synchronize()
        return bool(0.0002 < begin.elapsed_time(end) < 0.5)  # a megabyte takes a microsecond or a few, by any clock
    except RuntimeError:
        return False


def _events() -> list[Any]:
    """Three events for a graph; recorded once, so that they exist before the capture."""
    made = [torch.cuda.Event(enable_timing=True, external=True) for _ in range(3)]  # type: ignore[no-untyped-call]
    for event in made:
        event.record()
    return made


def _graph(work: Callable[[], Any]) -> Callable[[], Any] | str:
    """What launches the work as a graph, or why that can't be. What the work returns stays with the graph.

    Nothing of it runs here, and it is launched behind all that was enqueued before: nobody has to wait for the device.
    """
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    kept, why = None, ""
    with torch.cuda.stream(stream):
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            kept = work()
        except (RuntimeError, CudaError) as error:
            why = _first_words(error)
        finally:  # a capture that is not ended would swallow all that comes after it
            try:
                graph.capture_end()
            except RuntimeError as error:
                why = why or _first_words(error)
    if why:
        _fresh_generator()
        return why

    def launch(_kept: Any = kept) -> None:
        graph.replay()

    return launch


def _waits(work: Callable[[], Any]) -> str:
    """The first thing in the work that waits for the device, which no capture bears; "" where nothing does."""
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls this mode a prototype each time
        torch.cuda.set_sync_debug_mode("error")
    try:
        work()
    except RuntimeError as error:
        if "synchroniz" not in str(error):
            raise
        return _first_words(error)
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return ""


def _fresh_generator() -> None:
    """Random numbers after a capture that failed: torch leaves its generator believing that it is being captured."""
    device = torch.cuda.current_device()
    fresh = torch.Generator(device=f"cuda:{device}")
    torch.cuda.default_generators[device].graphsafe_set_state(fresh.graphsafe_get_state())


class Clean:
    """Puts a candidate's memory back: poison where it allocated, and what was there where it wrote into given data.

    Inputs and parameters are compared when all is over; constants and constructor arguments are not, so they are put
    back whatever the plan says of them, and scratch memory is emptied: nothing is kept from one run for the next. With
    `keep_prologue` what the prologue made stays (weights packed once).
    """

    def __init__(self, placed: Placed, *, keep_prologue: bool) -> None:
        plan, arena = placed.plan, placed.arena
        written = _written(plan, plan.steps)
        kept = _written(plan, plan.prologue) if keep_prologue else frozenset()
        own = [number for number, slot in enumerate(arena.slots) if slot is not None and slot.nbytes]
        fresh = [number for number in own if plan.buffers[number].role in ("alloc", "aten") and number not in kept]
        given = [
            number for number in own
            if plan.buffers[number].role in ("constant", "init_input")
            or (number in written and plan.buffers[number].role not in ("alloc", "aten"))
        ]  # fmt: skip
        self._poison = arena.poison
        self._fresh = [arena.bytes_of(number) for number in fresh]
        self._given = [(arena.bytes_of(number), arena.bytes_of(number).clone()) for number in given]
        self._scratch = placed.scratch

    def __call__(self) -> None:
        """Enqueue it on the current stream."""
        for memory in self._fresh:
            memory.fill_(self._poison)
        for memory, before in self._given:
            memory.copy_(before)
        for memory in self._scratch:
            memory.zero_()


def _written(plan: LaunchPlan, steps: Sequence[Step]) -> frozenset[int]:
    parts = [part for step in steps for variant in (step.variants if isinstance(step, Tune) else [[step]])
             for part in variant]  # fmt: skip
    return frozenset(number for part in parts for number in access(part, plan.kernels).writes)


class Runner:
    """The reference with inputs of its own, at one place in memory; calling it runs it eagerly."""

    def __init__(self, materials: Materials, number: int) -> None:
        self._spacer = torch.empty(number * SHIFT + 1, dtype=torch.uint8, device=materials.device)
        self._model = materials.model if number == 0 else copy.deepcopy(materials.model)
        self._inputs = materials.inputs if number == 0 else [map_tensors(v, _moved) for v in materials.inputs]
        self.watched: list[tuple[torch.Tensor, int]] = []
        """Tensors with the sums over their bits, as they must stay (`watch`). The sums are where no kernel is."""

    def __call__(self) -> Any:
        with torch.no_grad():
            return self._model(*self._inputs)

    def tensors(self) -> list[torch.Tensor]:
        """What it reads."""
        return [*self._model.parameters(), *named_inputs(self._inputs).values()]

    def compiled(self) -> Callable[[], Any]:
        """The same through torch.compile; compiled at the first call."""
        from torch._inductor import config

        config.compile_threads = 1  # no pool of processes beside the one that owns the GPU
        model = torch.compile(self._model)

        def run() -> Any:
            with torch.no_grad():
                return model(*self._inputs)

        return run


def watch(runners: Sequence[Runner]) -> None:
    """From here on nobody but the references has any business with what they read; waits for the device once."""
    tensors = [runner.tensors() for runner in runners]
    sums = iter(_fetched([bit_sum(tensor) for each in tensors for tensor in each]))
    for runner, each in zip(runners, tensors, strict=True):
        runner.watched = [(tensor, next(sums)) for tensor in each]


def settle(runners: Sequence[Runner]) -> None:
    """Watch only what the references themselves, having run, have left alone; waits for the device once."""
    now = iter(_sums(runners))
    for runner in runners:
        runner.watched = [(tensor, known) for tensor, known in runner.watched if next(now) == known]


def intact(runners: Sequence[Runner], *others: torch.Tensor) -> bool:
    """Whether what is watched is what it was, and none of `others` is set; waits for the device once."""
    known = [known for runner in runners for _, known in runner.watched]
    return _sums(runners, *others) == known + [0] * len(others)


def _sums(runners: Sequence[Runner], *others: torch.Tensor) -> list[int]:
    sums = [bit_sum(tensor) for runner in runners for tensor, _ in runner.watched]
    return _fetched([*sums, *(other.long() for other in others)])


def _fetched(numbers: Sequence[torch.Tensor]) -> list[int]:
    return list(map(int, torch.stack(list(numbers)).tolist())) if numbers else []


def _moved(tensor: torch.Tensor) -> torch.Tensor:
    """A copy in new memory that lies within its storage as the tensor does."""
    storage = tensor.untyped_storage()
    raw = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage, 0, (storage.nbytes(),), (1,))
    empty = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    memory = raw.clone().untyped_storage()
    return empty.set_(memory, int(tensor.storage_offset()), tensor.shape, tensor.stride())


def _first_words(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]

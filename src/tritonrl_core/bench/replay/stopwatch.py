"""Times of runs taken in turn on one device: the clock, whose turn it is, and when there are enough.

Knows nothing of plans, references or speedups. A contestant is something that can be run at one or several places in
memory (lanes); all contestants are timed by one clock in one sequence, so that whatever drifts drifts for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any, Protocol

from tritonrl_core.bench.timing.speed import relative_half_width, standard_error, trimmed_mean
from tritonrl_core.types import TimingProtocol

ROUNDS, FEWEST = 4, 2
"""Runs at each place before `adaptive` looks whether it has enough; and where `ROUNDS` would overrun its budget."""

TURNS = 48
"""Turns that are enqueued before the host waits for them: few enough to fit the driver's queue."""

LEAD = 4
"""Flushes before the first turn of such a batch, in which the host gets ahead of the device."""

CONTROL, CONTROL_US, LONG_US = 0.3, 8000.0, 200.0
"""Where runs take longer than `LONG_US`, flushes are timed for the share `CONTROL` of all runs' time and at least for
`CONTROL_US`: work of others on the device shows there, because it is known how long a flush takes."""

WATCH_US, INTERRUPTED = 30_000.0, 1.5
"""Where another process has the device open, flushes are watched for so long after runs of at most `LONG_US`, which are
seldom hit themselves: one millisecond of them that takes so many times the shortest was interrupted."""

FOREIGN = 0.15
"""Share of the time between runs that others may have had the device before times count as not measured."""

UNSTEADY = 0.02
"""Half of the 95 % interval, as a share of the mean, beyond which a time is none."""


class TimedGraph(Protocol):
    """Preparation and run as one graph on the device, with events of its own: at the start, between the two,
    at the end."""

    @property
    def launch(self) -> Callable[[], Any]: ...
    @property
    def start(self) -> Any: ...
    @property
    def begin(self) -> Any: ...
    @property
    def end(self) -> Any: ...


@dataclass(frozen=True)
class Lane:
    """A place in memory where a contestant runs. Both enqueue device work; only `run` is timed. `timed` is both as one
    graph, where there is one."""

    run: Callable[[], Any]
    prepare: Callable[[], Any]
    timed: TimedGraph | None = None


@dataclass(frozen=True)
class Contestant:
    """What is timed, at most `trials` times."""

    name: str
    lanes: Sequence[Lane]
    trials: int


@dataclass(frozen=True, slots=True)
class Lap:
    """One turn in microseconds: the run itself, and what lay before it (None where nobody saw that)."""

    us: float
    gap_us: float | None


class Clock(Protocol):
    """Times lanes one after the other."""

    def laps(self, lanes: Sequence[Lane]) -> list[Lap]: ...


@dataclass
class Track:
    """Samples of one contestant in microseconds, by lane in the order taken; `spent_us` counts warm-up and flushes."""

    lanes: list[list[float]]
    gaps: list[float] = field(default_factory=list)
    spent_us: float = 0.0
    warmup: int = 0

    @property
    def samples(self) -> list[float]:
        """All samples, in turn."""
        return [us for turn in zip_longest(*self.lanes) for us in turn if us is not None]

    @property
    def count(self) -> int:
        return sum(map(len, self.lanes))


class DeviceClock:
    """Events around each run: those of its graph, or on the current stream where it is none."""

    def __init__(self, flush: Callable[[], Any]) -> None:
        self.flush = flush
        self._events: list[Any] = []
        self._ends: list[Any] = []

    def laps(self, lanes: Sequence[Lane]) -> list[Lap]:
        """Time the lanes one after the other. A graph's events hold one run: before its next one they are read."""
        graphs = [lane.timed for lane in lanes if lane.timed is not None]
        if len(graphs) == len(lanes):
            return self._graphs(graphs)
        found: list[Lap] = []
        batch: list[Lane] = []
        for lane in lanes:
            if lane.timed is not None and any(lane.timed is other.timed for other in batch):
                found += self._batch(batch)
                batch = []
            batch.append(lane)
        return found + self._batch(batch)

    def _graphs(self, graphs: Sequence[TimedGraph]) -> list[Lap]:
        """Graphs alone: while one's events are waited for and read, the device is busy with those after it."""
        import torch

        stream = torch.cuda.current_stream()
        while len(self._ends) < len(graphs):
            self._ends.append(torch.cuda.Event())  # type: ignore[no-untyped-call]
        found: dict[int, Lap] = {}

        def read(turn: int) -> None:
            self._ends[turn].synchronize()
            start, begin, end = graphs[turn].start, graphs[turn].begin, graphs[turn].end
            found[turn] = Lap(begin.elapsed_time(end) * 1e3, start.elapsed_time(begin) * 1e3)

        for turn, before in enumerate(read_before([id(graph) for graph in graphs])):
            if before is not None:
                read(before)
            graphs[turn].launch()
            self._ends[turn].record(stream)
        for turn in range(len(graphs)):
            if turn not in found:
                read(turn)
        return [found[turn] for turn in range(len(graphs))]

    def _batch(self, lanes: Sequence[Lane]) -> list[Lap]:
        """Enqueue, wait, read. The first `LEAD` flushes let the host get ahead of the device where that matters."""
        import torch

        if any(lane.timed is None for lane in lanes):
            for _ in range(LEAD):
                self.flush()
        stream = torch.cuda.current_stream()
        marks = [self._enqueue(number, lane, stream) for number, lane in enumerate(lanes)]
        torch.cuda.synchronize()
        found: list[Lap] = []
        last = None
        for start, begin, end in marks:
            since = last if start is None else start
            found.append(Lap(begin.elapsed_time(end) * 1e3, since and since.elapsed_time(begin) * 1e3))
            last = end
        return found

    def _enqueue(self, number: int, lane: Lane, stream: Any) -> tuple[Any, Any, Any]:
        """Events at the start of the preparation (None: the end of the turn before), and around the run."""
        import torch

        if lane.timed is not None:
            lane.timed.launch()
            return lane.timed.start, lane.timed.begin, lane.timed.end
        while len(self._events) < 2 * number + 2:
            self._events.append(torch.cuda.Event(enable_timing=True))  # type: ignore[no-untyped-call]
        begin, end = self._events[2 * number : 2 * number + 2]
        lane.prepare()
        begin.record(stream)
        lane.run()
        end.record(stream)
        return None, begin, end


def read_before(names: Sequence[Hashable]) -> list[int | None]:
    """For each turn the earlier one of the same name that must be read before it begins, if there is one: the last."""
    last: dict[Hashable, int] = {}
    found: list[int | None] = []
    for turn, name in enumerate(names):
        found.append(last.get(name))
        last[name] = turn
    return found


def race(contestants: Sequence[Contestant], protocol: TimingProtocol, clock: Clock) -> dict[str, Track]:
    """Time all contestants by one protocol (`published` or `adaptive`), taking turns; their samples by name."""
    tracks = {entrant.name: Track([[] for _ in entrant.lanes]) for entrant in contestants}
    if protocol.method == "adaptive":
        _adaptive(contestants, protocol, clock, tracks)
    else:
        _drive(clock, _turns(contestants, [_warm_runs(e, protocol) for e in contestants]), tracks, warm=True)
        _drive(clock, _turns(contestants, [entrant.trials for entrant in contestants]), tracks)
    return tracks


def _warm_runs(entrant: Contestant, protocol: TimingProtocol) -> int:
    """Untimed runs before the others. One that is only looked at again needs few: the others warm the device too."""
    return min(protocol.warmup, entrant.trials if entrant.trials >= protocol.trials else entrant.trials // 4)


def _adaptive(
    contestants: Sequence[Contestant], protocol: TimingProtocol, clock: Clock, tracks: dict[str, Track]
) -> None:
    """As many runs as the interval asks for. Early samples that differ from later ones become warm-up."""
    began = time.perf_counter()
    running = [entrant for entrant in contestants if entrant.trials]
    _drive(clock, _turns(running, [min(len(e.lanes), protocol.warmup) for e in running]), tracks, warm=True)
    a_round = sum(tracks[entrant.name].spent_us for entrant in running)
    rounds = min(ROUNDS, max(FEWEST, int(protocol.budget_s * 1e6 / max(a_round, 1.0))))
    while running:
        left = [min(rounds * len(e.lanes), e.trials - tracks[e.name].count) for e in running]
        _drive(clock, _turns(running, left), tracks)
        for entrant in running:
            _drop_warmup(tracks[entrant.name], protocol)
        spent = time.perf_counter() - began >= protocol.budget_s
        running = [
            entrant for entrant in running
            if not spent and tracks[entrant.name].count < entrant.trials
            and relative_half_width(tracks[entrant.name].lanes, protocol.trim) > protocol.ci
        ]  # fmt: skip


def _drop_warmup(track: Track, protocol: TimingProtocol) -> None:
    """Take the first round for warm-up where it is not like the rest beyond noise, up to the protocol's bound."""
    while track.warmup + len(track.lanes) <= protocol.warmup and all(len(lane) > 2 for lane in track.lanes):
        first = [lane[0] for lane in track.lanes]
        rest = [us for lane in track.lanes for us in lane[1:]]
        usual = trimmed_mean(rest, protocol.trim)
        noise = 3 * standard_error(rest, protocol.trim) / usual * (len(rest) / len(first)) ** 0.5
        if abs(trimmed_mean(first, 0.0) / usual - 1) <= max(4 * protocol.ci, noise):
            return
        track.lanes = [lane[1:] for lane in track.lanes]
        track.warmup += len(track.lanes)


def _turns(contestants: Sequence[Contestant], counts: Sequence[int]) -> list[tuple[Contestant, int]]:
    """Whose turn it is, on which lane: in rounds, every other one in reverse order."""
    rounds: list[list[tuple[Contestant, int]]] = []
    for number in range(max(counts, default=0)):
        turn = [(e, number % len(e.lanes)) for e, count in zip(contestants, counts, strict=True) if number < count]
        rounds.append(turn[::-1] if number % 2 else turn)
    return [turn for one in rounds for turn in one]


def _drive(
    clock: Clock, turns: Sequence[tuple[Contestant, int]], tracks: dict[str, Track], *, warm: bool = False
) -> None:
    rest = iter(turns)
    while batch := list(islice(rest, TURNS)):
        laps = clock.laps([entrant.lanes[number] for entrant, number in batch])
        gaps = sorted(lap.gap_us for lap in laps if lap.gap_us is not None)
        usual = gaps[len(gaps) // 2] if gaps else 0.0
        for (entrant, number), lap in zip(batch, laps, strict=True):
            track = tracks[entrant.name]
            track.spent_us += lap.us + (usual if lap.gap_us is None else lap.gap_us)
            if warm:
                track.warmup += 1
                continue
            track.lanes[number].append(lap.us)
            if lap.gap_us is not None:
                track.gaps.append(lap.gap_us)


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against the times that were taken: the share of the time between runs in which others had the device,
    and why the times are none ("" where they stand)."""

    foreign: float
    reason: str


def doubt(
    tracks: Mapping[str, Track], clock: DeviceClock, trim: float, name: str = "candidate", *, others: bool = True
) -> Doubt:
    """Whether the device was ours while these times were taken, and whether those of the one named are steady.
    `others`: whether other processes may be at work on it."""
    found = list(tracks.values())
    longest = max((sorted(track.samples)[track.count // 2] for track in found if track.count), default=0.0)
    control = _control(clock, _watched_us(found, longest, others))
    foreign = excess([track.gaps for track in found], control)
    width = relative_half_width(tracks[name].lanes, trim)
    reason = ""
    if longest <= LONG_US and interrupted(control):
        reason = "another process is at work on the GPU"
    elif foreign > FOREIGN:
        reason = f"other work had the GPU for {foreign:.0%} of the time between the runs"
    elif width > UNSTEADY:
        reason = f"the times vary so much that their mean is known to ±{width:.1%} only"
    return Doubt(round(foreign, 4), reason)


def _watched_us(tracks: Sequence[Track], longest: float, others: bool) -> float:
    """For how long flushes are to be timed without a break."""
    if longest > LONG_US:
        return max(CONTROL_US, CONTROL * sum(us for track in tracks for us in track.samples))
    return WATCH_US if others else 0.0


def interrupted(control: Sequence[tuple[float, float]]) -> bool:
    """Whether some flushes took much longer, for what they should, than others."""
    shares = [took / should for took, should in control]
    return bool(shares) and max(shares) > INTERRUPTED * min(shares)


def excess(gaps: Sequence[Sequence[float]], control: Sequence[tuple[float, float]] = ()) -> float:
    """The share of the time between runs that someone else had the device: by how much the gaps took longer than their
    medians say, because what lies between two runs is always the same work. `control` adds pairs of how long flushes
    took and should have taken, in microseconds."""
    took = sum(got for got, _ in control)
    should = sum(expected for _, expected in control)
    for group in gaps:
        if group:
            took += sum(group)
            should += sorted(group)[len(group) // 2] * len(group)
    return max(0.0, 1 - should / took) if took else 0.0


def _control(clock: DeviceClock, total_us: float) -> list[tuple[float, float]]:
    """Flushes timed for so long without a pause, a millisecond or so at a time: how long they took, and should take by
    what single ones take, which are so short that they are seldom hit."""
    if not total_us:
        return []
    single = sorted(lap.us for lap in clock.laps([Lane(clock.flush, lambda: None)] * 9))[4]
    each = max(1, int(1000 // single))

    def several() -> None:
        for _ in range(each):
            clock.flush()

    count = max(1, round(total_us / (each * single)))
    return [(lap.us, each * single) for lap in clock.laps([Lane(several, lambda: None)] * count)]

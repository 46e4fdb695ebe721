"""Whose turn it is and when there are enough, with a clock whose times are drawn from a known distribution."""

import random
from collections.abc import Sequence
from statistics import fmean

import pytest

from tritonrl_core.bench.replay.stopwatch import (
    Contestant,
    DeviceClock,
    Lane,
    Lap,
    Track,
    doubt,
    excess,
    race,
    read_before,
)
from tritonrl_core.types import TimingProtocol

PUBLISHED = TimingProtocol("published", warmup=20, trials=100, trim=0.1)
ADAPTIVE = TimingProtocol("adaptive", warmup=20, trials=100, trim=0.1, ci=0.005, budget_s=60)


class DrawnClock(DeviceClock):
    """A device of which each lane's `run` gives the next time in microseconds; a flush takes 30."""

    def __init__(self) -> None:
        super().__init__(lambda: None)
        self.order: list[Lane] = []

    def laps(self, lanes: Sequence[Lane]) -> list[Lap]:
        found = []
        for number, lane in enumerate(lanes):
            lane.prepare()
            self.order.append(lane)
            found.append(Lap(lane.run(), 30.0 if number else None))
        return found


def contestant(name: str, mean: float, noise: float, lanes: int = 3, trials: int = 100, seed: int = 0) -> Contestant:
    draw = random.Random(f"{name}{seed}")
    return Contestant(name, [Lane(lambda: draw.gauss(mean, noise * mean), lambda: None) for _ in range(lanes)], trials)


def test_published_runs_what_it_says():
    track = race([contestant("c", 100, 0.01)], PUBLISHED, DrawnClock())["c"]
    assert (track.count, track.warmup) == (100, 20)
    assert [len(lane) for lane in track.lanes] == [34, 33, 33]
    assert len(track.samples) == 100


def test_one_that_is_only_looked_at_again_is_warmed_up_less():
    tracks = race([contestant("c", 100, 0.01), contestant("known", 100, 0.01, trials=12)], PUBLISHED, DrawnClock())
    assert (tracks["c"].count, tracks["c"].warmup) == (100, 20)
    assert (tracks["known"].count, tracks["known"].warmup) == (12, 3)


def test_adaptive_stops_when_the_interval_is_narrow_and_not_before():
    quiet = race([contestant("c", 100, 0.001)], ADAPTIVE, DrawnClock())["c"]
    noisy = race([contestant("c", 100, 0.02)], ADAPTIVE, DrawnClock())["c"]
    loud = race([contestant("c", 100, 0.2)], ADAPTIVE, DrawnClock())["c"]
    assert quiet.count == 12
    assert 24 <= noisy.count <= 100
    assert loud.count == 100


def test_adaptive_stops_when_the_budget_is_spent():
    spent = TimingProtocol("adaptive", warmup=20, trials=10_000, ci=1e-9, budget_s=0.0)
    assert race([contestant("c", 100, 0.1, trials=10_000)], spent, DrawnClock())["c"].count == 6


def test_who_has_enough_leaves_the_race_to_the_others():
    tracks = race([contestant("quiet", 100, 0.001), contestant("loud", 50, 0.2)], ADAPTIVE, DrawnClock())
    assert (tracks["quiet"].count, tracks["loud"].count) == (12, 100)


def test_contestants_and_places_take_turns():
    clock = DrawnClock()
    one, other = contestant("one", 100, 0.01), contestant("other", 100, 0.01)
    race([one, other], PUBLISHED, clock)
    mine = [lane in one.lanes for lane in clock.order]
    assert all(sum(mine[start : start + 4]) == 2 for start in range(0, len(mine) - 4, 4))
    places = [one.lanes.index(lane) for lane in clock.order if lane in one.lanes][:6]
    assert places == [0, 1, 2, 0, 1, 2]


def test_slow_first_runs_become_warm_up():
    times = iter([150.0] * 9 + [100.0, 100.1, 99.9, 100.2, 99.8] * 100)
    slow_start = Contestant("c", [Lane(lambda: next(times), lambda: None) for _ in range(3)], 100)
    track = race([slow_start], ADAPTIVE, DrawnClock())["c"]
    assert track.warmup == 9
    assert fmean(track.samples) == pytest.approx(100, rel=0.01)


def test_warm_up_is_bounded():
    falling = iter([200 * 0.99**n for n in range(1000)])
    track = race([Contestant("c", [Lane(lambda: next(falling), lambda: None)], 100)], ADAPTIVE, DrawnClock())["c"]
    assert track.warmup <= ADAPTIVE.warmup


def test_the_stopping_rule_keeps_its_promise():
    """Of many measurements nearly all are within the interval that was asked for."""
    means = [fmean(race([contestant("c", 100, 0.01, seed=n)], ADAPTIVE, DrawnClock())["c"].samples) for n in range(200)]
    assert sum(abs(mean / 100 - 1) < 2 * ADAPTIVE.ci for mean in means) >= 195


def test_others_on_the_device_show_between_the_runs():
    assert excess([[30.0] * 50]) == 0
    assert excess([[30.0] * 45 + [2000.0] * 5]) == pytest.approx(1 - 1500 / 11350)
    assert excess([[30.0] * 5], [(2000.0, 1000.0)]) == pytest.approx(1 - 1150 / 2150)
    assert excess([]) == 0


class FlushClock(DrawnClock):
    """Flushes take 30 µs each, and `slowed` times as long where many are enqueued at once."""

    def __init__(self, slowed: float) -> None:
        super().__init__()
        self.flushed = 0
        self.flush = self._count
        self.slowed = slowed

    def _count(self) -> None:
        self.flushed += 1

    def laps(self, lanes: Sequence[Lane]) -> list[Lap]:
        found = []
        for lane in lanes:
            before = self.flushed
            us = lane.run()
            count = self.flushed - before
            found.append(Lap(us, 30.0) if us else Lap(30.0 * count * (self.slowed if count > 1 else 1), None))
        return found


@pytest.mark.parametrize(("slowed", "share"), [(1.0, 0.0), (2.0, 0.49)])
def test_long_runs_are_accompanied_by_flushes_of_known_length(slowed, share):
    clock = FlushClock(slowed)
    tracks = race([contestant("candidate", 5000, 0.001)], ADAPTIVE, clock)
    found = doubt(tracks, clock, 0.1)
    assert found.foreign == pytest.approx(share, abs=0.02)
    assert bool(found.reason) == (slowed > 1), found.reason
    assert clock.flushed >= 0.25 * tracks["candidate"].count * 5000 / 30


class SharedClock(FlushClock):
    """Every tenth millisecond of flushes is interrupted for two milliseconds."""

    def laps(self, lanes: Sequence[Lane]) -> list[Lap]:
        found = super().laps(lanes)
        return [Lap(lap.us + 2000.0 * (number % 10 == 9 and lap.us > 900), lap.gap_us)
                for number, lap in enumerate(found)]  # fmt: skip


@pytest.mark.parametrize("clock", [FlushClock(1.0), SharedClock(1.0)])
@pytest.mark.parametrize("others", [True, False])
def test_beside_another_process_short_runs_count_only_where_it_is_idle(clock, others):
    before = clock.flushed
    tracks = race([contestant("candidate", 5, 0.001)], ADAPTIVE, clock)
    found = doubt(tracks, clock, 0.1, others=others)
    assert bool(found.reason) == (others and isinstance(clock, SharedClock)), found
    watched = clock.flushed - before
    assert watched == 0 or 900 < watched < 1100  # 30 ms, or nothing where nobody else has the device open
    assert bool(watched) == others


def test_times_that_vary_too_much_are_none():
    tracks = {"candidate": Track([[100.0, 150.0, 100.0, 160.0] * 8])}
    assert "±" in doubt(tracks, DrawnClock(), 0.1, others=False).reason


def test_a_graphs_events_are_read_before_its_next_run_and_no_sooner():
    assert read_before("abcabca") == [None, None, None, 0, 1, 2, 3]
    assert read_before("aab") == [None, 0, None]
    assert read_before([]) == []


def test_long_runs_are_fewer():
    asked = TimingProtocol("adaptive", warmup=20, trials=100, budget_s=1.0)
    track = race([contestant("c", 400_000, 0.001)], asked, DrawnClock())["c"]
    assert track.count == 6

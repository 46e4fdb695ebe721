"""Taking times alone on the device, with a clock whose times are drawn: who waits, what is refused, what is noted."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from tritonrl_core.bench.replay.race import ATTEMPTS, in_turn
from tritonrl_core.bench.replay.stopwatch import Contestant, DeviceClock, Lane, Lap
from tritonrl_core.errors import InfraError
from tritonrl_core.types import TimingProtocol

GPU = "GPU-test-no-such"


class DrawnClock(DeviceClock):
    """A device of which each lane's `run` gives the next time in microseconds; a flush takes 30."""

    def __init__(self) -> None:
        super().__init__(lambda: 30.0)

    def laps(self, lanes: Sequence[Lane]) -> list[Lap]:
        return [Lap(30.0 if lane.run == self.flush else lane.run() or 1000.0, 30.0) for lane in lanes]


class Room:
    """Counts who is alone, and whether times were taken outside."""

    def __init__(self) -> None:
        self.inside, self.entered = False, 0

    @contextmanager
    def alone(self) -> Iterator[None]:
        self.inside, self.entered = True, self.entered + 1
        yield
        self.inside = False


def entrant(room: Room, noise: float) -> Contestant:
    draw = random.Random(0)

    def run() -> float:
        assert room.inside
        return 100.0 * (1 + noise * draw.random())

    return Contestant("candidate", [Lane(run, lambda: None)], 40)


def test_times_are_taken_alone_and_say_how_they_were_had():
    room = Room()
    taken = in_turn(room.alone, GPU, [entrant(room, 0.01)], TimingProtocol("published", 5, 40, 0.1), DrawnClock())
    assert taken.tracks["candidate"].count == 40
    assert (taken.facts["attempts"], room.entered) == (1, 1)
    assert taken.facts["foreign"] < 0.02
    assert taken.facts["seconds"] >= 0
    assert taken.notes == ["clocks and throttling are not known: NVML does not answer"]


def test_times_that_vary_without_end_are_tried_again_and_then_refused():
    room = Room()
    with pytest.raises(InfraError, match=r"could not measure: the times vary"):
        in_turn(room.alone, GPU, [entrant(room, 9.0)], TimingProtocol("published", 5, 40, 0.1), DrawnClock())
    assert room.entered == ATTEMPTS
    simple = in_turn(room.alone, GPU, [entrant(room, 9.0)], TimingProtocol("simple", 5, 40, 0.1), DrawnClock())
    assert simple.tracks["candidate"].count == 40

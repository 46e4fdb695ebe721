"""Places of a fleet: each call is answered once, by another place where one is lost; a task stays at its place."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tritonrl_core.bench.places import MOST_LOSSES, Places
from tritonrl_core.errors import InfraError, PlaceLost, TaskError


class Place:
    """A place that echoes, counts, and can be lost and found by the test."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answered: Counter[str] = Counter()
        self.gone = self.closed = False
        self.go = threading.Event()
        self.go.set()

    def ask(self, call: str) -> str:
        self.go.wait(60)
        if self.gone or call == "poison":
            raise PlaceLost("cut off")
        if call == "bad":
            raise TaskError("the reference is broken")
        self.answered[call] += 1
        return f"{call} by {self.name}"

    def back(self) -> bool:
        return not self.gone

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def places(monkeypatch) -> list[Place]:
    monkeypatch.setattr("tritonrl_core.bench.places.PAUSE_S", 0.01)
    return [Place("one"), Place("two"), Place("three")]


def test_calls_go_where_there_is_least_to_do(places) -> None:
    fleet = Places(places)
    for place in places:
        place.go.clear()
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(fleet.ask, str(number)) for number in range(6)]
        while sum(fleet._load) < 6:
            pass
        assert fleet._load == [2, 2, 2]
        for place in places:
            place.go.set()
        assert all(future.result(60) for future in futures)
    assert fleet._load == [0, 0, 0]


def test_a_program_stays_at_its_place_and_programs_are_shared_out(places) -> None:
    fleet = Places(places)
    answers = {name: {fleet.ask("call", home=name) for _ in range(4)} for name in ("a", "b", "c")}
    assert all(len(found) == 1 for found in answers.values())
    assert len(set.union(*answers.values())) == 3


def test_programs_of_a_task_go_to_one_place_until_it_has_too_much_to_do(places) -> None:
    fleet = Places(places, slack=1)
    first = fleet.ask("call", home="a 1", like="a")
    assert fleet.ask("call", home="a 2", like="a") == first
    for place in places:
        place.go.clear()
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(fleet.ask, "call", f"a {number}", "a") for number in range(3, 7)]
        while sum(fleet._load) < 4:
            pass
        assert max(fleet._load) <= 2
        for place in places:
            place.go.set()
        assert len({future.result(60) for future in futures}) > 1


def test_what_a_lost_place_had_is_answered_elsewhere_once(places) -> None:
    fleet = Places(places)
    home = fleet.ask("first", home="task").split()[-1]
    lost = next(place for place in places if place.name == home)
    lost.gone = True
    other = fleet.ask("second", home="task")
    assert not other.endswith(home)
    assert sum(place.answered["second"] for place in places) == 1
    assert (fleet.losses, fleet.repeated, fleet.alive) == (1, 1, 2)


def test_a_place_that_comes_back_is_used_again(places) -> None:
    fleet = Places(places)
    for place in places:
        place.gone = True
    threading.Timer(0.2, lambda: setattr(places[1], "gone", False)).start()
    assert fleet.ask("call").endswith("two")
    assert fleet.alive == 1


def test_a_call_that_takes_every_place_with_it_is_a_fault_and_the_others_go_on(places) -> None:
    fleet = Places(places)
    with pytest.raises(InfraError, match=f"{MOST_LOSSES} places were lost with the same call"):
        fleet.ask("poison")
    assert fleet.ask("call").startswith("call by")


def test_what_a_place_raises_is_raised_and_asked_nowhere_else(places) -> None:
    fleet = Places(places)
    with pytest.raises(TaskError, match="broken"):
        fleet.ask("bad")
    assert fleet.repeated == 0


def test_a_fleet_that_stays_away_is_a_fault(places) -> None:
    for place in places:
        place.gone = True
    with pytest.raises(InfraError, match="3 places"):
        Places(places, patience_s=0.1).ask("call")


def test_a_closed_fleet_closes_its_places_and_answers_nothing(places) -> None:
    fleet = Places(places)
    fleet.close()
    fleet.close()
    assert all(place.closed for place in places)
    with pytest.raises(InfraError, match="closed"):
        fleet.ask("call")

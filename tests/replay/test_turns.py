"""Whose turn it is: jobs come in order, go where they are known, and none waits for ever."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tritonrl_core.bench.replay.turns import Turns


def test_a_worker_takes_first_what_it_has_worked_on():
    turns = Turns(2)
    with turns.one("a") as first:
        pass
    with turns.one("b") as second:
        pass
    assert {first, second} == {0, 1}
    for name, worker in (("b", second), ("a", first), ("a", first), ("b", second)):
        with turns.one(name) as taken:
            assert taken == worker


def test_nobody_is_passed_over_for_ever():
    turns = Turns(1)
    done = []
    with turns.one("mine"):
        stranger = threading.Thread(target=lambda: _enter(turns, "other", done))
        stranger.start()
        while len(turns._waiting) < 1:
            time.sleep(0.001)
        others = ThreadPoolExecutor(40)
        for _ in range(40):
            others.submit(lambda: _enter(turns, "mine", done))
        while len(turns._waiting) < 41:
            time.sleep(0.001)
    others.shutdown()
    stranger.join()
    assert len(done) == 41
    assert done.index("other") <= Turns.LOOK + 1


def _enter(turns: Turns, near: str, done: list[str]) -> None:
    with turns.one(near):
        done.append(near)


def test_one_worker_serves_one_at_a_time():
    turns, busy, most = Turns(3), 0, 0
    lock, three = threading.Lock(), threading.Barrier(3, timeout=60)

    def use(number: int) -> None:
        nonlocal busy, most
        with turns.one(str(number % 5)):
            with lock:
                busy += 1
                most = max(most, busy)
            three.wait()
            with lock:
                busy -= 1

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(use, range(201)))
    assert (busy, most) == (0, 3)


def test_who_wants_one_worker_only_waits_for_it_and_lets_others_pass():
    turns = Turns(2)
    with turns.one("time t", only=True) as mine:
        waiting = ThreadPoolExecutor(1).submit(lambda: _number(turns, "time t"))
        while len(turns._waiting) < 1:
            time.sleep(0.001)
        with turns.one("other") as other:
            assert other != mine
        assert not waiting.done()
    assert waiting.result() == mine
    with turns.one("time u", only=True), turns.one("time t", only=True) as again:
        assert again == mine


def _number(turns: Turns, near: str) -> int:
    with turns.one(near, only=True) as number:
        return number

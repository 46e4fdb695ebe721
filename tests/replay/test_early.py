"""What is begun early: what is light where cores are idle, what is heavy at once, and never more than fits."""

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tritonrl_core.bench.early import HEAVY, Early


@pytest.fixture
def stop():
    """What is under way in a test goes on until the test lets it."""
    event = threading.Event()
    yield event
    event.set()


def test_work_is_begun_while_cores_are_idle_and_never_more_than_half_of_them(stop):
    early = Early(4)
    with early.asked():
        first, second, third = (early.wish(lambda: stop.wait(20)) for _ in range(3))
        assert first.begun
        assert second.begun
        assert not third.begun
        assert early.take(third) is None
        stop.set()
        assert early.take(first)
        assert early.take(second)
    early.close()


def test_what_was_wished_for_in_a_full_batch_is_begun_when_cores_fall_idle_the_heaviest_first():
    early, begun = Early(2), []
    with early.asked(), early.asked():
        light = early.wish(lambda: begun.append("light") or 1)
        heavier = early.wish(lambda: begun.append("heavier") or 2, 7)
        assert not light.begun
        assert not heavier.begun
    assert early.take(heavier) == 2
    assert wait_for(lambda: light.begun)
    assert early.take(light) == 1
    assert begun == ["heavier", "light"]
    early.close()


def test_what_is_heavy_is_begun_although_all_cores_are_busy():
    early = Early(4)
    with early.asked(), early.asked(), early.asked(), early.asked():
        light, heavy = early.wish(lambda: 1, HEAVY - 1), early.wish(lambda: 2, HEAVY)
        assert early.take(heavy) == 2
        assert early.take(light) is None
    early.close()


def test_where_what_is_heavy_is_not_asked_for_in_the_end_it_waits_like_the_others():
    early = Early(2)
    with early.asked(), early.asked():
        unused = [done(early.wish(lambda: 1, HEAVY)) for _ in range(40)]
        tried = sum(wish.begun is not None for wish in unused)
        assert 1 <= tried < 10
        assert [early.take(wish) for wish in unused] == [1] * tried + [None] * (40 - tried)
        assert early.wish(lambda: 1, HEAVY).begun
    early.close()


def test_what_nobody_holds_any_more_is_not_begun():
    early, begun = Early(2), []
    with early.asked(), early.asked():
        early.wish(lambda: begun.append("nobody's"))
        kept = early.wish(lambda: begun.append("mine") or True)
        gc.collect()
    assert early.take(kept)
    early.close()
    assert begun == ["mine"]


def test_what_was_wished_for_long_ago_is_not_begun(monkeypatch):
    early = Early(2)
    with early.asked(), early.asked():
        old = early.wish(lambda: "old")
        monkeypatch.setattr("tritonrl_core.bench.early.LATEST_S", -1.0)
    assert early.take(old) is None
    early.close()


def test_on_one_core_nothing_is_begun_beside_what_was_asked_for():
    early = Early(1)
    with early.asked():
        assert early.take(early.wish(lambda: True, HEAVY)) is None
    early.close()


def test_what_fails_is_told_to_who_asks_for_it_and_counts_no_more():
    early = Early(2)

    def fail() -> None:
        raise ValueError("no")

    for _ in range(5):
        with early.asked(), pytest.raises(ValueError, match="no"):
            early.take(early.wish(fail))
    early.close()


def test_many_threads_may_wish_and_take():
    early = Early(8)

    def one(number: int) -> int | None:
        with early.asked():
            wish = early.wish(lambda: number, number % 3 * HEAVY)
        return early.take(wish)

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(one, range(400)))
    assert all(answer in (None, number) for number, answer in enumerate(found))
    assert any(answer is not None for answer in found)
    with early.asked():
        assert early.take(early.wish(lambda: "all cores are idle again")) == "all cores are idle again"
    early.close()


def done(wish):
    if wish.begun:
        wish.begun.result(20)
    return wish


def wait_for(happened: Callable[[], object], tries: int = 2000) -> bool:
    pause = threading.Event()
    return any(happened() or pause.wait(0.005) for _ in range(tries))

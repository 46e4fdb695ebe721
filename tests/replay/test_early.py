"""What is begun early: only where cores are idle, never more than fits, and what fails fails for who asks."""

import threading

import pytest

from tritonrl_core.bench.early import Early


def test_work_is_begun_while_cores_are_idle_and_not_beside_a_full_batch():
    early, go = Early(4), threading.Event()
    with early.asked():
        first, second = early.begin(lambda: go.wait(20)), early.begin(lambda: go.wait(20))
        assert first is not None
        assert second is not None
        assert early.begin(lambda: True) is None
        go.set()
        assert first.result(20)
        assert second.result(20)
        with early.asked(), early.asked():
            assert early.begin(lambda: True) is None
        again = early.begin(lambda: 7)
        assert again is not None
        assert again.result(20) == 7
    early.close()


def test_on_one_core_nothing_is_begun_beside_what_was_asked_for():
    early = Early(1)
    with early.asked():
        assert early.begin(lambda: True) is None
    early.close()


def test_what_fails_is_told_to_who_asks_for_it_and_counts_no_more():
    early = Early(2)

    def fail() -> None:
        raise ValueError("no")

    for _ in range(5):
        with early.asked():
            begun = early.begin(fail)
            assert begun is not None
            with pytest.raises(ValueError, match="no"):
                begun.result(20)
    early.close()

"""Who may use a GPU now: many at a time or one alone, across processes, and nobody waits for ever."""

import json
import os
import signal
import subprocess
import sys
import time

from tritonrl_core.bench.replay.traffic import SHARED, Traffic, locks, names

USER = """
import json, sys, time
from tritonrl_core.bench.replay.traffic import Traffic
waits = []
traffic = Traffic([int(sys.argv[1]), int(sys.argv[2])], waits.append)
found = []
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[4])):
    with traffic.shared():
        began = time.monotonic()
        if number == 0:
            print("in", flush=True)
            sys.stdin.readline()
        time.sleep(0.002)
        found.append(["shared", began, time.monotonic()])
        if sys.argv[3] == "alone" and number % 5 == 0:
            with traffic.alone():
                began = time.monotonic()
                time.sleep(0.004)
                found.append(["alone", began, time.monotonic()])
print(json.dumps([found, waits]))
"""


def user(fds, kind: str, count: int) -> subprocess.Popen:
    command = [sys.executable, "-c", USER, *map(str, fds), kind, str(count)]
    made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=fds)
    assert made.stdout.readline() == "ready\n"
    return made


def tell(made: subprocess.Popen) -> None:
    made.stdin.write("go\n")
    made.stdin.flush()


def test_many_share_and_one_is_alone():
    fds = locks()
    users = [user(fds, kind, 40) for kind in ("shared", "shared", "alone", "alone")]
    for made in users:
        tell(made)
    for made in users:
        assert made.stdout.readline() == "in\n", "all are in at once: none leaves before it is told"
    for made in users:
        tell(made)
    said = [json.loads(made.communicate(timeout=60)[0]) for made in users]
    spans = [(number, *span) for number, (found, _) in enumerate(said) for span in found]
    for number, kind, begin, end in spans:
        for other, what, first, last in spans:
            if other != number and begin < last and first < end:
                assert "alone" not in (kind, what)
    for _, waits in said:
        assert waits == [True, False] * (len(waits) // 2)
    for fd in fds:
        os.close(fd)


def test_what_a_killed_process_held_is_free():
    fds = locks()
    held = user(fds, "shared", 1)
    mine = Traffic(fds)
    tell(held)
    assert held.stdout.readline() == "in\n"
    held.kill()
    with mine.shared(), mine.alone():
        assert held.wait() == -signal.SIGKILL
    mine.close()
    for fd in fds:
        os.close(fd)


def test_one_who_works_lets_one_who_wants_to_be_alone_go_first():
    fds = locks()
    mine, settled = Traffic(fds), []
    with mine.shared():
        assert not mine.give_way(lambda: settled.append(True))
        assert mine.waited_s == 0
        other = user(fds, "alone", 1)
        tell(other)
        tell(other)
        assert other.stdout.readline() == "in\n"
        began = time.monotonic()
        while not mine.give_way(lambda: settled.append(time.monotonic())):
            assert time.monotonic() - began < 60
            time.sleep(0.001)
        found, _ = json.loads(other.communicate(timeout=60)[0])
        alone = [span for span in found if span[0] == "alone"]
        assert settled[0] <= alone[0][1]
        assert alone[0][2] <= time.monotonic()
        assert mine.waited_s > 0.003  # he was alone for four milliseconds
    with mine.shared(), mine.alone():
        assert not mine.give_way()
    mine.close()
    for fd in fds:
        os.close(fd)


def test_benches_of_several_programs_take_turns_by_locks_that_they_are_told_of(monkeypatch):
    kept = locks()
    monkeypatch.setenv(SHARED, names(kept))
    mine, theirs = locks(), locks()
    one, other = Traffic(mine), user(theirs, "alone", 1)
    with one.shared(), one.alone():
        tell(other)
        time.sleep(0.2)
        until = time.monotonic()
    assert other.stdout.readline() == "in\n"
    tell(other)
    found, waits = json.loads(other.communicate(timeout=60)[0])
    assert waits[:2] == [True, False], "it waited for the other bench"
    assert min(first for _, first, _ in found) >= until
    one.close()
    for fd in (*kept, *mine, *theirs):
        os.close(fd)

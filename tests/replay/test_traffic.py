"""Who may use a GPU now: many at a time or one alone, across processes, and nobody waits for ever."""

import json
import os
import signal
import subprocess
import sys
import time

from tritonrl_core.bench.gpu_traffic import Traffic, locks

USER = """
import json, sys, time
from tritonrl_core.bench.gpu_traffic import Traffic
waits = []
traffic = Traffic([int(sys.argv[1]), int(sys.argv[2])], waits.append)
found = []
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[4])):
    with traffic.shared():
        began = time.monotonic()
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


def test_many_share_and_one_is_alone():
    fds = locks()
    users = [user(fds, kind, 40) for kind in ("shared", "shared", "alone", "alone")]
    for made in users:
        made.stdin.write("go\n")
        made.stdin.flush()
    said = [json.loads(made.communicate(timeout=60)[0]) for made in users]
    spans = [(number, *span) for number, (found, _) in enumerate(said) for span in found]
    overlaps = 0
    for number, kind, begin, end in spans:
        for other, what, first, last in spans:
            if other != number and begin < last and first < end:
                overlaps += 1
                assert "alone" not in (kind, what)
    assert overlaps > 0
    for _, waits in said:
        assert waits == [True, False] * (len(waits) // 2)
    for fd in fds:
        os.close(fd)


def test_what_a_killed_process_held_is_free():
    fds = locks()
    held = user(fds, "shared", 1)
    mine = Traffic(fds)
    script = USER.replace("time.sleep(0.002)", "print('in', flush=True); time.sleep(60)")
    stuck = subprocess.Popen([sys.executable, "-c", script, *map(str, fds), "shared", "1"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=fds)  # fmt: skip
    assert stuck.stdout.readline() == "ready\n"
    stuck.stdin.write("go\n")
    stuck.stdin.flush()
    assert stuck.stdout.readline() == "in\n"
    os.kill(stuck.pid, signal.SIGKILL)
    began = time.monotonic()
    with mine.shared(), mine.alone():
        assert time.monotonic() - began < 10
    for made in (stuck, held):
        made.kill()
        made.wait()
    mine.close()
    for fd in fds:
        os.close(fd)


def test_one_who_works_lets_one_who_wants_to_be_alone_go_first():
    fds = locks()
    mine, settled = Traffic(fds), []
    with mine.shared():
        assert not mine.give_way(lambda: settled.append(True))
        other = user(fds, "alone", 1)
        other.stdin.write("go\n")
        other.stdin.flush()
        began = time.monotonic()
        while not mine.give_way(lambda: settled.append(time.monotonic())):
            assert time.monotonic() - began < 20
            time.sleep(0.001)
        found, _ = json.loads(other.communicate(timeout=30)[0])
        alone = [span for span in found if span[0] == "alone"]
        assert settled[0] <= alone[0][1]
        assert alone[0][2] <= time.monotonic()
    with mine.shared(), mine.alone():
        assert not mine.give_way()
    mine.close()
    for fd in fds:
        os.close(fd)

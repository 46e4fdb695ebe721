"""Many hostile jobs in one worker process, an honest one after each, and what is left at the end.

    python hostile.py --tier A --jobs 60

Used by test_leaks.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "escapes"))

import column
from attack import ATTACKS
from lab import on, run
from world import make_folder

from tritonrl_plugin_sandbox.scratch import empty

QUICK_S = 1.0
"""Attacks with a longer deadline are left out: they would only be waited for."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tier", default="A")
    parser.add_argument("--jobs", type=int, default=60)
    chosen = parser.parse_args()
    random.seed(7)
    folder = make_folder()
    bystander = os.fork()
    if bystander == 0:
        while True:
            time.sleep(60)
    parameters = column_parameters(folder, bystander)
    box = on(chosen.tier)
    cases = [case for case in ATTACKS.values() if case.wall_s <= QUICK_S or case.group not in ("resources", "signals")]
    mixed = [random.choice(cases) for _ in range(chosen.jobs)]
    once(box, mixed[0], parameters)
    before, outcomes, honest = state(), Counter(), Counter()
    for case in mixed:
        outcomes[once(box, case, parameters).outcome] += 1
        answer = run(box, lambda: sum(range(1000)))
        honest[f"{answer.outcome} {answer.payload.decode()}"] += 1
    after = state()
    os.kill(bystander, signal.SIGKILL)
    os.waitpid(bystander, 0)
    empty(str(folder))
    folder.rmdir()
    print(json.dumps({"jobs": sum(outcomes.values()), "outcomes": outcomes, "honest": honest, "before": before,
                      "after": after}))  # fmt: skip


def once(box, case, parameters):
    w = column.told(parameters)
    return run(box, lambda: column.loot(case.body(w)), case.profile, wall_s=min(case.wall_s, QUICK_S), cpu_s=case.cpu_s,
               memory_bytes=case.memory_mb << 20, output_bytes=case.output_kb << 10)  # fmt: skip


def column_parameters(folder, bystander):
    """The names that attacks use, on canaries that nobody looks at: only what is left in the system counts here."""
    for name in ("secret", "victim", "scores", "neighbour"):
        (folder / name).write_bytes(b"x")
    (folder / "open").mkdir(mode=0o777)
    (folder / "mount").mkdir()
    (folder / "software").mkdir()
    (folder / "software" / "module.py").write_text("x = 1")
    nobody = dict.fromkeys(("tcp", "tcp6", "udp"), 9) | dict.fromkeys(("shm_id", "spare_shm_id"), 1 << 30)
    memory = {"address": 4096, "length": 16, "scribble": 4096, "secret_fd": 99}
    return {
        **nobody, **memory, "secret": str(folder / "secret"), "victim": str(folder / "victim"),
        "neighbour": str(folder / "neighbour"), "scores": str(folder / "scores"), "open_folder": str(folder / "open"),
        "mount_point": str(folder / "mount"), "software": str(folder / "software"), "home": "/nonexistent",
        "software_victim": str(folder / "software" / "module.py"), "core": str(folder), "tag": folder.name,
        "shm_file": "/dev/shm/none", "marker": "none", "unix": str(folder / "unix"), "again": True,
        "unix_datagram": str(folder / "unix"), "abstract": folder.name, "bystander": bystander, "verifier": bystander,
        "dispatcher": os.getpid(), "scratch": str(folder),
    }  # fmt: skip


def state():
    """Everything that a job could leave behind, as this process sees it."""
    me = os.getpid()
    return {
        "children": len(Path(f"/proc/self/task/{me}/children").read_text().split()),
        "descriptors": sorted(os.listdir("/proc/self/fd"), key=int)[:-1],
        "mounts": len(Path("/proc/self/mounts").read_text().splitlines()),
        "IPC objects": [len(Path(f"/proc/sysvipc/{kind}").read_text().splitlines()) for kind in ("shm", "sem", "msg")],
        "files": sorted(path.name for path in Path("/tmp").glob(f"tritonrl-sandbox-{me}-*")),
        "threads": len(os.listdir("/proc/self/task")),
        "ours": len(list(Path("/dev/shm").glob("tritonrl-escape-*"))),
    }


if __name__ == "__main__":
    main()

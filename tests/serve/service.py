"""A service in a process of its own, for tests that kill it: real HTTP, real store, a judge that takes 30 ms.

python service.py PORT FOLDER    appends the code of everything judged to FOLDER/judged.txt
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import uvicorn

from tritonrl_core.serve.app import Served, make_app
from tritonrl_core.serve.desk import Desk
from tritonrl_core.serve.run import _server, open_store
from tritonrl_core.testing import sample_score, sample_task
from tritonrl_core.types import Candidate, Score, Status, Task


def main(port: int, folder: Path) -> None:
    folder.mkdir(exist_ok=True)

    def judge(task: Task, candidate: Candidate) -> Score:
        time.sleep(0.01)
        status = next((one for one in (Status.WRONG, Status.INFRA) if one.value in candidate.code), Status.PASSED)
        score = replace(sample_score(status), candidate=candidate, task_id=task.id, task_key=task.key)
        with (folder / "judged.txt").open("a") as file:
            file.write(candidate.code + "\n")
        return score

    run = open_store(folder / "store", {"name": "test"}, {})
    desk = Desk(judge, run, capacity=1000, workers=2)
    task = sample_task()
    app = make_app(Served(desk, {task.id: task}, "test", run.verification))
    config = uvicorn.Config(app, port=port, log_level="error", lifespan="off", timeout_graceful_shutdown=30)
    try:
        _server(config, desk).run()
    finally:
        desk.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

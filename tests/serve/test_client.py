"""The client: a service that is killed, ended or away in the middle of a batch loses nothing, judges nothing twice."""

from __future__ import annotations

import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from tritonrl_core.errors import InfraError, UsageError
from tritonrl_core.preset import load_preset
from tritonrl_core.serve.client import RemoteReward, RemoteVerifier
from tritonrl_core.testing import sample_task
from tritonrl_core.types import Candidate, Status

SERVICE = Path(__file__).parent / "service.py"
TASK = sample_task()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def start(port, tmp_path):
    """Start the service, again and again on the same folder; all are dead afterwards."""
    started = []

    def go() -> subprocess.Popen:
        started.append(subprocess.Popen([sys.executable, str(SERVICE), str(port), str(tmp_path / "service")]))
        return started[-1]

    yield go
    for process in started:
        process.kill()
        process.wait()


def judged(tmp_path: Path) -> Counter:
    path = tmp_path / "service" / "judged.txt"
    return Counter(path.read_text().split()) if path.exists() else Counter()


def batch(count: int) -> list:
    return [(TASK, Candidate.from_code(f"code_{number}")) for number in range(count)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_service_that_goes_and_comes_back_loses_nothing(how, start, port, tmp_path) -> None:
    """Killed twice under load, by two clients at once; what was told to a client is never judged again."""
    services = [start()]
    told: set[str] = set()

    def kill_and_restart() -> None:
        for wanted in (40, 120):
            while sum(judged(tmp_path).values()) < wanted:
                time.sleep(0.01)
            services[-1].send_signal(how)
            services[-1].wait()
            before.append((set(told), judged(tmp_path)))
            services.append(start())

    before: list[tuple[set[str], Counter]] = []
    results: dict[str, list] = {}
    jobs = batch(200)

    def ask(name: str, mine: list) -> None:
        with RemoteVerifier(f"http://127.0.0.1:{port}", patience_s=60, chunk=64) as verifier:
            results[name] = verifier.verify_batch(mine, on_score=lambda _, score: told.add(score.candidate.code))

    threads = [threading.Thread(target=kill_and_restart)]
    threads += [threading.Thread(target=ask, args=(str(n), jobs[n * 80 : n * 80 + 120])) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(500)
        assert not thread.is_alive()
    for name, mine in (("0", jobs[:120]), ("1", jobs[80:200])):
        assert [score.candidate.code for score in results[name]] == [candidate.code for _, candidate in mine]
        assert {score.verdict.status for score in results[name]} == {Status.PASSED}
    counts = judged(tmp_path)
    assert set(counts) == {candidate.code for _, candidate in jobs}
    twice = {code for code, times in counts.items() if times > 1}
    again = {code for done, then in before for code in done if counts[code] > then[code]}
    assert not again, "a verdict that a client had was judged again"
    assert how is signal.SIGKILL or not twice, "work in hand at SIGTERM is finished, not done again"


def test_a_service_that_ends_by_sigterm_ends_well(start, port) -> None:
    service = start()
    with RemoteVerifier(f"http://127.0.0.1:{port}", patience_s=30) as verifier:
        assert len(verifier.verify_batch(batch(3))) == 3
        service.terminate()
        assert service.wait(20) in (0, -signal.SIGTERM)


def test_a_service_that_stays_away_is_a_fault_with_its_address(port) -> None:
    with RemoteVerifier(f"http://127.0.0.1:{port}", patience_s=0.5) as verifier:
        with pytest.raises(InfraError, match=f"127.0.0.1:{port}: no verdict for"):
            verifier.verify_batch(batch(1))
        with pytest.raises(InfraError, match="does not answer"):
            verifier.health()


def test_what_is_no_address_is_the_users_to_mend() -> None:
    with pytest.raises(UsageError, match="localhost:8686 is no address of a service") as caught:
        RemoteVerifier("localhost:8686")
    assert "http://" in caught.value.remedy


def test_what_the_service_refuses_is_said_at_once(start, port) -> None:
    start()
    own = RemoteVerifier(f"http://127.0.0.1:{port}", patience_s=30)
    with own, pytest.raises(UsageError, match="no task 'elsewhere'"):
        own.verify(sample_task(id="elsewhere"), "code")
    theirs = RemoteVerifier(f"http://127.0.0.1:{port}", patience_s=30, references=True)
    with theirs, pytest.raises(UsageError, match="its own tasks only"):
        theirs.verify(TASK, "code")


def test_a_reward_function_can_be_pickled_and_used_elsewhere(start, port) -> None:
    start()
    settings = load_preset("baseline").reward
    reward = RemoteReward(f"http://127.0.0.1:{port}", {TASK.id: TASK}, "correctness", settings, patience_s=30)
    again = pickle.loads(pickle.dumps(reward))
    chat = [{"role": "assistant", "content": "```python\ncode_2```"}]
    assert again(completions=["```python\ncode_1```", chat], task_id=[TASK.id, TASK.id], prompts=["", ""]) == [1.0, 1.0]
    assert again.__name__ == "tritonrl_correctness"

"""A training run whose candidates are judged by a service, end to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("fastapi")

from tritonrl_core.errors import UsageError
from tritonrl_core.preset import load_preset
from tritonrl_core.runs import read_scores
from tritonrl_core.serve.client import RemoteReward, RemoteVerifier
from tritonrl_core.train.opening import check, open_verifier
from tritonrl_core.types import Score, Status

TRITONRL = [sys.executable, "-c", "from tritonrl_core.cli import main; main()"]
SHARED = ["--preset", "baseline", "--set", "verifier.device=cpu"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
STEPS, COMPLETIONS, BEFORE = 2, 16, 4


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_preset_with_a_url_is_judged_there() -> None:
    preset = load_preset("baseline", ["verifier.url=http://127.0.0.1:1"])
    verifier = open_verifier(preset, session=None, known=())
    assert isinstance(verifier, RemoteVerifier)
    assert verifier.url == "http://127.0.0.1:1"
    verifier.close()


def test_a_service_that_is_not_there_is_said_before_anything_is_made() -> None:
    with pytest.raises(UsageError, match=r"verifier\.url: http://127\.0\.0\.1:1 does not answer"):
        check(load_preset("baseline", ["verifier.url=http://127.0.0.1:1"]))


@pytest.fixture
def service(tmp_path):
    """`tritonrl serve` on a free port, with a real bench; `start()` starts it (again) on the same store."""
    port = free_port()
    command = [*TRITONRL, "serve", *SHARED, "--port", str(port), "--store", str(tmp_path / "store")]
    started: list[subprocess.Popen] = []

    def start() -> subprocess.Popen:
        process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
        started.append(process)
        while "listening" not in (line := process.stderr.readline()):
            assert line, "the service ended before it listened"
        return process

    yield SimpleNamespace(url=f"http://127.0.0.1:{port}", start=start, store=tmp_path / "store")
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nano_learns_from_a_service_that_is_killed_and_started_again(service, tmp_path: Path) -> None:
    """A training run of its own, end to end; the service is killed when it has given some of the verdicts."""
    first = service.start()
    changes = [
        f"train.grpo.max_steps={STEPS}",
        f"train.grpo.per_device_train_batch_size={COMPLETIONS}",
        f"verifier.url={service.url}",
    ]
    command = ["train", *SHARED, "--no-eval", "--out", str(tmp_path / "run")]
    command += [part for change in changes for part in ("--set", change)]
    training = subprocess.Popen([*TRITONRL, *command], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        while len(list(read_scores(service.store))) < BEFORE:
            assert training.poll() is None, training.stderr.read()[-3000:]
            time.sleep(0.02)
        first.kill()
        first.wait()
        given = {key(score) for score in read_scores(service.store)}
        second = service.start()
        _, said = training.communicate(timeout=600)
        assert training.returncode == 0, said[-3000:]
        second.send_signal(signal.SIGTERM)
        second.wait(60)
    finally:
        training.kill()
    trained, served = list(read_scores(tmp_path / "run")), list(read_scores(service.store))
    assert len(trained) == STEPS * COMPLETIONS
    assert Counter(score.verdict.status for score in trained)[Status.INFRA] == 0
    assert {key(s): s.verdict.status for s in trained} == {key(s): s.verdict.status for s in served}
    assert len({key(score) for score in served}) == len(served), "nothing was judged twice"
    assert BEFORE <= len(given) < len(served), "it was killed in between"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_trl_itself_trains_with_the_reward(service, tmp_path: Path) -> None:
    """TRL's own GRPOTrainer, nothing of ours but the reward function: two steps of nano."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    from tritonrl_core.models import resolve_model

    service.start()
    with RemoteVerifier(service.url) as verifier:
        tasks = [verifier.task(line["id"]) for line in verifier.tasks(split="train", level=1)[:4]]
    data = Dataset.from_list([{"prompt": task["compact"], "task_id": task["id"]} for task in tasks])
    folder = resolve_model("nano")
    torch.manual_seed(0)
    reward = RemoteReward(service.url)
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(folder),
        reward_funcs=reward, train_dataset=data,
        args=GRPOConfig(
            output_dir=str(tmp_path / "trl"), max_steps=STEPS, per_device_train_batch_size=8, num_generations=4,
            max_completion_length=256, learning_rate=1e-4, logging_steps=1, report_to=[], use_cpu=True, bf16=False,
            save_strategy="no", seed=0,
        ),
    )  # fmt: skip
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if f"rewards/{reward.__name__}/mean" in entry]
    served = {key(score): score for score in read_scores(service.store)}
    assert len(logged) == STEPS
    assert served
    assert {score.task_id for score in served.values()} <= {task["id"] for task in tasks}
    passed = any(score.verdict.status is Status.PASSED for score in served.values())
    assert passed == any(entry["reward"] > 0 for entry in logged)


def key(score: Score) -> tuple[str, str]:
    return score.task_key, score.candidate.key


@pytest.mark.slow
@pytest.mark.parametrize("plugins", ["[]", "[sandbox]"])
def test_beyond_loopback_it_listens_where_candidates_are_confined_and_clients_known(plugins: str, tmp_path) -> None:
    """`tritonrl serve` on every address: refused without a sandbox; with one, only the token's holder gets in."""
    from tritonrl_plugin_sandbox.report import host_report

    tier = host_report().tier if plugins == "[sandbox]" else "none"
    token, port = "0123456789abcdef0123", free_port()
    command = [*TRITONRL, "serve", *SHARED, "--set", f"plugins={plugins}", "--host", "0.0.0.0", "--port", str(port)]
    environment = {**ENVIRONMENT, "TRITONRL_TOKEN": token}
    with subprocess.Popen(
        [*command, "--store", str(tmp_path / "store")], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        said = ""
        while "listening" not in said and (line := process.stderr.readline()):
            said += line
        try:
            if tier[:1] not in ("A", "B"):
                assert process.wait(60) == 2
                assert "can be reached from other machines, and candidates would run with sandbox" in said
                return
            assert "listening" in said
            stranger = RemoteVerifier(f"http://127.0.0.1:{port}", token="wrong")
            with stranger, pytest.raises(UsageError, match="not the service's token"):
                stranger.tasks()
            with RemoteVerifier(f"http://127.0.0.1:{port}", token=token) as known:
                assert known.tasks()
                assert known.health()["bench"]["sandbox"][:1] in ("A", "B")
        finally:
            process.terminate()
            process.wait(60)

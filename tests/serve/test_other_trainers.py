"""Other trainers over the service: TRL itself, and verl and verifiers against the real packages where they are.

Those two want other versions of what is installed here. `make test-trainers` puts each into an environment of its own
and names its Python; without that, verl's calls are made as its reward managers make them, by the same keywords.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from tritonrl_core.errors import InfraError, UsageError
from tritonrl_core.serve import verl
from tritonrl_core.serve.client import RemoteReward, RemoteVerifier
from tritonrl_core.testing import sample_task

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
TASK = sample_task()
RIGHT, WRONG, FAULT = (f"<plan>\np\n</plan>\n```python\n# {word}\n```" for word in ("right", "WRONG", "INFRA"))


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A service whose judge goes by a word in the code."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(HERE / "service.py"), str(port), str(tmp_path_factory.mktemp("service"))]
    service = subprocess.Popen(command)
    with RemoteVerifier(address, patience_s=60) as verifier:
        verifier.verify(TASK, "# ready")
    yield address
    service.kill()
    service.wait()


def test_tasks_are_told_with_what_a_model_is_asked(url) -> None:
    with RemoteVerifier(url) as verifier:
        [line] = verifier.tasks(level=TASK.level)
        assert line["id"] == TASK.id
        assert verifier.tasks(split="held_out") == []
        task = verifier.task(TASK.id)
        assert task["source"] == TASK.source
        assert [message["role"] for message in task["messages"]] == ["system", "user"]
        assert task["compact"].endswith("<|sol|>")
        with pytest.raises(UsageError, match="no task 'elsewhere'"):
            verifier.task("elsewhere")
    with pytest.raises(InfraError, match="does not answer"):
        RemoteVerifier("http://127.0.0.1:1").tasks()


def test_a_task_by_its_name_alone_is_the_services(url) -> None:
    with RemoteVerifier(url) as verifier:
        score = verifier.verify(TASK.id, "# right")
    assert (score.task_id, score.task_key) == (TASK.id, TASK.key)


def test_a_reward_needs_names_only(url) -> None:
    """As TRL calls it: columns of the dataset by keyword, None for what is left out."""
    reward = RemoteReward(url, part="correctness")
    given = {"completions": [RIGHT, WRONG, FAULT], "task_id": [TASK.id] * 3, "prompts": [""] * 3, "trainer_state": None}
    assert reward(**given) == [1.0, 0.0, None]


def test_verl_scores_one_and_a_batch(url) -> None:
    """The keywords of its reward managers `naive` and `batch`."""
    one = verl.compute_score(
        data_source="kernels", solution_str=RIGHT, ground_truth=TASK.id, extra_info={"num_turns": 1}, url=url,
        reward_router_address=None,
    )  # fmt: skip
    assert one["score"] == one["correctness"] + one["speed"]
    assert (one["correct"], one["infra"]) == (1.0, 0.0)
    many = verl.compute_scores(
        data_sources=["k"] * 3, solution_strs=[RIGHT, WRONG, FAULT], ground_truths=[TASK.id] * 3, extra_infos=[{}] * 3,
        url=url,
    )  # fmt: skip
    assert many[0] == one
    assert (many[1]["score"], many[1]["infra"]) == (0.0, 0.0)
    assert (many[2]["score"], many[2]["infra"]) == (0.0, 1.0)


def test_verl_without_an_address_says_where_to_give_one(monkeypatch) -> None:
    monkeypatch.delenv(verl.URL, raising=False)
    with pytest.raises(UsageError, match="no verifier service is named"):
        verl.compute_score("k", RIGHT, TASK.id)


def run_in(variable: str, script: str, *arguments: str, folder: Path) -> list:
    """The last line, as JSON, of a script in the environment that a variable names."""
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} names no Python (make test-trainers)")
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    environment = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{folder}", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [python, str(path), *arguments], env=environment, capture_output=True, text=True, timeout=550, cwd=folder
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
def test_the_real_verl_loads_and_calls_it(url, tmp_path) -> None:
    """verl's own loader of custom reward functions and its reward manager, on a batch of its own kind."""
    script = """
        import json, sys
        import numpy as np, torch
        from omegaconf import OmegaConf
        from verl import DataProto
        from verl.trainer.ppo.reward import get_custom_reward_fn
        from verl.workers.reward_manager.naive import NaiveRewardManager

        url, task, *texts = sys.argv[1:]
        config = OmegaConf.create({"reward": {"custom_reward_function": {
            "path": "pkg://tritonrl_core.serve.verl", "name": "compute_score", "reward_kwargs": {"url": url}}}})

        class Tokenizer:  # the batch holds the place of a text in a list
            eos_token = ""
            def decode(self, ids, skip_special_tokens=True):
                return texts[int(ids[0])] if len(ids) and int(ids[0]) < len(texts) else ""

        count = len(texts)
        batch = DataProto.from_dict(
            tensors={"prompts": torch.full((count, 1), 99), "responses": torch.arange(count)[:, None],
                     "attention_mask": torch.ones(count, 2, dtype=torch.long)},
            non_tensors={"data_source": np.array(["kernels"] * count, dtype=object),
                         "reward_model": np.array([{"ground_truth": task}] * count, dtype=object),
                         "extra_info": np.array([{} for _ in range(count)], dtype=object)})
        manager = NaiveRewardManager(Tokenizer(), 0, get_custom_reward_fn(config))
        found = manager(batch, return_dict=True)
        infra = [float(one) for one in found["reward_extra_info"]["infra"]]
        print(json.dumps([found["reward_tensor"].sum(-1).tolist(), infra]))
    """
    rewards, infra = run_in("VERL_PYTHON", script, url, TASK.id, RIGHT, WRONG, FAULT, folder=tmp_path)
    expected = verl.compute_scores(["k"] * 3, [RIGHT, WRONG, FAULT], [TASK.id] * 3, url=url)
    assert rewards == pytest.approx([score["score"] for score in expected])
    assert infra == [0.0, 0.0, 1.0]


@pytest.mark.slow
def test_the_real_verifiers_loads_and_scores_with_it(url, tmp_path) -> None:
    """Its loaders find the taskset; its task scores traces, each with a reply. (Its harnesses fetch packages when
    they start, so no episode is played here.)"""
    names = "from tritonrl_core.serve.verifiers_taskset import"
    (tmp_path / "tritonrl_env.py").write_text(f"{names} *\n{names} __all__\n")
    script = """
        import asyncio, json, sys
        import verifiers.v1 as vf
        from verifiers.v1.utils.loaders import taskset_class, taskset_config_type

        url, *replies = sys.argv[1:]
        config = taskset_config_type("tritonrl_env")(id="tritonrl_env", task={"url": url, "patience_s": 30})
        taskset = taskset_class("tritonrl_env")(config)
        [task] = list(taskset)

        async def scored(reply):
            trace = vf.Trace(task=vf.TraceTask(type="t", data=task.data, hash=task.hash, key=task.key), agent=AGENT)
            trace.nodes.append(vf.MessageNode(parent=None, sampled=True, message=vf.AssistantMessage(content=reply)))
            try:
                await task.score(trace)
            except vf.TaskError as error:
                return ["error", str(error)]
            return [trace.reward, trace.metrics["correct"], trace.info["verdict"]["status"]]

        AGENT = vf.AgentInfo(config=vf.AgentConfig())
        async def main():
            return [await scored(reply) for reply in replies]
        print(json.dumps([task.data.task_id, task.data.prompt, asyncio.run(main())]))
    """
    name, prompt, found = run_in("VERIFIERS_PYTHON", script, url, RIGHT, WRONG, FAULT, folder=tmp_path)
    assert name == TASK.id
    assert TASK.source.strip() in prompt
    right, wrong, fault = found
    assert right == [pytest.approx(verl.compute_score("k", RIGHT, TASK.id, url=url)["score"]), 1.0, "PASSED"]
    assert wrong == [0.0, 0.0, "WRONG"]
    assert fault[0] == "error"
    assert "no verdict" in fault[1]

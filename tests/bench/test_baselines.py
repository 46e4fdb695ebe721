"""Times of baselines that were measured before, and the lock around timing."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tritonrl_core.bench.replay.baselines import Baselines, baseline_key
from tritonrl_core.bench.replay.gpu_state import alone_on, gpu_state, others_on
from tritonrl_core.errors import InfraError
from tritonrl_core.testing.samples import sample_task
from tritonrl_core.types import InputCase, TimingProtocol

CASE = InputCase("as written", seed=1)
PROTOCOL = TimingProtocol("adaptive")
MACHINE = {"device": "GPU", "torch": "2.11"}
SAMPLES = {"eager": [[10.0, 11.0], [10.5]]}
NOTHING = {"samples": {}, "wall_us": None}


def key(task=None, case=CASE, protocol=PROTOCOL, precision="ieee", machine=MACHINE) -> str:
    return baseline_key(task or sample_task(), case, protocol, precision, machine)


def test_what_was_put_is_known_to_the_next_process(tmp_path):
    Baselines(tmp_path).put("k", SAMPLES, 42.0)
    assert Baselines(tmp_path).get("k", ["eager"]) == {"samples": SAMPLES, "wall_us": 42.0}
    assert Baselines(tmp_path).get("k", ["compiled"])["samples"] == {}
    assert Baselines(tmp_path).get("other", ["eager"]) == NOTHING


def test_baselines_are_added_to_one_another(tmp_path):
    known = Baselines(tmp_path)
    known.put("k", SAMPLES, 42.0)
    known.put("k", {"compiled": [[5.0]]}, None)
    assert Baselines(tmp_path).get("k", ["eager", "compiled"]) == {
        "samples": {**SAMPLES, "compiled": [[5.0]]}, "wall_us": 42.0,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"samples": {"eager": [[-1.0]]}, "wall_us": 1}', '{"samples": 3}'])
def test_a_spoilt_file_is_as_none(tmp_path, text):
    (tmp_path / "k.json").write_text(text)
    assert Baselines(tmp_path).get("k", ["eager"]) == NOTHING


def test_without_a_folder_they_are_kept_in_memory(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (None, tmp_path / "file"):
        known = Baselines(folder)
        known.put("k", SAMPLES, 1.0)
        assert known.get("k", ["eager"])["samples"] == SAMPLES


def test_the_key_changes_with_what_times_depend_on():
    assert key() == key()
    others = [
        key(task=replace(sample_task(), source=sample_task().source.replace("relu", "tanh"))),
        key(case=replace(CASE, dtype="float16")),
        key(case=replace(CASE, dims={"N": 65})),
        key(precision="tf32"),
        key(machine={**MACHINE, "torch": "2.12"}),
        key(machine={**MACHINE, "device": "another"}),
        key(protocol=replace(PROTOCOL, method="simple")),
    ]
    assert len({key(), *others}) == 1 + len(others)


HOLD = """
import sys
from pathlib import Path
from tritonrl_core.bench.replay.gpu_state import alone_on
with alone_on("GPU-1", 5, Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_and_a_dead_one_lets_go(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InfraError, match="another process has timed"), alone_on("GPU-1", 0.05, tmp_path):
            pass
        with alone_on("GPU-2", 0.05, tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
    with alone_on("GPU-1", 60, tmp_path):  # raises where the dead one still holds it
        pass


def test_a_gpu_that_is_not_there_has_no_state():
    assert gpu_state("00000000-0000-0000-0000-000000000000") == {}
    assert others_on("00000000-0000-0000-0000-000000000000"), "who is on it, nobody knows"


def test_the_first_to_ask_measures_and_the_others_wait_for_it():
    known, order = Baselines(None), []

    def ask(number: int) -> None:
        with known.known("k", ["eager"]) as found:
            order.append(bool(found["samples"]))
            if not found["samples"]:
                time.sleep(0.05)
                known.put("k", SAMPLES, 1.0)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(ask, range(6)))
    assert order == [False] + [True] * 5


def test_who_fails_to_measure_leaves_it_to_the_next():
    known = Baselines(None)
    with pytest.raises(InfraError), known.known("k", ["eager"]):
        raise InfraError("no clock")
    with known.known("k", ["eager"]) as found:
        assert found == NOTHING

"""A preset becomes a spec without `auto`, and asking for a GPU that is not there is one clear message."""

import os
import subprocess
import sys

import pytest

from tritonrl_core.bench import resolve
from tritonrl_core.bench.resolve import Gpu, resolve_spec, visible
from tritonrl_core.errors import UsageError
from tritonrl_core.preset import load_preset

SMI = "0, GPU-aaa, 9.0, NVIDIA H200\n1, GPU-bbb, 9.0, NVIDIA H200\n2, GPU-ccc, 9.0, NVIDIA H200\n"
MIXED = "0, GPU-aaa, 9.0, NVIDIA H100, PCIe\n1, GPU-bbb, 8.6, NVIDIA A40\n2, GPU-ccc, 9.0, NVIDIA H200\n"


def preset(*changes):
    return load_preset("baseline", changes)


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(resolve, "visible_gpus", lambda: ())
    spec = resolve_spec(preset())
    assert (spec.device, spec.target, spec.gpus) == ("cpu", "sm_90", ())
    assert spec.cpu_workers == len(os.sched_getaffinity(0))
    assert (spec.timeout_s, spec.delegation, spec.precision) == (30, "layout_only", "ieee")
    with pytest.raises(UsageError, match="shows no GPU") as error:
        resolve_spec(preset("verifier.device=cuda"))
    assert "--device cpu" in error.value.remedy


def test_with_gpus(monkeypatch):
    monkeypatch.setattr(resolve, "visible_gpus", lambda: visible(SMI, None))
    spec = resolve_spec(preset())
    assert (spec.device, spec.target, spec.gpus) == ("cuda", "sm_90", (0, 1, 2))
    assert resolve_spec(preset("verifier.gpus=[1]")).gpus == (1,)
    assert resolve_spec(preset("verifier.device=cpu")).device == "cpu"
    assert resolve_spec(preset("verifier.target=sm_80")).target == "sm_80"
    with pytest.raises(UsageError, match="names GPU 7"):
        resolve_spec(preset("verifier.gpus=[7]"))


def test_gpus_of_two_kinds_do_not_judge_together(monkeypatch, caplog):
    monkeypatch.setattr(resolve, "visible_gpus", lambda: visible(MIXED, None))
    assert resolve_spec(preset()).gpus == (0,)
    assert "not on GPU 1 (NVIDIA A40), 2 (NVIDIA H200)" in caplog.text
    spec = resolve_spec(preset("verifier.gpus=[1]"))
    assert (spec.target, spec.gpus) == ("sm_86", (1,))
    with pytest.raises(UsageError, match="0 is NVIDIA H100, PCIe, 2 is NVIDIA H200") as error:
        resolve_spec(preset("verifier.gpus=[0,2]"))
    assert "one kind" in error.value.remedy


@pytest.mark.parametrize(
    ("limit", "names"),
    [
        (None, ["H100, PCIe", "A40", "H200"]), ("", []), ("1", ["A40"]), ("2,0", ["H200", "H100, PCIe"]),
        ("GPU-bbb", ["A40"]), ("0,-1,2", ["H100, PCIe"]), ("9", []),
    ],
)  # fmt: skip
def test_cuda_visible_devices(limit, names):
    found = visible(MIXED, limit)
    assert [gpu.name.removeprefix("NVIDIA ") for gpu in found] == names
    assert [gpu.index for gpu in found] == list(range(len(names)))
    assert visible(MIXED, "1") == (Gpu(0, "sm_86", "NVIDIA A40"),)


def test_workers_learn_no_seed_and_no_paths():
    data = resolve.worker_preset(preset("seed=7"))
    assert data["seed"] == 0
    assert data["tasks"] == {}
    assert "7" not in str(data["seed"])


def test_resolving_imports_no_torch():
    code = (
        "import sys; from tritonrl_core.preset import load_preset\n"
        "from tritonrl_core.bench.resolve import resolve_spec\n"
        "resolve_spec(load_preset('baseline', ['verifier.device=cpu'])); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ranks_of_one_machine_share_its_cores_and_gpus(monkeypatch):
    monkeypatch.setattr(resolve, "visible_gpus", lambda: visible(SMI, None))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(9)))

    def share(rank, ranks, *changes):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
        spec = resolve_spec(preset(*changes))
        return spec.cpu_workers, spec.gpus

    assert [share(rank, 2) for rank in (0, 1)] == [(4, (0, 2)), (4, (1,))]
    assert [share(rank, 4)[1] for rank in range(4)] == [(0,), (1,), (2,), (0,)]
    assert share(3, 16) == (1, (0,))
    assert share(1, 2, "verifier.gpus=[0]", "verifier.cpu_workers=7") == (7, (0,))
    assert [share(rank, 2, "verifier.gpus=[1,2]")[1] for rank in (0, 1)] == [(1,), (2,)]


def test_a_bench_elsewhere_needs_no_gpu_here(monkeypatch):
    """`gpus: []`: none of this machine's. The local bench then says that it has none."""
    from tritonrl_core.bench.local import open_local_bench

    monkeypatch.setattr(resolve, "visible_gpus", lambda: ())
    spec = resolve_spec(preset("verifier.device=cuda", "verifier.gpus=[]", "verifier.target=sm_80"))
    assert (spec.device, spec.target, spec.gpus) == ("cuda", "sm_80", ())
    with pytest.raises(UsageError, match=r"verifier\.gpus is empty"):
        open_local_bench(spec, lambda task, request: [])

"""From a preset's verifier section to a `BenchSpec` with no `auto` left: what does this machine have?

Asks the NVIDIA driver's own tool, not torch: importing torch costs seconds, and touching CUDA before a fork spoils it.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tritonrl_core.errors import UsageError
from tritonrl_core.types import BenchSpec

if TYPE_CHECKING:
    from tritonrl_core.preset import Preset

log = logging.getLogger(__name__)

DEFAULT_TARGET = "sm_90"
QUERY_S = 20.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU that the driver shows: its index, its capability, such as `sm_90`, and what it is called."""

    index: int
    target: str
    name: str = ""


def resolve_spec(preset: Preset) -> BenchSpec:
    """Resolve device, target, workers and GPUs for this machine.

    Raises `UsageError` where the preset asks for a GPU that is not there, or for two that are not of a kind.
    """
    settings = preset.verifier
    gpus = visible_gpus() if settings.device != "cpu" else ()
    device = ("cuda" if gpus else "cpu") if settings.device == "auto" else settings.device
    if device == "cuda" and not gpus and settings.gpus != ():
        raise UsageError(
            "verifier.device is `cuda` and the NVIDIA driver shows no GPU",
            remedy="Use `--device cpu` (or `--set verifier.device=cpu`), or check `nvidia-smi` and its driver.",
        )
    rank, ranks = _place_on_this_machine(os.environ)
    chosen = _share_of(_chosen(settings.gpus, gpus), rank, ranks) if device == "cuda" else ()
    target = settings.target
    if target == "auto":
        target = chosen[0].target if chosen else DEFAULT_TARGET
    memory = None if settings.gpu_memory == "auto" else settings.gpu_memory
    return BenchSpec(
        device=device, target=target,
        cpu_workers=max(1, len(os.sched_getaffinity(0)) // ranks) if settings.cpu_workers == "auto"
        else settings.cpu_workers,
        gpus=tuple(gpu.index for gpu in chosen), gpu_memory_bytes=memory, timeout_s=settings.timeout_s,
        delegation=settings.delegation, precision=settings.precision, worker_preset=worker_preset(preset),
    )  # fmt: skip


def _place_on_this_machine(environment: Mapping[str, str]) -> tuple[int, int]:
    """This process's place among the ranks of a launcher on this machine, and their number; (0, 1) without one."""
    ranks = environment.get("LOCAL_WORLD_SIZE", "")
    rank = environment.get("LOCAL_RANK", "")
    if ranks.isdecimal() and rank.isdecimal() and int(rank) < int(ranks):
        return int(rank), int(ranks)
    return 0, 1


def _share_of(gpus: tuple[Gpu, ...], rank: int, ranks: int) -> tuple[Gpu, ...]:
    """The GPUs of one rank, so that each has verifiers of one rank only; where there are fewer, ranks share."""
    return gpus[rank::ranks] or (gpus[rank % len(gpus)],) if gpus else ()


def worker_preset(preset: Preset) -> dict[str, Any]:
    """What a worker process may know of the preset: its plugins. No seed, from which inputs follow, and no path."""
    data = preset.dump()
    data["seed"] = 0
    data["tasks"] = {}
    return data


def visible_gpus() -> tuple[Gpu, ...]:
    """GPUs that the driver shows and `CUDA_VISIBLE_DEVICES` leaves; () where there is no driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=index,uuid,compute_cap,name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=QUERY_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return visible(answer, os.environ.get("CUDA_VISIBLE_DEVICES"))


def visible(answer: str, limit: str | None) -> tuple[Gpu, ...]:
    """The GPUs of an answer of `nvidia-smi`, in the order that `CUDA_VISIBLE_DEVICES` gives (None: all of them).

    Indices count the visible ones, as CUDA does.
    """
    rows = [[cell.strip() for cell in line.split(",", 3)] for line in answer.splitlines() if line.count(",") >= 3]
    known = [(index, uuid, f"sm_{capability.replace('.', '')}", name) for index, uuid, capability, name in rows]
    if limit is None:
        return tuple(Gpu(place, *gpu) for place, (_, _, *gpu) in enumerate(known))
    found: list[Gpu] = []
    for wanted in (part.strip() for part in limit.split(",") if part.strip()):
        match = next((gpu for index, uuid, *gpu in known if index == wanted or uuid.startswith(wanted)), None)
        if match is None:
            break  # CUDA stops at the first name that it does not know
        found.append(Gpu(len(found), *match))
    return tuple(found)


def _chosen(wanted: str | Sequence[int], gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """GPUs of one kind: what two kinds take for the same kernel cannot be compared."""
    if isinstance(wanted, str):
        alike = tuple(gpu for gpu in gpus if _kind(gpu) == _kind(gpus[0]))
        if len(alike) < len(gpus):
            left = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in gpus if gpu not in alike)
            log.warning("candidates are judged on %s only, not on GPU %s: name others in verifier.gpus",
                        alike[0].name, left)  # fmt: skip
        return alike
    known = {gpu.index: gpu for gpu in gpus}
    missing = [index for index in wanted if index not in known]
    if missing:
        raise UsageError(
            f"verifier.gpus names GPU {missing[0]}, and the driver shows {sorted(known)}",
            remedy="Use indices that `nvidia-smi` lists, or `auto`.",
        )
    chosen = tuple(known[index] for index in wanted)
    if len({_kind(gpu) for gpu in chosen}) > 1:
        raise UsageError(
            f"verifier.gpus names GPUs of several kinds: {', '.join(f'{gpu.index} is {gpu.name}' for gpu in chosen)}",
            remedy="Times of different GPUs cannot be compared: name those of one kind, or `auto`.",
        )
    return chosen


def _kind(gpu: Gpu) -> tuple[str, str]:
    return gpu.target, gpu.name

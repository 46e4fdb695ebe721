"""Mutants that compute the same as the original: decided before scoring, by identical TTIR or by a written argument.

Identical TTIR: for every size and layout that the task declares, the recorded plan of the mutant (kernels as canonical
TTIR, launches, grids, arguments, buffers) is the original's. Recording runs Triton's own front end and needs no GPU.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mutation_lanes import unused_lanes
from mutation_operators import Mutant

from tritonrl_core.bench.plan.schema import LaunchPlan, encode
from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.processes.forkserver import RECORD, ForkServer
from tritonrl_core.bench.record.request import (
    Arguments,
    RecordFailure,
    RecordRequest,
    read_recording,
    request_data,
    specify,
)
from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.types import CaseRequest, InputCase, Limits, Task

EVERYTHING = CaseRequest(count=40, shapes=True, layouts=True)
_LOCATION = re.compile(r"\s*loc\((?:[^()]|\([^()]*\))*\)|^#loc.*$", re.MULTILINE)
_LIMITS = Limits(wall_s=60.0, cpu_s=60.0)


class Plans:
    """Launch plans of candidates, recorded in forked children. Close it to end its workers."""

    def __init__(self, workers: int, make_cases: Callable[[Task, CaseRequest], list[InputCase]]) -> None:
        self._server = ForkServer(RECORD, workers)
        self._make_cases = make_cases
        self._requests: dict[str, list[RecordRequest]] = {}
        self._originals: dict[str, Any] = {}

    def close(self) -> None:
        self._server.close()

    def compare(self, task: Task, original: str, code: str) -> tuple[bool, str]:
        """Whether a candidate's plans are the original's for every signature of the task; and why there is none for the
        task as written, "" where there is one. Stops at the first difference."""
        for number, request in enumerate(self._signatures(task)):
            mine = self._plan(request, code)
            if isinstance(mine, str):
                return False, "" if number else mine
            key = f"{task.key}/{number}"
            if key not in self._originals:
                self._originals[key] = self._plan(request, original)
            if mine != self._originals[key]:
                return False, ""
        return True, ""

    def _plan(self, request: RecordRequest, code: str) -> Any:
        """A plan without lines and locations, or a text that says why there is none."""
        answer = self._record(replace(request, code=code))
        if isinstance(answer, RecordFailure):
            return f"{answer.status}: {answer.reason}"
        return _canonical(json.loads(encode(answer)))

    def _signatures(self, task: Task) -> list[RecordRequest]:
        if task.key not in self._requests:
            cases = self._make_cases(task, CaseRequest()) + self._make_cases(task, EVERYTHING)
            reference = Reference(task)
            self._requests[task.key] = [_request(task, reference, case) for case in _one_each(cases)]
        return self._requests[task.key]

    def _record(self, request: RecordRequest) -> LaunchPlan | RecordFailure:
        data = wire.memfd("mutant", json.dumps(request_data(request)).encode())
        try:
            result = self._server.run([data], _LIMITS)
        finally:
            os.close(data)
        if result.outcome != "ok":
            raise RuntimeError(f"the recorder ended with {result.outcome}: {result.detail}")
        return read_recording(result.payload)


def _one_each(cases: Sequence[InputCase]) -> list[InputCase]:
    return list({case.signature: case for case in cases}.values())


def _request(task: Task, reference: Reference, case: InputCase) -> RecordRequest:
    materials = reference.materialise(case)
    return RecordRequest(
        code="",
        arguments=Arguments(tuple(specify(materials.init_inputs)), tuple(specify(materials.inputs))),
        state={name: specify(tensor) for name, tensor in materials.state.items()},
        gpu=gpu_for("sm_90"),
        training=None if task.mode == "as_is" else task.mode == "train",
        dtype=case.dtype,
    )


def _canonical(value: Any) -> Any:
    """Plain data without lines of the source, and TTIR without locations."""
    if isinstance(value, dict):
        return {key: _canonical(part) for key, part in value.items() if key != "line"}
    if isinstance(value, list):
        return [_canonical(part) for part in value]
    return _LOCATION.sub("", value) if isinstance(value, str) else value


def argument(mutant: Mutant, original: str) -> str:
    """Why this mutant computes what the original does; "" where nobody has shown it."""
    return unused_lanes(mutant, original) or WRITTEN.get(mutant.key, "")


WRITTEN: dict[str, str] = {
    "l1_attention/stride_wrong/bbb32753": "dim is 16 at every declared size, and the block DIM is 16 there.",
    "l2_group_norm_silu/update_lost/68a7cd13": (
        "A group has at most 504 elements at any declared size and the block is 1024: the loop runs once."
    ),
    "l2_conv_relu_max_pool/mask_off_by_one/f7cb0ed6": (
        "One window more is computed, from inside the image, and it is not stored."
    ),
    "l2_masked_mean/precision_lowered/8bf49d18": (
        "A count of at most 257 positions, each allowed with even odds: whole numbers up to 256 are exact in bfloat16."
    ),
    "l1_triplet_margin/sign_flipped/304dc635": (
        "Within tolerance: it moves a distance by 2e-6·√n at most, under 4e-5 beside a margin of 1."
    ),
    "l1_causal_attention/stride_wrong/2d0ad25e": "dim is 16 at every declared size, and the block DIM is 16 there.",
    "l1_tensor_matmul/shape_baked/8a9a4cbb": (
        "A view that is expanded to more batches than there are: it is read through its strides alone, and the grid "
        "still has the right number of batches."
    ),
    "l1_elu/constant_off/d0ddb32f": (
        "Within tolerance: in a series that is used for |x| < 0.1 it changes the x³ term by a thousandth, the result "
        "by 2e-6 of itself at most, where any right kernel may be off by 6e-5."
    ),
    "l1_triplet_margin/epsilon_wrong/e6dd2bf9": (
        "Within tolerance: it moves a distance by 1e-6·√n at most, under 2e-5 beside a margin of 1."
    ),
    "l1_triplet_margin/epsilon_wrong/686bfcdf": (
        "Within tolerance: it moves a distance by 1e-6·√n at most, under 2e-5 beside a margin of 1."
    ),
    "l1_triplet_margin/sign_flipped/f0ff7ab3": (
        "Within tolerance: it moves a distance by 2e-6·√n at most, under 4e-5 beside a margin of 1."
    ),
    "l2_attention_bias/padding_wrong/b0938acb": (
        "Bias of keys past the end is replaced by minus infinity in the next line, and rows past the end are not "
        "stored; the maximum and the sum run along keys, so rows do not meet."
    ),
    "l2_masked_mean/mask_dropped/d90de151": (
        "`allowed` is loaded with its mask and padding 0, and what is not allowed is replaced by 0 before the sum."
    ),
    "l2_pairwise_distance/mask_off_by_one/c3404c7b": (
        "Row M of the first operand: its product and its sum of squares belong to row M of the output, which is not "
        "stored; both sums run along k."
    ),
}
"""Mutant key → argument. A key holds a hash of the mutant's code, so an argument ends with its code."""

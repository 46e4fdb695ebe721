"""A plan must be of the request that it was recorded for."""

from dataclasses import replace

import pytest

from tritonrl_core.bench.plan.schema import Buffer, LaunchPlan, TensorRef
from tritonrl_core.bench.record.request import Arguments, RecordRequest, TensorSpec, foreign_part
from tritonrl_core.bench.targets import gpu_for

X = TensorRef(0, (4, 8), (8, 1), 0, "float32")
W = TensorRef(1, (8,), (1,), 0, "float32")
PLAN = LaunchPlan(
    "sm_90", "3.7.1", (), (Buffer(128, "input", index=0), Buffer(32, "parameter", name="weight")),
    (X,), {"weight": W}, (), (), (X,),
)  # fmt: skip
REQUEST = RecordRequest(
    "", Arguments((), (TensorSpec((4, 8), (8, 1), 0, "float32", 128), 3)),
    {"weight": TensorSpec((8,), (1,), 0, "float32", 32), "bias": TensorSpec((8,), (1,), 0, "float32", 32)},
    gpu_for("sm_90"),
)  # fmt: skip


def test_what_was_recorded_for_the_request_fits() -> None:
    assert foreign_part(PLAN, REQUEST) == ""
    assert foreign_part(replace(PLAN, parameters={}), REQUEST) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": (replace(X, shape=(1,), stride=(1,)),)}, "input 0 is not what the case brings"),
        ({"inputs": (replace(X, dtype="int32"),)}, "input 0 is not"),
        ({"inputs": ()}, "0 inputs instead of 1"),
        ({"inputs": (X, X)}, "2 inputs instead of 1"),
        ({"buffers": (Buffer(512, "input", index=0), PLAN.buffers[1])}, "input 0 is larger"),
        ({"init_inputs": (X,)}, "1 constructor inputs instead of 0"),
        ({"parameters": {"expected": W}}, "parameter expected is none of the reference's"),
        ({"parameters": {"weight": replace(W, shape=(4,))}}, "parameter weight is none"),
    ],
)
def test_what_was_not_is_named(changes: dict[str, object], reason: str) -> None:
    assert reason in foreign_part(replace(PLAN, **changes), REQUEST)

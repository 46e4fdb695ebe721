"""Proof of work in the data flow: what PyTorch gathered is not earned by a kernel that copies it."""

import time
from dataclasses import replace

import pytest

from tritonrl_core.bench.plan.flow import Reach, reach, right_only_by_launches, unearned_output, written_by_aten
from tritonrl_core.bench.plan.schema import AtenCall, Buffer, Kernel, Launch, LaunchPlan, Param, TensorRef

COPY = """module {
  tt.func public @k(%arg0: !tt.ptr<f32>, %arg1: !tt.ptr<f32>) attributes {noinline = false} {
    %0 = tt.load %arg0 : !tt.ptr<f32>
    tt.store %arg1, %0 : !tt.ptr<f32>
    tt.return
  }
}
"""
COMPUTE = COPY.replace("    tt.store %arg1, %0", "    %1 = math.exp %0 : f32\n    tt.store %arg1, %1")
PARAMS = (Param("x", "*fp32"), Param("o", "*fp32"))
KERNELS = (Kernel("k", "copy", COPY, {}, PARAMS), Kernel("k", "compute", COMPUTE, {}, PARAMS))
TABLE = TensorRef(0, (10, 4), (4, 1), 0, "float32")
PLACES = TensorRef(1, (3,), (1,), 0, "int64")
ROWS = TensorRef(2, (3, 4), (4, 1), 0, "float32")
OUT = TensorRef(3, (3, 4), (4, 1), 0, "float32")
MORE = TensorRef(4, (3, 4), (4, 1), 0, "float32")
BUFFERS = (
    Buffer(160, "input", index=0), Buffer(24, "input", index=1), Buffer(48, "aten"), Buffer(48, "alloc"),
    Buffer(48, "aten"),
)  # fmt: skip


def plan(*steps) -> LaunchPlan:
    return LaunchPlan("sm_90", "3.7.1", KERNELS, BUFFERS, (TABLE, PLACES), {}, (), steps, (OUT,))


GATHERED = {
    "embedding": AtenCall("aten.embedding.default", (TABLE, PLACES), {}, (ROWS,)),
    "index_select": AtenCall("aten.index_select.default", (TABLE, 0, PLACES), {}, (ROWS,)),
    "gather": AtenCall("aten.gather.default", (TABLE, 0, PLACES), {}, (ROWS,)),
    "index": AtenCall("aten.index.Tensor", (TABLE, (PLACES,)), {}, (ROWS,)),
    "flip": AtenCall("aten.flip.default", (TABLE, (0,)), {}, (ROWS,)),
}


@pytest.mark.parametrize("name", GATHERED)
def test_a_copy_of_what_torch_gathered_is_not_earned(name):
    found = plan(GATHERED[name], Launch(0, (1, 1, 1), (ROWS, OUT)))
    assert "without any Triton kernel" in unearned_output(found, computes=False)
    clone = AtenCall("aten.clone.default", (ROWS,), {}, (MORE,))
    twice = plan(GATHERED[name], clone, Launch(0, (1, 1, 1), (MORE, OUT)))
    assert unearned_output(twice, computes=False)


def test_a_kernel_that_gathers_itself_or_computes_on_it_has_earned_it():
    assert unearned_output(plan(Launch(0, (1, 1, 1), (TABLE, OUT))), computes=False) == ""
    computed = plan(GATHERED["gather"], Launch(1, (1, 1, 1), (ROWS, OUT)))
    assert unearned_output(computed, computes=False) == ""
    assert reach(computed)[OUT.buffer] is Reach.COMPUTED


def test_parameters_that_are_worked_on_beside_inputs_that_are_copied_are_earned():
    buffers = (BUFFERS[0], Buffer(24, "parameter", name="w"), *BUFFERS[2:])
    weight = replace(PLACES, dtype="float32", shape=(6,))
    copied, worked = Launch(0, (1, 1, 1), (TABLE, OUT)), Launch(1, (1, 1, 1), (weight, OUT))
    both = replace(plan(copied, worked), buffers=buffers, inputs=(TABLE,), parameters={"w": weight})
    assert unearned_output(both) == ""
    assert "only copied" in unearned_output(replace(both, steps=(copied,)))
    assert "does not depend" in unearned_output(replace(both, steps=(worked,)))


def test_an_output_that_the_reference_only_moves_need_not_be_a_kernels():
    clone = AtenCall("aten.clone.default", (TABLE,), {}, (ROWS,))
    both = replace(plan(Launch(1, (1, 1, 1), (TABLE, OUT)), clone), outputs=(OUT, ROWS))
    assert "output 1" in unearned_output(both)
    assert unearned_output(both, theirs=(Reach.COMPUTED, Reach.INPUT)) == ""
    assert "output 0" in unearned_output(replace(both, outputs=(ROWS, OUT)), theirs=(Reach.COMPUTED, Reach.INPUT))
    assert "output 1" in unearned_output(both, theirs=(Reach.INPUT, Reach.INPUT))


def test_what_torch_only_laid_out_may_be_copied():
    clone = AtenCall("aten.clone.default", (TABLE,), {}, (ROWS,))
    assert unearned_output(plan(clone, Launch(0, (1, 1, 1), (ROWS, OUT))), computes=False) == ""


def test_a_kernel_that_writes_a_part_does_not_earn_the_rest():
    again = plan(GATHERED["gather"], Launch(0, (1, 1, 1), (TABLE, ROWS)), Launch(0, (1, 1, 1), (ROWS, OUT)))
    assert unearned_output(again, computes=False)


def test_what_a_call_writes_is_not_for_a_plan_to_say():
    silent = AtenCall("aten.copy_.default", (OUT, MORE), {}, ())
    into = AtenCall("aten.mm.out", (ROWS, ROWS), {"out": OUT}, ())
    largest = AtenCall("aten.max.dim_max", (ROWS, 1), {"max": OUT, "max_values": PLACES}, ())
    assert [written_by_aten(call) for call in (silent, into)] == [{3}, {3}]
    assert written_by_aten(largest) == {1, 3}
    assert right_only_by_launches(plan(Launch(1, (1, 1, 1), (TABLE, OUT))))
    assert not right_only_by_launches(plan(Launch(1, (1, 1, 1), (TABLE, OUT)), silent))


def test_a_long_chain_of_launches_is_followed_quickly():
    many = replace(plan(*[Launch(1, (1, 1, 1), (TABLE, OUT))] * 5000), buffers=BUFFERS + (Buffer(4, "alloc"),) * 40_000)
    began = time.process_time()
    assert unearned_output(many) == ""
    assert time.process_time() - began < 5

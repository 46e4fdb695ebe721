"""How outputs come to depend on inputs: the flow through whole plans."""

from dataclasses import replace

import pytest

from tritonrl_core.bench.plan.flow import Reach, beyond_following, reach, right_only_by_launches, unearned_output
from tritonrl_core.bench.plan.schema import AtenCall, LaunchPlan, Tune
from tritonrl_core.bench.record.request import TensorSpec

X = TensorSpec((64, 100), (100, 1), 0, "float32", 25_600)
POOL = """
@triton.jit
def both(x_ptr, pool_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(pool_ptr + i, tl.load(x_ptr + i, mask=i < n), mask=i < n)
    tl.store(pool_ptr + n + i, tl.maximum(tl.load(pool_ptr + i, mask=i < n), 0.0), mask=i < n)
class ModelNew(nn.Module):
    def forward(self, x):
        pool = torch.empty(2 * x.numel(), device=x.device)
        both[(triton.cdiv(x.numel(), 256),)](x, pool, x.numel(), BLOCK=256)
        return pool[x.numel():].view(x.shape)
"""
OVER = """
@triton.jit
def relu(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.maximum(tl.load(x_ptr + i, mask=i < n), 0.0), mask=i < n)
class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        relu[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        WHAT
        return y
"""


def test_a_launch_may_compute_with_what_it_wrote_itself(recorded):
    plan = recorded(POOL, X)
    assert isinstance(plan, LaunchPlan), plan
    assert unearned_output(plan) == ""
    assert reach(plan)[plan.outputs[0].buffer] is Reach.COMPUTED


def test_a_copy_over_a_part_leaves_the_rest_computed(recorded):
    plan = recorded(OVER.replace("WHAT", "y[:1].copy_(x[:1])"), X)
    assert unearned_output(plan) == ""


def test_a_result_that_is_copied_out_is_still_computed(recorded):
    plan = recorded(OVER.replace("WHAT", "z = torch.empty_like(y); z.copy_(y); y = z"), X)
    assert unearned_output(plan) == ""


ADDRESSES = """
@triton.jit
def note(x_ptr, book_ptr):
    FIRST
@triton.jit
def relu(x_ptr, y_ptr, book_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(WHERE + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)
class ModelNew(nn.Module):
    def forward(self, x):
        y, book = torch.empty_like(x), torch.empty(1, dtype=torch.int64, device=x.device)
        note[(1,)](x, book)
        relu[(triton.cdiv(x.numel(), 256),)](x, y, book, x.numel(), BLOCK=256)
        return y
"""


def addresses(first: str = "tl.store(book_ptr, 1)", where: str = "x_ptr") -> str:
    return ADDRESSES.replace("FIRST", first).replace("WHERE", where)


def test_an_address_out_of_memory_is_refused(recorded):
    plan = recorded(addresses(where="tl.load(book_ptr).to(tl.pointer_type(tl.float32))"), X)
    assert "relu reaches memory by an address" in beyond_following(plan)


@pytest.mark.parametrize(
    "first",
    [
        "tl.store(book_ptr, x_ptr.to(tl.int64))",
        "tl.store(book_ptr, 1, mask=x_ptr.to(tl.int64) % 1024 == 0)",
        "tl.store(book_ptr.to(tl.pointer_type(tl.pointer_type(tl.float32)), bitcast=True), x_ptr)",
        "tl.store(book_ptr, tl.inline_asm_elementwise('mov.b64 $0, $1;', '=l,l', [x_ptr], tl.int64, False, 1))",
    ],
)
def test_no_data_is_made_of_an_address(recorded, first):
    plan = recorded(addresses(first), X)
    assert isinstance(plan, LaunchPlan), plan
    assert "note makes data of an address" in beyond_following(plan)


@pytest.mark.parametrize("where", ["x_ptr", "(x_ptr + n - n)", "tl.where(i < 5, x_ptr, y_ptr)"])
def test_what_is_reached_by_an_argument_is_plain(recorded, where):
    assert beyond_following(recorded(addresses(where=where), X)) == ""


def test_what_only_one_of_two_alternatives_computes_is_not_certain(recorded):
    plan = recorded(OVER.replace("WHAT", ""), X)
    launch, output = plan.steps[-1], plan.outputs[0]
    copied = AtenCall("aten.copy_.default", (output, plan.inputs[0]), {}, (output,), 20)
    either = replace(plan, steps=(*plan.steps[:-1], Tune(((launch,), (copied,)))))
    assert unearned_output(plan) == ""
    assert "without any Triton kernel" in unearned_output(either)
    assert right_only_by_launches(plan)
    assert not right_only_by_launches(either)

"""What PyTorch does for a candidate between its launches is counted in the estimate of its time."""

from tritonrl_core.bench.plan.schema import AtenCall, Buffer, LaunchPlan, TensorRef, Word
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.bench.timing.aten_work import aten_work
from tritonrl_core.bench.timing.estimate import microseconds

SIZE = 1024
X, Y = (TensorRef(number, (SIZE, SIZE), (SIZE, 1), 0, "float32") for number in (0, 1))
HALF = TensorRef(2, (SIZE, SIZE), (SIZE, 1), 0, "float16")
CLONE = AtenCall("aten.clone.default", (X,), {}, (Y,), 3)


def plan(*steps: AtenCall, prologue: tuple[AtenCall, ...] = ()) -> LaunchPlan:
    buffers = (Buffer(4 * SIZE**2, "input", 0), Buffer(4 * SIZE**2, "aten"), Buffer(2 * SIZE**2, "aten"))
    return LaunchPlan("sm_90", "3.7.1", (), buffers, (X,), {}, prologue, steps, (Y,))


def test_a_copy_moves_its_bytes_twice_and_what_it_moved_is_cached():
    first, second = aten_work(plan(CLONE, CLONE), prologue=True)
    assert first.bytes == second.bytes == 8 * SIZE**2
    assert (first.fresh, second.fresh) == (8 * SIZE**2, 0)


def test_each_call_takes_longer():
    times = [microseconds(aten_work(plan(*[CLONE] * count), prologue=True), gpu_for("sm_90")) for count in (0, 1, 2)]
    assert times[0] == 0 < times[1] < times[2]


def test_a_cast_counts_both_widths_and_a_product_its_operations():
    cast = AtenCall("aten._to_copy.default", (X,), {"dtype": Word("dtype", "float16")}, (HALF,), 4)
    product = AtenCall("aten.mm.default", (X, X), {}, (Y,), 5)
    moved, multiplied = aten_work(plan(cast, product), prologue=True)
    assert moved.bytes == 6 * SIZE**2
    assert multiplied.flops == {"fp32": 2.0 * SIZE**3}


def test_work_on_weights_counts_where_it_is_timed():
    packed = plan(prologue=(CLONE,))
    assert len(aten_work(packed, prologue=True)) == 1
    assert aten_work(packed, prologue=False) == []

"""References: run from their source, made anew for each case, and named with file and line where they fail."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.bench.references.values import LAYOUTS as LAYOUT_OF
from tritonrl_core.bench.references.values import VALUES
from tritonrl_core.errors import TaskError
from tritonrl_core.tasks.cases import DISTRIBUTIONS, LAYOUTS
from tritonrl_core.types import InputCase, Task

PLAIN = InputCase("as written", 7)

SOURCE = """\
import torch
import torch.nn as nn

ROWS = 6
DIM = 10
HIDDEN = 2 * DIM

class Model(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.linear = nn.Linear(dim, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.scale = nn.Parameter(torch.ones(hidden))

    def forward(self, x, index):
        y = self.norm(self.linear(x)) * self.scale
        return y, y[index]

def get_inputs():
    return [torch.randn(ROWS, DIM), torch.randint(0, ROWS, (4,))]

def get_init_inputs():
    return [DIM, HIDDEN]
"""


def task(source=SOURCE, **more):
    return Task("subject", 1, source, **more)


def simple(forward, inputs="[torch.randn(4, 32)]", init="pass"):
    return task(f"""\
import torch
import torch.nn.functional as F

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}

def get_inputs():
    return {inputs}

def get_init_inputs():
    return []
""")


def test_the_same_case_gives_the_same_tensors_and_another_seed_others():
    first, again = Reference(task()).materialise(PLAIN), Reference(task()).materialise(PLAIN)
    other = Reference(task()).materialise(replace(PLAIN, seed=8))
    assert torch.equal(first.inputs[0], again.inputs[0])
    assert all(torch.equal(a, b) for a, b in zip(first.state.values(), again.state.values(), strict=True))
    assert not torch.equal(first.inputs[0], other.inputs[0])
    assert not torch.equal(first.state["linear.weight"], other.state["linear.weight"])


def test_random_states_outside_are_left_alone():
    torch.manual_seed(1)
    random.seed(1)
    wanted = torch.rand(3), random.random()
    torch.manual_seed(1)
    random.seed(1)
    Reference(task()).materialise(PLAIN).expected()
    assert torch.equal(torch.rand(3), wanted[0])
    assert random.random() == wanted[1]


def test_constants_are_rebound_together_with_what_is_computed_from_them():
    materials = Reference(task()).materialise(replace(PLAIN, dims={"DIM": 5, "ROWS": 3}))
    assert materials.inputs[0].shape == (3, 5)
    assert materials.state["linear.weight"].shape == (10, 5)
    assert materials.expected()[0].shape == (3, 10)
    assert int(materials.inputs[1].max()) < 3


def test_a_constant_that_the_source_does_not_have_is_named():
    with pytest.raises(TaskError, match="no integer constant COLS"):
        Reference(task()).materialise(replace(PLAIN, dims={"COLS": 5}))


def test_dtype_replaces_that_of_floating_inputs_and_parameters_only():
    materials = Reference(task()).materialise(replace(PLAIN, dtype="float16"))
    assert materials.inputs[0].dtype == materials.state["linear.weight"].dtype == torch.float16
    assert materials.inputs[1].dtype == torch.int64
    assert materials.state["norm.num_batches_tracked"].dtype == torch.int64
    assert materials.expected()[0].dtype == torch.float16


def test_no_parameter_or_buffer_keeps_a_value_that_hides_its_omission():
    state = Reference(task()).materialise(PLAIN).state
    assert not (state["scale"] == 1).any()
    assert state["linear.bias"].abs().mean() > 0.1
    assert state["norm.bias"].abs().min() >= 0.2
    assert not (state["norm.running_mean"] == 0).any()
    assert 0 < state["norm.running_var"].min() < 0.01 < 0.5 < state["norm.running_var"].median()
    assert (state["norm.running_var"] - 1).abs().max() > 0.05
    assert state["norm.num_batches_tracked"] == 0


@pytest.mark.parametrize(("mode", "training"), [("eval", False), ("train", True), ("as_is", True)])
def test_mode_is_the_tasks(mode, training):
    assert Reference(task(mode=mode)).materialise(PLAIN).model.training is training


def test_expected_outputs_are_a_flat_list_and_leave_inputs_and_state_alone():
    reference = Reference(task(mode="train"))
    materials, untouched = reference.materialise(PLAIN), reference.materialise(PLAIN)
    outputs = materials.expected()
    assert [tuple(output.shape) for output in outputs] == [(6, 20), (4, 20)]
    assert all(torch.equal(a, b) for a, b in zip(materials.state.values(), untouched.state.values(), strict=True))


def test_a_reference_that_writes_into_its_input_gets_a_copy():
    materials = Reference(simple("return x.add_(1)")).materialise(PLAIN)
    before = materials.inputs[0].clone()
    assert torch.equal(materials.expected()[0], before + 1)
    assert torch.equal(materials.inputs[0], before)


def test_double_precision_is_used_for_the_exact_result():
    materials = Reference(simple("return torch.softmax(x, -1)")).materialise(PLAIN)
    exact, native = materials.expected("fp64")[0], materials.expected("native")[0]
    assert exact.dtype == torch.float64
    assert native.dtype == torch.float32
    assert 0 < (exact - native).abs().max() < 1e-6
    assert materials.fp64_fallback == ""


def test_tensors_that_a_forward_makes_are_double_in_the_exact_result():
    materials = Reference(simple("return x @ torch.full((32, 2), 0.1) + torch.arange(2.0) / 3")).materialise(PLAIN)
    exact = materials.expected("fp64")[0]
    wanted = materials.inputs[0].double() @ torch.full((32, 2), 0.1, dtype=torch.float64)
    assert torch.allclose(exact, wanted + torch.arange(2.0, dtype=torch.float64) / 3, rtol=1e-14, atol=0)
    assert materials.fp64_fallback == ""


def test_references_in_many_threads_do_not_disturb_each_other():
    reference = Reference(task())
    cases = [replace(PLAIN, seed=seed) for seed in range(40)]

    def outputs(case):
        materials = reference.materialise(case)
        return [*materials.inputs, *materials.expected("fp64"), *materials.expected(), torch.zeros(1)]

    alone = [outputs(case) for case in cases]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(outputs, cases))
    for one, other in zip(alone, together, strict=True):
        assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_shapes_can_be_had_without_memory():
    materials = Reference(task()).materialise(PLAIN, "meta")
    assert materials.inputs[0].is_meta
    assert materials.inputs[0].shape == (6, 10)


def test_an_operator_without_double_precision_falls_back_and_says_so():
    materials = Reference(simple("return x @ torch.ones(32, 2, dtype=torch.float32)")).materialise(PLAIN)
    assert materials.expected("fp64")[0].dtype == torch.float32
    assert "line 10" in materials.fp64_fallback


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import torch\ndef f(:\n    pass\n", ["line 2", "def f(:"]),
        ("import torch\nimport nothing_of_that_name\n", ["line 2", "nothing_of_that_name"]),
        (SOURCE.replace("class Model", "class Net"), ["does not define `Model`", "class Model(nn.Module)"]),
        (SOURCE.replace("def get_inputs", "def inputs"), ["does not define `get_inputs`"]),
        (SOURCE.replace("def get_init_inputs", "def init_inputs"), ["does not define `get_init_inputs`", "or []"]),
    ],
)
def test_a_broken_source_is_named_with_its_line_and_remedy(source, said):
    with pytest.raises(TaskError) as error:
        Reference(task(source, origin="folder/broken.py"))
    assert all(words in str(error.value) for words in ["folder/broken.py", *said])
    assert error.value.remedy


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (simple("return x @ x"), ["line 10", "forward", "return x @ x"]),
        (simple("return x", init="raise KeyError('size')"), ["line 7", "Model(...)", "KeyError"]),
        (simple("return x", inputs="[torch.randn(4, -1)]"), ["line 13", "get_inputs"]),
        (simple("return object()"), ["forward returned a object"]),
    ],
)
def test_a_reference_that_raises_is_named_with_its_line(broken, said):
    with pytest.raises(TaskError) as error:
        Reference(replace(broken, origin="folder/raises.py")).materialise(PLAIN).expected()
    assert all(words in str(error.value) for words in ["folder/raises.py", *said])


def test_every_named_distribution_and_layout_exists():
    assert tuple(VALUES) == DISTRIBUTIONS
    assert set(LAYOUT_OF) == set(LAYOUTS)


def drawn(distribution, forward="return torch.relu(x)", inputs="[torch.randn(64, 32)]"):
    case = replace(PLAIN, distribution=distribution)
    return Reference(simple(forward, inputs)).materialise(case).inputs[0]


def test_distributions_are_what_they_are_called():
    assert drawn("uniform").abs().max() <= 1
    assert drawn("large").abs().max() > 88
    assert drawn("tiny").abs().max() < 0.01
    assert drawn("negative").max() <= 0
    assert drawn("constant").unique().numel() == 1
    assert 0.3 < (drawn("zeros") == 0).float().mean() < 0.7
    infinite = drawn("infinities")
    assert 0 < (infinite == float("-inf")).float().mean() < 0.2
    assert torch.isfinite(infinite[:, 0]).all()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_an_operator_that_needs_its_inputs_range_keeps_it(distribution):
    x = drawn(distribution, "return torch.log(x)", "[torch.rand(64, 32) + 0.5]")
    assert 0.5 <= x.min() <= x.max() <= 1.5


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", ["5", "4, 32", "2, 3, 8"])
def test_layouts_keep_shapes_and_only_expanding_changes_values(layout, shape):
    reference = Reference(simple("return x", f"[torch.randn({shape})]"))
    plain = reference.materialise(PLAIN).inputs[0]
    laid = reference.materialise(replace(PLAIN, layout=layout)).inputs[0]
    assert laid.shape == plain.shape
    if layout == "expanded" and laid.dim() > 1:
        assert laid.stride(0) == 0
    else:
        assert torch.equal(laid, plain)
    if layout == "transposed":
        assert not laid.is_contiguous()
    if layout == "offset":
        assert laid.storage_offset() % 4 != 0


@pytest.mark.parametrize("distribution", ["large", "shifted", "bands"])
def test_only_the_first_input_is_far_out(distribution):
    source = task(SOURCE.replace("return [torch.randn(ROWS, DIM), torch.randint(0, ROWS, (4,))]",
                                 "return [torch.randn(ROWS, DIM), torch.randn(ROWS, DIM)]"))
    first, second = Reference(source).materialise(replace(PLAIN, distribution=distribution)).inputs
    assert first.abs().max() > 30 > 6 > second.abs().max()


LOOK_UP = SOURCE.replace("return [torch.randn(ROWS, DIM), ", "return [").replace("def forward(self, x, index):", (
    "def forward(self, index):\n        x = self.linear.weight[:DIM, :DIM]"
))  # fmt: skip


@pytest.mark.parametrize("distribution", ["large", "tiny", "negative", "shifted"])
def test_where_no_input_is_floating_the_table_that_is_looked_up_varies(distribution):
    plain = Reference(task(LOOK_UP)).materialise(PLAIN)
    made = Reference(task(LOOK_UP)).materialise(replace(PLAIN, distribution=distribution))
    before, after = plain.state["linear.weight"], made.state["linear.weight"]
    expected = VALUES[distribution](before, 128.0)
    assert torch.equal(after, expected)
    assert torch.equal(plain.state["norm.weight"], made.state["norm.weight"])
    assert torch.equal(plain.inputs[0], made.inputs[0])


def test_bands_of_two_matrices_are_negative_and_shifted():
    made = VALUES["bands"](torch.randn(2, 6, 9), 128.0)
    assert made[0].max() < 0 < 50 < made[1].min()


def test_nearby_outputs_are_a_few_units_off_and_leave_everything_alone():
    materials = Reference(task(SOURCE)).materialise(PLAIN)
    exact = materials.expected("fp64")
    before = {name: value.clone() for name, value in materials.state.items()}
    found = materials.nearby()
    assert len(found) == 4
    for outputs in found:
        assert [output.dtype for output in outputs] == [torch.float64] * len(exact)
        off = (outputs[0] - exact[0]).abs().max() / exact[0].abs().max()
        assert 1e-8 < off < 1e-4
    assert all(torch.equal(value, materials.state[name]) for name, value in before.items())
    assert all(torch.equal(one, other) for one, other in zip(exact, materials.expected("fp64"), strict=True))


def test_nearby_an_index_is_any_of_those_that_rounding_cannot_tell_apart():
    source = """
import torch

class Model(torch.nn.Module):
    def forward(self, x):
        return x.argmax(-1)

def get_inputs():
    x = torch.randn(4, 30)
    x[0, 3], x[0, 8] = 9.0, 9.0000005
    return [x]

def get_init_inputs():
    return []
"""
    materials = Reference(task(source)).materialise(PLAIN)
    [exact] = materials.expected("fp64")
    assert exact[0] == 8
    assert {int(index[0]) for [index] in materials.nearby()} == {3, 8}
    assert all(torch.equal(index[1:], exact[1:]) for [index] in materials.nearby())


def test_values_are_shifted_far_only_where_a_deviation_is_taken():
    assert drawn("shifted", "return F.layer_norm(x, (32,))").min() > 100
    assert drawn("shifted").mean() < 10

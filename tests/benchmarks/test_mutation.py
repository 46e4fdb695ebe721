"""The mutation test: operators change one thing, and an argument for equivalence is never given for a fault."""

import ast

import pytest
from mutation_lanes import unused_lanes
from mutation_operators import OPERATORS, Mutant, mutants

SCALE = '''
import torch
import triton
import triton.language as tl

@triton.jit
def scale_kernel(x_ptr, weight_ptr, out_ptr, x_row, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols, mask=mask, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    mean = tl.sum(x, axis=0) / n_cols
    out = tl.maximum((x - mean) * weight, 0.0)
    tl.store(out_ptr + row * n_cols + cols, out, mask=mask)

class ModelNew(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(n))

    def forward(self, x):
        n_rows, n_cols = x.shape
        out = torch.empty_like(x)
        scale_kernel[(n_rows,)](x, self.weight, out, x.stride(0), n_cols, BLOCK=triton.next_power_of_2(n_cols))
        return out
'''


def made(operator: str) -> list[Mutant]:
    return [mutant for mutant in mutants("t", SCALE, {"x": (4, 6)}) if mutant.operator == operator]


def test_every_mutant_is_python_and_differs() -> None:
    found = mutants("t", SCALE, {"x": (4, 6)})
    assert len(found) >= 40
    assert len({mutant.code for mutant in found}) == len({mutant.key for mutant in found}) == len(found)
    for mutant in found:
        assert ast.dump(ast.parse(mutant.code)) != ast.dump(ast.parse(SCALE))


@pytest.mark.parametrize(
    ("operator", "line"),
    [
        ("mask_off_by_one", "mask = cols < n_cols - 1"),
        ("mask_dropped", "weight = tl.load(weight_ptr + cols).to(tl.float32)"),
        ("stride_wrong", "tl.store(out_ptr + row * BLOCK + cols, out, mask=mask)"),
        ("block_not_covering", "scale_kernel[n_rows - 1,](x,"),
        ("shape_baked", "n_rows, n_cols = (4, 6)"),
        ("parameter_ignored", "tl.load(weight_ptr + cols, mask=mask, other=0.0) * 0.0 + 1.0"),
        ("branch_dropped", "out = (x - mean) * weight"),
        ("term_dropped", "out = tl.maximum(x * weight, 0.0)"),
        ("count_wrong", "mean = tl.sum(x, axis=0) / BLOCK"),
        ("precision_lowered", "mean = (tl.sum(x, axis=0) / n_cols).to(tl.float16).to(tl.float32)"),
        ("layout_assumed", "x.contiguous().stride(0)"),
    ],
)
def test_an_operator_makes_its_fault(operator: str, line: str) -> None:
    assert any(line in mutant.code for mutant in made(operator)), [mutant.code for mutant in made(operator)]


def test_operators_are_named_as_they_are_listed() -> None:
    assert all(name == operator.__name__ for name, operator in OPERATORS.items())


def test_lanes_that_reach_no_store_are_argued_and_no_others() -> None:
    argued = {
        mutant.changed
        for operator in ("mask_dropped", "padding_wrong", "mask_off_by_one", "term_dropped")
        for mutant in made(operator)
        if unused_lanes(mutant, SCALE)
    }
    assert argued == {"tl.load(weight_ptr + cols, mask=mask, other=0.0)", "other=0.0"}
    padded = [mutant for mutant in made("padding_wrong") if unused_lanes(mutant, SCALE)]
    assert [mutant.line for mutant in padded] == [12], "the sum makes x's padding matter"


def test_zero_times_other_padding_is_zero_only_where_the_other_operand_is_zero() -> None:
    product = '''
@triton.jit
def k(a_ptr, b_ptr, out_ptr, M, N, K):
    m = tl.arange(0, 16)
    n = tl.arange(0, 16)
    k = tl.arange(0, 16)
    a = tl.load(a_ptr + m[:, None] * K + k[None, :], mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
    b = tl.load(b_ptr + k[:, None] * N + n[None, :], mask=(k[:, None] < K) & (n[None, :] < N), other=PAD)
    acc = tl.dot(a, b)
    tl.store(out_ptr + m[:, None] * N + n[None, :], acc, mask=(m[:, None] < M) & (n[None, :] < N))
'''
    for pad, argued in (("0.0", True), ("1.0", False)):
        code = product.replace("PAD", pad)
        [mutant] = [m for m in mutants("t", code, {}) if m.operator == "padding_wrong" and m.line == 7]
        assert bool(unused_lanes(mutant, code)) is argued
        unmasked = [m for m in mutants("t", code, {}) if m.operator == "mask_dropped" and m.line == 7]
        assert not any(unused_lanes(mutant, code) for mutant in unmasked), "what is read may be NaN"

"""Agreement of estimates: variants of kernels that keep their text in shape, and rank correlation."""

import ast

import estimate_agreement as agreement
import kernel_variants
import pytest

CODE = """import torch
import triton
import triton.language as tl

@triton.jit
def double(x, y, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + i, tl.load(x + i, mask=i < n) * 2, mask=i < n)

class ModelNew(torch.nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        double[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), BLOCK=1024)
        return y
"""


def test_variants_are_other_programs_that_parse():
    made = kernel_variants.variants(CODE)
    assert set(made) == {"as written", *kernel_variants.CHANGES}
    assert len(set(made.values())) == len(made)
    for code in made.values():
        classes = [node.name for node in ast.parse(code).body if isinstance(node, ast.ClassDef)]
        assert "ModelNew" in classes


def test_blocks_shrink_in_the_launch_and_in_the_grid():
    small = kernel_variants.small_blocks(CODE)
    assert small.count("128") == 2
    assert "1024" not in small
    untouched = CODE.replace("1024", "n")
    assert kernel_variants.small_blocks(untouched) == untouched


def test_warps_are_set_in_every_launch():
    assert "num_warps=16" in kernel_variants.warps(16)(CODE)
    assert kernel_variants.warps(1)(kernel_variants.warps(16)(CODE)).count("num_warps") == 1


@pytest.mark.parametrize(
    ("other", "figure"), [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], -1.0), ([5, 5, 5, 5], 0.0), ([1, 3, 2, 4], 0.8)]
)
def test_rank_correlation(other, figure):
    assert agreement.spearman([10.0, 20.0, 30.0, 40.0], [float(value) for value in other]) == pytest.approx(figure)


def test_equal_values_share_the_mean_of_their_ranks():
    assert agreement.ranks([3.0, 1.0, 3.0]) == [1.5, 0.0, 1.5]


def test_tasks_lie_between_the_two_sizes():
    for kernel in agreement.kernels(1)[::7]:
        assert kernel.task.vary == {}
        assert " = " in kernel.task.source


def test_what_lies_in_the_folder_comes_before_what_is_kept(tmp_path):
    assert agreement.table(tmp_path).machine.gpu == "NVIDIA H200"
    measured = agreement.rows(agreement.MEASURED / "measured.jsonl")
    assert len(measured) > 200
    lines = [f'{{"name": "{row["name"]}", "speedup": {row["speedup"] ** 2}}}\n' for row in measured]
    (tmp_path / "estimated.jsonl").write_text("".join(lines))
    (tmp_path / "measured.jsonl").write_bytes((agreement.MEASURED / "measured.jsonl").read_bytes())
    table = agreement.table(tmp_path)
    assert [row[2] for row in table.rows if row[0] == "all"] == [pytest.approx(1.0, abs=1e-3)]

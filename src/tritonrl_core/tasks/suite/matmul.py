"""Level 1: matrix products and their shapes."""

from __future__ import annotations

from collections.abc import Mapping

from tritonrl_core.tasks.suite.template import Dims, Operator

# As written more than one block of 64 in each dimension: else a wrong grid or a lost accumulator would not show.
SMALL: Dims = {"M": (70, 48), "K": (70, 47), "N": (65, 31)}
FULL: Dims = {"M": (4096, 3000), "K": (2048, 1500), "N": (4096, 2600)}
BATCHED_SMALL: Dims = {"BATCH": (3, 2), **SMALL}
BATCHED_FULL: Dims = {"BATCH": (32, 12), "M": (1024, 700), "K": (512, 390), "N": (1024, 850)}


def _product(
    name: str,
    summary: str,
    inputs: Mapping[str, str],
    expression: str,
    small: Dims = SMALL,
    full: Dims = FULL,
    *,
    held_out: bool = False,
) -> Operator:
    return Operator(name, summary, small, full, inputs, f"return {expression}", held_out=held_out, family="matmul")


OPERATORS = (
    _product("matmul", "Matrix product.", {"a": "torch.randn(M, K)", "b": "torch.randn(K, N)"}, "a @ b"),
    _product(
        "matmul_transposed_a",
        "Matrix product with the first factor transposed.",
        {"a": "torch.randn(K, M)", "b": "torch.randn(K, N)"},
        "a.T @ b",
    ),
    _product(
        "matmul_transposed_b",
        "Matrix product with the second factor transposed.",
        {"a": "torch.randn(M, K)", "b": "torch.randn(N, K)"},
        "a @ b.T",
    ),
    _product(
        "bmm",
        "Batched matrix product.",
        {"a": "torch.randn(BATCH, M, K)", "b": "torch.randn(BATCH, K, N)"},
        "torch.bmm(a, b)",
        BATCHED_SMALL,
        BATCHED_FULL,
    ),
    _product(
        "tensor_matmul",
        "Product of a three-dimensional tensor and a matrix.",
        {"a": "torch.randn(BATCH, M, K)", "b": "torch.randn(K, N)"},
        "a @ b",
        BATCHED_SMALL,
        BATCHED_FULL,
        held_out=True,
    ),
    _product(
        "matvec",
        "Product of a matrix and a vector.",
        {"a": "torch.randn(M, K)", "x": "torch.randn(K)"},
        "torch.mv(a, x)",
        {"M": (70, 33), "K": (600, 257)},
        {"M": (16384, 9000), "K": (8192, 5000)},
    ),
    _product(
        "outer",
        "Outer product of two vectors.",
        {"a": "torch.randn(M)", "b": "torch.randn(N)"},
        "torch.outer(a, b)",
        {"M": (70, 33), "N": (130, 257)},
        {"M": (8192, 5000), "N": (4096, 3001)},
    ),
    _product(
        "diagonal_matmul",
        "Product of a diagonal matrix, given by its diagonal, and a matrix.",
        {"d": "torch.randn(M)", "b": "torch.randn(M, N)"},
        "torch.diag(d) @ b",
        {"M": (37, 60), "N": (70, 130)},
        {"M": (4096, 3000), "N": (4096, 2600)},
    ),
    _product(
        "lower_triangle_matmul",
        "Lower triangle of a matrix product.",
        {"a": "torch.randn(M, K)", "b": "torch.randn(K, N)"},
        "torch.tril(a @ b)",
        held_out=True,
    ),
    _product("gram", "Inner products of all pairs of rows.", {"x": "torch.randn(M, K)"}, "x @ x.T",
             {"M": (70, 50), "K": (70, 47)}, {"M": (4096, 3000), "K": (2048, 1500)}),
    Operator(
        "linear",
        "Linear layer with bias.",
        SMALL,
        FULL,
        {"x": "torch.randn(M, K)"},
        "return self.linear(x)",
        {"features": "K", "outputs": "N"},
        "self.linear = nn.Linear(features, outputs)",
        family="matmul",
    ),
)

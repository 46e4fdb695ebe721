"""Right solutions: a plan and Triton code for a problem, with real choices in both.

One kernel or two, block and tile sizes, warps, a block as a literal or computed. Every solution takes sizes from
the tensors, makes its inputs contiguous, computes in float32 (IEEE products) and writes the dtype of its input.
Mistakes are put in afterwards, by `mistakes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tritonrl_nano.recipe.chains import Problem, Step
from tritonrl_nano.recipe.operators import CORES

BLOCKS = (128, 256, 512, 1024)
TILES = (16, 32, 64)
WARPS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a writer of a kernel is free to choose. `literal`: the row's block is a number, not `next_power_of_2`."""

    kernels: int
    warps: int
    block: int
    tile: tuple[int, int, int]
    literal: bool


@dataclass(frozen=True, slots=True)
class Solution:
    """A plan and the code that follows it; `mistakes` names what was put in on purpose."""

    plan: str
    code: str
    mistakes: tuple[str, ...] = ()


def draw_choices(rng: Random, problem: Problem) -> Choices:
    """Choices at random; two kernels in three of ten solutions where the chain can be cut."""
    chain = problem.chain
    can_cut = bool(chain.post) if chain.core else len(chain.post) > 1
    return Choices(
        kernels=2 if can_cut and rng.random() < 0.3 else 1,
        warps=rng.choice(WARPS),
        block=rng.choice(BLOCKS),
        tile=(rng.choice(TILES), rng.choice(TILES), rng.choice(TILES)),
        literal=rng.random() < 0.5,
    )


def write_solution(problem: Problem, choices: Choices) -> Solution:
    """The right solution of a problem under these choices."""
    first, second = _cut(problem, choices)
    if problem.chain.core == "matmul":
        kernel = _product_kernel(first)
    elif problem.chain.core:
        kernel = _row_kernel(problem, first)
    else:
        kernel = _flat_kernel("k", first)
    lines = ["import torch", "import triton", "import triton.language as tl", *kernel]
    lines += _flat_kernel("e", second) if second else []
    return Solution(_plan(problem, choices), "\n".join(lines + _module(problem, choices, first, second)))


def _cut(problem: Problem, choices: Choices) -> tuple[Sequence[Step], Sequence[Step]]:
    """Steps after the core (or all) in the first kernel, and those in the second."""
    post = problem.chain.post
    if choices.kernels == 1:
        return post, ()
    return ((), post) if problem.chain.core else (post[:1], post[1:])


def _operands(steps: Sequence[Step]) -> list[str]:
    return [name for name in ("y", "b") if any(step.operand == name for step in steps)]


def _arithmetic(steps: Sequence[Step]) -> list[str]:
    return [f"    x = {step.triton()}" for step in steps]


def _signature(name: str, tensors: Sequence[str], *rest: str) -> list[str]:
    pointers = [f"{tensor}_ptr" for tensor in (*tensors, "o")]
    return ["@triton.jit", f"def {name}({', '.join((*pointers, *rest))}):"]


def _flat_kernel(name: str, steps: Sequence[Step]) -> list[str]:
    """One program a block of the flattened tensor."""
    operands = _operands(steps)
    loads = {"x": "x_ptr + i", "y": "y_ptr + i", "b": "b_ptr + i % C"}
    return [
        *_signature(name, ["x", *operands], "n", *(["C"] if "b" in operands else []), "BLOCK: tl.constexpr"),
        "    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)",
        "    m = i < n",
        *(f"    {tensor} = tl.load({loads[tensor]}, mask=m).to(tl.float32)" for tensor in ("x", *operands)),
        *_arithmetic(steps),
        "    tl.store(o_ptr + i, x, mask=m)",
    ]


def _row_kernel(problem: Problem, post: Sequence[Step]) -> list[str]:
    """One program a row."""
    chain = problem.chain
    operands = _operands([*chain.pre, *post])
    loads = {"x": "x_ptr + r * C + c", "y": "y_ptr + r * C + c", "b": "b_ptr + c"}
    return [
        *_signature("k", ["x", *operands], "C", "BLOCK: tl.constexpr"),
        "    r = tl.program_id(0)",
        "    c = tl.arange(0, BLOCK)",
        "    m = c < C",
        *(f"    {tensor} = tl.load({loads[tensor]}, mask=m, other=0.0).to(tl.float32)" for tensor in ("x", *operands)),
        *_arithmetic(chain.pre),
        *(f"    {line}" for line in CORES[chain.core].triton.splitlines()),
        *_arithmetic(post),
        "    tl.store(o_ptr + r, x)" if chain.reduces else "    tl.store(o_ptr + r * C + c, x, mask=m)",
    ]


def _product_kernel(post: Sequence[Step]) -> list[str]:
    """One program a tile of the product."""
    operands = _operands(post)
    loads = {"y": "y_ptr + i * N + j, mask=m", "b": "b_ptr + j, mask=j < N"}
    sizes = [f"{name}: tl.constexpr" for name in ("BM", "BN", "BK")]
    return [
        *_signature("k", ["x", "w", *operands], "M", "N", "K", *sizes),
        "    i = tl.program_id(0) * BM + tl.arange(0, BM)[:, None]",
        "    j = tl.program_id(1) * BN + tl.arange(0, BN)[None, :]",
        "    m = (i < M) & (j < N)",
        "    x = tl.zeros((BM, BN), dtype=tl.float32)",
        "    for k0 in range(0, K, BK):",
        "        r = k0 + tl.arange(0, BK)",
        "        a = tl.load(x_ptr + i * K + r[None, :], mask=(i < M) & (r[None, :] < K), other=0.0)",
        "        w = tl.load(w_ptr + r[:, None] * N + j, mask=(r[:, None] < K) & (j < N), other=0.0)",
        '        x = tl.dot(a, w, x, input_precision="ieee")',
        *(f"    {tensor} = tl.load({loads[tensor]}).to(tl.float32)" for tensor in operands),
        *_arithmetic(post),
        "    tl.store(o_ptr + i * N + j, x, mask=m)",
    ]


def _module(problem: Problem, choices: Choices, first: Sequence[Step], second: Sequence[Step]) -> list[str]:
    chain = problem.chain
    arguments = chain.arguments
    output = "t" if second else "o"
    body = [f"{', '.join(arguments)} = {', '.join(f'{name}.contiguous()' for name in arguments)}"]
    launched = [name for name in arguments if name in ("x", "w") or name in _operands([*chain.pre, *first])]
    if chain.core == "matmul":
        body += _launch_product(choices, launched, output)
    elif chain.core:
        body += _launch_rows(problem, choices, launched, output)
    else:
        body += _launch_flat("k", choices, launched, output)
    if second:
        body += _launch_flat("e", choices, ["t", *_operands(second)], "o")
    return [
        "class ModelNew(torch.nn.Module):",
        f"    def forward(self, {', '.join(arguments)}):",
        *(f"        {line}" for line in [*body, "return o"]),
    ]


def _launch_flat(kernel: str, choices: Choices, tensors: Sequence[str], output: str) -> list[str]:
    source = tensors[0]
    # Between two kernels the value stays in float32.
    dtype = ", dtype=torch.float32" if output == "t" else ", dtype=x.dtype" if source == "t" else ""
    columns = ["C"] if "b" in tensors else []
    return [
        f"{output} = torch.empty_like({source}{dtype})",
        f"n = {source}.numel()",
        *([f"C = {source}.shape[1]"] if columns else []),
        f"B = {choices.block}",
        f"{kernel}[(triton.cdiv(n, B),)]({', '.join([*tensors, output, 'n', *columns])}, "
        f"BLOCK=B, num_warps={choices.warps})",
    ]


def _launch_rows(problem: Problem, choices: Choices, tensors: Sequence[str], output: str) -> list[str]:
    shape = "R" if problem.chain.reduces else "(R, C)"
    return [
        "R, C = x.shape",
        f"{output} = torch.empty({shape}, {_made(output)})",
        f"B = {_row_block(problem) if choices.literal else 'triton.next_power_of_2(C)'}",
        f"k[(R,)]({', '.join([*tensors, output, 'C'])}, BLOCK=B, num_warps={choices.warps})",
    ]


def _launch_product(choices: Choices, tensors: Sequence[str], output: str) -> list[str]:
    rows, columns, inner = choices.tile
    return [
        "M, K = x.shape",
        "N = w.shape[1]",
        f"{output} = torch.empty((M, N), {_made(output)})",
        f"k[(triton.cdiv(M, {rows}), triton.cdiv(N, {columns}))]({', '.join([*tensors, output, 'M', 'N', 'K'])}, "
        f"BM={rows}, BN={columns}, BK={inner}, num_warps={choices.warps})",
    ]


def _made(output: str) -> str:
    return "device=x.device" if output == "t" else "dtype=x.dtype, device=x.device"


def _row_block(problem: Problem) -> int:
    """The smallest power of two that holds the row as written; rows only get shorter."""
    return 1 << (dict(problem.dims)["C"] - 1).bit_length()


def _plan(problem: Problem, choices: Choices) -> str:
    """What is fused, the block, the warps, and why: one line, as short as the model is small."""
    chain = problem.chain
    if choices.kernels == 2:
        form = "two kernels, simpler but one more pass over memory"
    else:
        form = "one kernel" if chain.level == 1 else "one fused kernel, so that values stay in registers"
    if chain.core == "matmul":
        block = "tile " + " x ".join(map(str, choices.tile))
    elif chain.core:
        row = str(_row_block(problem)) if choices.literal else "the next power of 2"
        block = f"a program per row, block {row}"
    else:
        block = f"block {choices.block}"
    return f"{' '.join(chain.names)}: {form}; {block}; {choices.warps} warps."

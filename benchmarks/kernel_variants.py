"""Slower variants of golden solutions: the same result by another number of programs, warps, launches or accesses.

Text in, text out; whether a variant is right is for a bench to find out. Used by `estimate_agreement.py`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping

KNOBS = ("num_warps", "num_stages", "num_ctas", "maxnreg")
SMALLEST = 16

COPY = '''

@triton.jit
def pass_kernel(x_ptr, y_ptr, n, STEP: tl.constexpr, BLOCK: tl.constexpr):
    i = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    keep = i < n
    i = (i * STEP) % n
    tl.store(y_ptr + i, tl.load(x_ptr + i, mask=keep), mask=keep)


class ModelNew(Inner):
    def forward(self, *inputs):
        x = super().forward(*inputs).contiguous()
        y = torch.empty_like(x)
        pass_kernel[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), STEP={step}, BLOCK=1024)
        return y
'''

TWICE = """

class ModelNew(Inner):
    def forward(self, *inputs):
        super().forward(*inputs)
        return super().forward(*inputs)
"""


def variants(code: str) -> dict[str, str]:
    """Variants by name, the code itself first; those that change nothing are left out."""
    made = {"as written": code}
    for name, change in CHANGES.items():
        changed = change(code)
        if changed not in made.values():
            made[name] = changed
    return made


def small_blocks(code: str) -> str:
    """Block sizes that are written as numbers, an eighth as large, in the launch and in its grid alike."""
    tree, changed = ast.parse(code), False
    for launch in _launches(tree):
        for keyword in launch.keywords:
            size = _number(keyword.value)
            if keyword.arg not in KNOBS and size >= 8 * SMALLEST and not size & (size - 1):
                _replace_numbers(_around(tree, launch), size, size // 8)
                changed = True
    return ast.unparse(tree) if changed else code


def warps(count: int) -> Callable[[str], str]:
    """Every launch with so many warps."""

    def change(code: str) -> str:
        tree = ast.parse(code)
        for launch in _launches(tree):
            launch.keywords = [part for part in launch.keywords if part.arg != "num_warps"]
            launch.keywords.append(ast.keyword("num_warps", ast.Constant(count)))
        return ast.unparse(tree)

    return change


def twice(code: str) -> str:
    """All the work done twice."""
    return _inner(code) + TWICE


def another_pass(code: str) -> str:
    """The output copied by one more kernel."""
    return _inner(code) + COPY.replace("{step}", "1")


def scattered_pass(code: str) -> str:
    """The output copied by one more kernel whose neighbouring lanes are far from one another (997 is prime)."""
    return _inner(code) + COPY.replace("{step}", "997")


CHANGES: Mapping[str, Callable[[str], str]] = {
    "small blocks": small_blocks, "1 warp": warps(1), "16 warps": warps(16), "twice": twice,
    "another pass": another_pass, "scattered pass": scattered_pass,
}  # fmt: skip


def _inner(code: str) -> str:
    return re.sub(r"\bModelNew\b", "Inner", code)


def _launches(tree: ast.AST) -> list[ast.Call]:
    """Calls of the form `kernel[grid](…)`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript)]
    return [call for call in calls if isinstance(call.func, ast.Subscript) and isinstance(call.func.value, ast.Name)]


def _around(tree: ast.AST, launch: ast.Call) -> ast.AST:
    """The function that holds the launch."""
    holders = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and launch in ast.walk(node)]
    return holders[-1]


def _number(node: ast.AST) -> int:
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else 0


def _replace_numbers(tree: ast.AST, old: int, new: int) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value == old:
            node.value = new

"""A fusion that could become a task: its texts at both sizes, its keys, and its solution. Pure text, nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from tritonrl_core.types import Policy, Task
from tritonrl_plugin_fusion import kernels, reference, rotary, rotary_kernel
from tritonrl_plugin_fusion.frames import FRAMES, Dim
from tritonrl_plugin_fusion.graph import Graph, hashed, key
from tritonrl_plugin_fusion.rotary import Rotary
from tritonrl_plugin_fusion.solution import Solution

Design = Graph | Rotary
NO_BFLOAT16 = ("fused_matmul", "fused_images", "fused_attention")
"""Families whose solutions want `tl.dot`, which Triton's interpreter gets wrong in bfloat16: not declared there."""


@dataclass(frozen=True)
class Blueprint:
    """A design under the name of its pattern. `dtypes`: the first is what the reference is written in, the others are
    those that it may take beside."""

    pattern: str
    design: Design
    dtypes: tuple[str, ...]

    @property
    def computation(self) -> str:
        """A key of what is computed, up to constants and sizes. The core's own key has the last word."""
        if isinstance(self.design, Rotary):
            return hashed([*list(asdict(self.design).values())[:-1], "rotary"])
        return key(self.design, len(FRAMES[self.design.frame].heads[self.design.head].torch))

    @property
    def id(self) -> str:
        """The same at both sizes, in every process and on every machine."""
        return f"fusion_{self.pattern}_{hashed([self._texts('small')[0], self._texts('full')[0]])[:10]}"

    @property
    def family(self) -> str:
        return "fused_attention" if isinstance(self.design, Rotary) else FRAMES[self.design.frame].family

    @property
    def summary(self) -> str:
        return self.design.summary if isinstance(self.design, Rotary) else reference.summary(self.design)

    @property
    def operators(self) -> int:
        """How many operators are written down, the head among them."""
        return 3 if isinstance(self.design, Rotary) else len(self.design.steps) + bool(self._head_works())

    def task(self, size: str) -> Task:
        """The task at size `small` or `full`, without a prompt."""
        source, vary = self._texts(size)
        beside = tuple(dtype for dtype in self.dtypes[1:] if self.family not in NO_BFLOAT16 or dtype != "bfloat16")
        return Task(
            id=self.id, level=2, source=source, family=self.family, vary=vary, dtypes=beside,
            policy=Policy(forbidden_builtins=("softmax",) if "softmax" in source else ()), origin="fusion",
        )  # fmt: skip

    def solution(self) -> Solution:
        """A composed solution. Not known to be right before a verifier says so."""
        if isinstance(self.design, Rotary):
            return rotary_kernel.solution(self.design)
        return kernels.solution(self.design)

    def _head_works(self) -> str:
        return "" if isinstance(self.design, Rotary) else FRAMES[self.design.frame].heads[self.design.head].phrase

    def _texts(self, size: str) -> tuple[str, dict[str, tuple[int, ...]]]:
        dtype = self.dtypes[0]
        if isinstance(self.design, Graph):
            return reference.source(self.design, size, dtype), reference.vary(self.design, size)
        init, lines, inputs = rotary.forward(self.design)
        dims = rotary.dimensions(self.design, size)
        if dtype != "float32":
            inputs = {name: f"{drawn[:-1]}, dtype=torch.{dtype})" for name, drawn in inputs.items()}
            init = [*init, f"self.to(torch.{dtype})"] if init else []
        text = reference.written(dims, self.summary, {"features": "DIM"} if init else {}, init, inputs, lines)
        return text, _varying(dims)


def _varying(dims: Mapping[str, Dim]) -> dict[str, tuple[int, ...]]:
    return {name: value[1:] for name, value in dims.items() if isinstance(value, tuple)}

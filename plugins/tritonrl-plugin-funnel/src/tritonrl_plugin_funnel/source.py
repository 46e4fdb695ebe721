"""A candidate's source as the rules see it: what is certain to run or to be compiled, what names mean. Read once."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property

from tritonrl_core.syntax import walk
from tritonrl_plugin_funnel.certain import Kinds, aliases, bound_names, by_kind, certain_nodes

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """A parsed candidate."""

    tree: ast.Module

    @cached_property
    def kinds(self) -> Kinds:
        """All nodes of the source."""
        return by_kind(walk(self.tree))

    @cached_property
    def executed(self) -> list[ast.AST]:
        """Nodes that are certain to run when the module is imported and `ModelNew` is made and called."""
        found = certain_nodes(self.tree.body)
        for name in ("__init__", "forward"):
            function = self.method(name)
            if function is not None:
                found += certain_nodes(function.body)
        return found

    @cached_property
    def executed_kinds(self) -> Kinds:
        return by_kind(self.executed)

    @cached_property
    def kernels(self) -> list[ast.FunctionDef]:
        """Plain `@triton.jit` functions of the module that are certain to be launched as `name[grid](...)`."""
        launched = {launched_name(call) for call in self.executed_kinds.get(ast.Call, ())}
        functions = [node for node in self.tree.body if isinstance(node, ast.FunctionDef) and node.name in launched]
        names = [function.name for function in functions]
        return [function for function in functions if names.count(function.name) == 1 and _is_plain_kernel(function)]

    @cached_property
    def kernel_nodes(self) -> list[tuple[ast.FunctionDef, list[ast.AST]]]:
        """Each of `kernels` with the nodes of it that are certain to be compiled."""
        return [(kernel, certain_nodes(kernel.body)) for kernel in self.kernels]

    @cached_property
    def compiled_kinds(self) -> Kinds:
        """Nodes of kernels that are certain to be compiled."""
        return by_kind(node for _, nodes in self.kernel_nodes for node in nodes)

    @cached_property
    def bound(self) -> frozenset[str] | None:
        """Every name that anything binds, builtins included; None where that can't be told."""
        return bound_names(self.kinds)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What the names of imports stand for."""
        return aliases(self.kinds)

    def dotted(self, node: ast.AST) -> str:
        """The full dotted name of an expression such as `t.compile`; "" where it is none, or starts from no import."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.aliases:
            return ""
        return ".".join([self.aliases[node.id], *reversed(parts)])

    def method(self, name: str) -> Function | None:
        """`ModelNew`'s one method of that name, in its own body and undecorated; None where that can't be told."""
        model = self._model
        if model is None:
            return None
        same = [node for node in model.body if isinstance(node, Function) and node.name == name]
        mentioned = name in self._names_in_model
        return same[0] if len(same) == 1 and not same[0].decorator_list and not mentioned else None

    @cached_property
    def _names_in_model(self) -> set[str]:
        return {node.id for node in walk(self._model) if isinstance(node, ast.Name)} if self._model else set()

    @cached_property
    def _model(self) -> ast.ClassDef | None:
        same = [node for node in self.kinds.get(ast.ClassDef, ()) if node.name == "ModelNew"]
        return same[0] if len(same) == 1 and same[0] in self.tree.body and not same[0].decorator_list else None


def _is_plain_kernel(function: ast.FunctionDef) -> bool:
    """Whether `@triton.jit` is its one decorator, written that way."""
    match function.decorator_list:
        case [ast.Attribute(value=ast.Name(id="triton"), attr="jit")]:
            return True
    return False


def launched_name(call: ast.Call) -> str:
    """`name` of a call `name[grid](...)`, else ""."""
    if isinstance(call.func, ast.Subscript) and isinstance(call.func.value, ast.Name):
        return call.func.value.id
    return ""

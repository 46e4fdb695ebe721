"""The funnel's rules on the source refuse nothing that is right: the honest corpus, and harmless rewrites of it."""

import ast
from collections.abc import Callable

import corpus
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonrl_plugin_funnel.rules import source_objection

HONEST = {one.id: one for one in (*corpus.honest("cuda"), *corpus.twins(), *corpus.golden(), *corpus.liger())}


def alias_of_the_language(code: str) -> str:
    renamed = code.replace("import triton.language as tl", "import triton.language as lang")
    return renamed.replace("tl.", "lang.") if renamed != code else code


def names_from_a_star_import(code: str) -> str:
    return f"from math import *\n{code}"


def an_import_that_may_fail(code: str) -> str:
    return f"try:\n    import cupy\nexcept ImportError:\n    cupy = None\n{code}"


def a_script_below(code: str) -> str:
    return f"{code}\nif __name__ == '__main__':\n    print(undefined_in_a_script)\n"


def a_function_nobody_calls(code: str) -> str:
    return f"{code}\ndef check(x):\n    return torch.no_such_function(ModelNew(1, 2, 3)(x), undefined)\n"


def a_branch_for_other_devices(code: str) -> str:
    return with_forward(code, lambda forward: forward.body.insert(0, SLOW_PATH))


def unparsed(code: str) -> str:
    return ast.unparse(ast.parse(code))


def more_arguments_with_defaults(code: str) -> str:
    def change(forward: ast.FunctionDef) -> None:
        forward.args.args.append(ast.arg("unused"))
        forward.args.defaults.append(ast.Constant(None))

    return with_forward(code, change)


def with_forward(code: str, change: Callable[[ast.FunctionDef], None]) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == "ModelNew":
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "forward":
                    change(method)
    return ast.unparse(ast.fix_missing_locations(tree))


SLOW_PATH = ast.parse("if getattr(self, 'slow', False):\n    torch.no_such_function(undefined)").body[0]

REWRITES: tuple[Callable[[str], str], ...] = (
    alias_of_the_language, names_from_a_star_import, an_import_that_may_fail, a_script_below, a_function_nobody_calls,
    a_branch_for_other_devices, unparsed, more_arguments_with_defaults,
)  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_no_rule_refuses_the_honest_corpus(name: str) -> None:
    assert source_objection(HONEST[name].task, HONEST[name].code) is None


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(HONEST)), rewrites=st.lists(st.sampled_from(REWRITES), unique=True, max_size=5))
def test_no_rule_refuses_harmless_rewrites(name: str, rewrites: list[Callable[[str], str]]) -> None:
    code = HONEST[name].code
    for rewrite in rewrites:
        if "from __future__" not in code:  # that must stay the first statement
            code = rewrite(code)
    ast.parse(code)
    assert source_objection(HONEST[name].task, code) is None

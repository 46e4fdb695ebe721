"""Syntax trees: shared while somebody holds them, walked like `ast.walk`, read from any thread."""

import ast
import gc
import threading
import weakref

import pytest

from tritonrl_core.syntax import LONGEST, TRIES, children, parse, shared_tree, walk
from tritonrl_core.testing import SAMPLE_KERNEL

LEFT_OUT = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


def test_a_tree_is_shared_while_somebody_holds_it_and_no_longer():
    source = "x = 1"
    tree = shared_tree(source)
    assert shared_tree(source) is tree
    walk(tree)
    gone = weakref.ref(tree)
    gc.disable()  # it must go by itself
    try:
        del tree
        assert gone() is None
    finally:
        gc.enable()


def test_walking_finds_what_the_library_s_own_walk_finds_in_its_order():
    tree = parse(SAMPLE_KERNEL)
    wanted = [node for node in ast.walk(tree) if not isinstance(node, LEFT_OUT)]
    assert walk(tree) == wanted
    assert walk(tree) == wanted  # what is kept is the same
    for node in wanted:
        assert children(node) == [part for part in ast.iter_child_nodes(node) if not isinstance(part, LEFT_OUT)]


def test_a_source_that_is_too_long_is_not_read():
    with pytest.raises(ValueError, match="characters"):
        shared_tree("#" * (LONGEST + 1))


@pytest.mark.parametrize("times", [1, TRIES])
def test_another_library_s_parser_in_another_thread_costs_another_try(monkeypatch, times):
    real, calls = ast.parse, []

    def disturbed(*arguments):
        calls.append(arguments)
        if len(calls) <= times:
            raise SystemError("AST constructor recursion depth mismatch (before=63, after=154)")
        return real(*arguments)

    monkeypatch.setattr(ast, "parse", disturbed)
    assert isinstance(parse("x = 1"), ast.Module)
    assert len(calls) == times + 1


def test_many_threads_read_at_once():
    sources = [f"x = {'(' * depth}1{')' * depth}" for depth in range(1, 60)]
    found: list[int] = []

    def read() -> None:
        found.extend(len(walk(parse(source))) for source in sources)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 * len(sources)

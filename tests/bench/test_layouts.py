"""Cases in layouts that the reference refuses are asked for in one that it takes."""

from tritonrl_core.bench.references.layouts import as_the_reference_takes_them
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.types import CaseRequest, Task

SOURCE = """
import torch
import torch.nn as nn
class Model(nn.Module):
    def forward(self, x):
        return FORWARD
def get_inputs():
    return [torch.randn(8, 6, 2)]
def get_init_inputs():
    return []
"""
REQUEST = CaseRequest(count=5, layouts=True, values=True)


def layouts(forward: str) -> set[str]:
    task = Task(id="t", level=1, source=SOURCE.replace("FORWARD", forward))
    return {case.layout for case in as_the_reference_takes_them(make_cases)(task, REQUEST)}


def test_a_reference_that_takes_strided_tensors_is_asked_with_them():
    assert layouts("x * 2") == {"contiguous", "strided"}


def test_a_reference_that_does_not_is_asked_with_contiguous_ones():
    assert layouts("torch.view_as_real(torch.view_as_complex(x) * 1j)") == {"contiguous"}
    assert layouts("x.view(-1) * 2") == {"contiguous"}


def test_what_shapes_alone_do_not_tell_changes_nothing():
    assert layouts("x * x.max().item()") == {"contiguous", "strided"}


def test_the_names_say_what_the_cases_are():
    task = Task(id="t", level=1, source=SOURCE.replace("FORWARD", "x.view(-1) * 2"))
    assert not [case for case in as_the_reference_takes_them(make_cases)(task, REQUEST) if "strided" in case.name]

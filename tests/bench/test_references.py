"""Prepared references: made once, had at once when known, and nothing of them leaks into the process."""

import threading

import torch

from tritonrl_core.bench.references.ambient import exclusive
from tritonrl_core.bench.references.prepared import References
from tritonrl_core.types import InputCase, Task

SOURCE = """
import torch

class Model(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5, training=True) + torch.rand(())

def get_inputs():
    return [torch.randn(64, 64)]

def get_init_inputs():
    return []
"""
TASK = Task(id="random", level=1, source=SOURCE)


def case(seed):
    return InputCase("as written", seed)


def test_a_known_case_does_not_wait_for_a_reference_that_runs():
    references = References()
    known = references.prepare(TASK, case(1))
    found = []
    with exclusive:  # as if a reference ran in this thread
        thread = threading.Thread(target=lambda: found.append(references.prepare(TASK, case(1))))
        thread.start()
        thread.join(20)
        assert found == [known]


def test_threads_that_want_the_same_case_get_the_same_object():
    references, found = References(), []
    with exclusive:
        threads = [threading.Thread(target=lambda: found.append(references.prepare(TASK, case(2)))) for _ in range(4)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 4
    assert all(prepared is found[0] for prepared in found)


def test_the_least_recently_used_goes_first():
    size = References().prepare(TASK, case(1)).nbytes
    references = References(most_bytes=2 * size)
    first, second = references.prepare(TASK, case(1)), references.prepare(TASK, case(2))
    assert references.prepare(TASK, case(1)) is first
    references.prepare(TASK, case(3))
    assert references.prepare(TASK, case(1)) is first
    assert references.prepare(TASK, case(2)) is not second


def test_running_a_reference_leaves_the_generators_as_they_were():
    references = References()
    before = torch.get_rng_state()
    prepared = references.prepare(TASK, case(4))
    assert dict(prepared.after) == {}
    assert prepared.eager_work
    assert torch.equal(torch.get_rng_state(), before)


def test_outputs_for_inputs_a_little_off_are_worked_out_once_where_they_are_small():
    one_number = SOURCE.replace("torch.nn.functional.dropout(x, 0.5, training=True)", "x.mean()")
    small = References().prepare(Task(id="mean", level=1, source=one_number), case(1))
    known = small.nearby()
    assert small.nearby() is known
    assert [len(outputs) for outputs in known] == [1, 1, 1, 1]
    assert all(torch.equal(one[0], two[0]) for one, two in zip(known, small.materials.nearby(), strict=True))
    large = References().prepare(Task(id="wide", level=1, source=SOURCE.replace("64, 64", "512, 512")), case(1))
    assert large.nearby() is not large.nearby()

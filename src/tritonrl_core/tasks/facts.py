"""How much work a task is: operations, bytes, operators, launches, and the least time it can take on a GPU.

Counted on fake tensors, so full sizes cost nothing; times are computed from data sheets, never measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod

import torch

from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.bench.timing.estimate import EAGER_ELEMENTS, Work, microseconds
from tritonrl_core.tasks.trace import Operation, Trace, Value, trace
from tritonrl_core.types import Task, TaskFacts

_KINDS = {torch.float64: "fp64", torch.float16: "fp16", torch.bfloat16: "fp16"}


def task_facts(task: Task, target: str = "sm_90") -> TaskFacts:
    """Count a task's work. Raises `TaskError` where the reference cannot be traced, `UsageError` for a bad target."""
    traced = trace(task)
    gpu = gpu_for(target)
    working = [operation for operation in traced.operations if not operation.free]
    moved = _bytes((*traced.inputs, *traced.state, *traced.outputs))
    flops: Counter[str] = Counter()
    for operation in working:
        flops[_kind(operation)] += operation.flops or _elements(operation)
    seconds = [amount / gpu.flops[kind] for kind, amount in flops.items()]
    work = [_work(operation) for operation in working]
    return TaskFacts(
        flops=sum(flops.values()),
        bytes=moved,
        eager_bytes=sum(item.bytes for item in work),
        operators=dict(Counter(operation.name for operation in working)),
        launches=len(working),
        fusible_edges=_inner_edges(traced, working),
        roofline_us=max(moved / gpu.dram_bandwidth, *seconds, 0.0) * 1e6,
        eager_us=microseconds(work, gpu),
        target=target,
    )


def describe(facts: TaskFacts) -> list[str]:
    """The facts as lines for a person."""
    operators = ", ".join(f"{name} × {count}" if count > 1 else name for name, count in facts.operators.items())
    return [
        f"operators       {operators}",
        f"operations      {facts.flops:,}",
        f"bytes           {facts.bytes:,} once; {facts.eager_bytes:,} operator by operator",
        f"fusion saves    {facts.saving:.0%} of the traffic ({facts.fusible_edges} tensors between operators), "
        f"{facts.launches} launches to one",
        f"on {facts.target:<12} at least {facts.roofline_us:.1f} µs; PyTorch about {facts.eager_us:.0f} µs (computed)",
    ]


def _inner_edges(traced: Trace, working: Sequence[Operation]) -> int:
    """How many operands of working operators are results of others that are no outputs: traffic that fusion saves.

    A view is the tensor that it looks into.
    """
    seen_as: dict[int, int] = {}
    for operation in traced.operations:
        values = _values(operation)
        if operation.free and values:
            for result in operation.results:
                seen_as.setdefault(result.number, seen_as.get(values[0].number, values[0].number))
    made = {result.number for operation in working for result in operation.results}
    outputs = {seen_as.get(value.number, value.number) for value in traced.outputs}
    read = [seen_as.get(value.number, value.number) for operation in working for value in _values(operation)]
    return sum(number in made and number not in outputs for number in read)


def _work(operation: Operation) -> Work:
    size = _bytes(_values(operation)) + _bytes(operation.results)
    arithmetic = {_kind(operation): float(operation.flops or _elements(operation))}
    programs = -(-_elements(operation) // EAGER_ELEMENTS)
    return Work(bytes=size, unique_bytes=size, flops=arithmetic, programs=programs)


def _kind(operation: Operation) -> str:
    """The kind of arithmetic, by the name that `bench.targets` gives its rate. Elementwise work is fp32's."""
    if not operation.flops or not operation.results:
        return "fp32"
    return _KINDS.get(operation.results[0].dtype, "fp32")


def _elements(operation: Operation) -> int:
    return max((prod(value.shape) for value in (*_values(operation), *operation.results)), default=0)


def _values(operation: Operation) -> list[Value]:
    return [operand for operand in operation.operands if isinstance(operand, Value)]


def _bytes(values: Iterable[Value]) -> int:
    return sum(value.nbytes for value in values)

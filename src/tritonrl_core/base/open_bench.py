"""`open_bench` of the base: this machine."""

from __future__ import annotations

from tritonrl_core.types import Bench, BenchSpec


def open_bench(spec: BenchSpec) -> Bench:
    """A bench of local worker processes."""
    # Imported here: the bench loads torch.
    from tritonrl_core.bench.layouts import as_the_reference_takes_them
    from tritonrl_core.bench.local import open_local_bench
    from tritonrl_core.tasks.cases import make_cases

    return open_local_bench(spec, as_the_reference_takes_them(make_cases))

"""`open_bench` of the base: this machine."""

from __future__ import annotations

from tritonrl_core.session.benches import Benches
from tritonrl_core.types import Bench, BenchSpec


def open_bench(spec: BenchSpec) -> Bench:
    """A bench of local worker processes."""
    return Benches().here(spec)

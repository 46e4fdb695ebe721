"""Opens benches: this machine's, and the parts of one that is spread over several processes or machines.

The implementation of `types.BenchRoom`; it has no state, so a pickled one is as good. How calls travel is
known elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tritonrl_core.types import Bench, BenchHost, BenchPlace, BenchSpec

if TYPE_CHECKING:
    from tritonrl_core.bench.prepare import MakeCases

# Everything of the bench is imported inside: it loads torch.


class Benches:
    """The core's benches and their parts."""

    def here(self, spec: BenchSpec) -> Bench:
        """Workers of this machine; with several GPUs a process for each, since one Python cannot feed them all."""
        from tritonrl_core.bench.local import open_local_bench

        if len(spec.gpus) > 1:
            from tritonrl_core.bench.host_process import host_processes

            return self.over(spec, host_processes(spec), 2 * spec.cpu_workers, patience_s=60)
        return open_local_bench(spec, _make_cases())

    def host(self, spec: BenchSpec, preparers: Sequence[BenchPlace] = ()) -> BenchHost:
        """Programs on this machine."""
        from tritonrl_core.bench.fleet import Host, PreparedElsewhere
        from tritonrl_core.bench.local import open_local_bench

        _check_target(spec)
        elsewhere = PreparedElsewhere(preparers) if preparers else None
        return Host(open_local_bench(spec, _make_cases(), elsewhere))

    def preparer(self, spec: BenchSpec, hosts: Sequence[BenchPlace] = ()) -> BenchHost:
        """Recorders and compilers on this machine."""
        from tritonrl_core.bench.fleet import Preparer

        return Preparer(spec, _make_cases(), hosts)

    def over(self, spec: BenchSpec, hosts: Sequence[BenchPlace], at_once: int, patience_s: float) -> Bench:
        """One bench of many hosts."""
        from tritonrl_core.bench.fleet import FleetBench

        return FleetBench(spec, hosts, _make_cases(), at_once, patience_s)


def _check_target(spec: BenchSpec) -> None:
    """Raise `UsageError` where this machine's GPU is another than the one that is compiled for."""
    from tritonrl_core.bench.resolve import visible_gpus
    from tritonrl_core.errors import UsageError

    found = {gpu.index: gpu for gpu in visible_gpus()} if spec.device == "cuda" and spec.gpus else {}
    mine = found.get(spec.gpus[0]) if found else None
    if mine is not None and mine.target != spec.target:
        raise UsageError(
            f"a host of the fleet has a GPU of {mine.target}, and the fleet's target is {spec.target}",
            remedy="One fleet has one kind of GPU: set verifier.target, or leave other nodes out.",
        )


def _make_cases() -> MakeCases:
    from tritonrl_core.bench.references.layouts import as_the_reference_takes_them
    from tritonrl_core.bench.references.secret_seeds import own_secret, with_secret_seeds
    from tritonrl_core.tasks.cases import make_cases

    return with_secret_seeds(as_the_reference_takes_them(make_cases), own_secret())

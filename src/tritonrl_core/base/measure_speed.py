"""`measure_speed` of the base: the mean of a few synchronised runs."""

from __future__ import annotations

from tritonrl_core.types import Program, Timing, TimingProtocol

PROTOCOL = TimingProtocol(method="simple", warmup=3, trials=10)


def measure_speed(program: Program) -> Timing:
    """Time candidate and eager reference. Raises `InfraError` where the bench cannot."""
    return program.time(PROTOCOL)

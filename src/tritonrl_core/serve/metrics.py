"""What a desk has counted, as Prometheus reads it."""

from __future__ import annotations

from tritonrl_core.serve.desk import Desk


def exposition(desk: Desk) -> str:
    """The counts in Prometheus' text format (version 0.0.4)."""
    from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

    registry, counts = CollectorRegistry(), desk.counts()
    verdicts = Counter("tritonrl_verdicts", "Verdicts given, by status.", ["status"], registry=registry)
    for status, given in counts.statuses.items():
        verdicts.labels(status).inc(given)
    for name, says, number in (
        ("tritonrl_known", "Candidates whose verdict was known, or in work already.", counts.known),
        ("tritonrl_refused", "Candidates sent away because there was no room.", counts.refused),
        ("tritonrl_judging_seconds", "Seconds spent judging, summed over workers.", counts.seconds),
    ):
        Counter(name, says, registry=registry).inc(number)
    for name, says, level in (
        ("tritonrl_waiting", "Candidates that are not judged yet.", counts.waiting),
        ("tritonrl_capacity", "Candidates that may wait.", desk.capacity),
        ("tritonrl_draining", "1 while the service is ending.", int(desk.draining)),
    ):
        Gauge(name, says, registry=registry).set(level)
    return generate_latest(registry).decode()

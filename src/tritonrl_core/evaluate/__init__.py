"""How good a model is on a suite, how two evaluations compare, and what today's verifier says of old verdicts.

`figures` holds the estimators, `sampling` the overlap of generation and verification, `evaluation` the folder that an
interrupted evaluation goes on from. Trains nothing and prints nothing.
"""

from tritonrl_core.evaluate.figures import (
    FAST_P,
    Estimate,
    EvalReport,
    Slice,
    bootstrap_interval,
    fast_p,
    pass_at_k,
    report,
)
from tritonrl_core.evaluate.sampling import Sampler, Scorer, evaluate_policy

__all__ = [
    "FAST_P",
    "Estimate",
    "EvalReport",
    "Sampler",
    "Scorer",
    "Slice",
    "bootstrap_interval",
    "evaluate_policy",
    "fast_p",
    "pass_at_k",
    "report",
]

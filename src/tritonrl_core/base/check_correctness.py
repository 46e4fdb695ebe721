"""`check_correctness` of the base: one input case."""

from __future__ import annotations

from tritonrl_core.types import CaseRequest, Program, Verdict, verdict_from_cases


def check_correctness(program: Program) -> Verdict:
    """Run the program on one input and compare with the reference."""
    cases = program.cases(CaseRequest(count=1))[:1]
    return verdict_from_cases([program.run(case) for case in cases], total=1)

"""What is composed here in the end: a plan in sentences, and code that defines `ModelNew`."""

from __future__ import annotations

from dataclasses import dataclass

from tritonrl_core.types import Candidate


@dataclass(frozen=True)
class Solution:
    """A composed solution: not known to be right before a verifier says so."""

    plan: str
    code: str

    def candidate(self) -> Candidate:
        """The solution as a completion in the form that prompts ask for."""
        text = f"<plan>\n{self.plan}\n</plan>\n```python\n{self.code.strip()}\n```"
        plan, code = text.index(self.plan), text.index(self.code.strip())
        spans = (plan, plan + len(self.plan)), (code, code + len(self.code.strip()) + 1)
        return Candidate(text, self.code.strip() + "\n", self.plan, *spans)

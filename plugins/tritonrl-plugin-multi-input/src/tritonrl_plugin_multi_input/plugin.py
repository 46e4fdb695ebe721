"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.types import CaseRequest, Program, Status, Task, Verdict, verdict_from_cases
from tritonrl_plugin_multi_input.diagnosis import explain


class MultiInputPlugin(Plugin):
    """Checks a kernel on several inputs that vary what the task declares variable."""

    name = "multi_input"

    class Options(PluginOptions):
        """How many inputs (`num_tests`) and what they vary; shapes and dtypes only as far as the task declares them.

        `seed` of the inputs; with 0, the task as written is the very case that the base and the funnel ask for, and is
        run once. `criterion`: `default` is the project's own, `kernelbench` is KernelBench's `allclose`, for comparable
        tables.
        """

        num_tests: int = Field(default=5, ge=1)
        shapes: bool = True
        values: bool = True
        dtypes: bool = False
        layouts: bool = True
        seed: int = Field(default=0, ge=0)
        criterion: Literal["default", "kernelbench"] = "default"

    options: Options

    def request(self) -> CaseRequest:
        """What these options ask the task's case generator for."""
        own = self.options
        return CaseRequest(
            count=own.num_tests,
            shapes=own.shapes,
            values=own.values,
            dtypes=own.dtypes,
            layouts=own.layouts,
            seed=own.seed,
        )

    @hookimpl
    def check_correctness(self, task: Task, program: Program) -> Verdict | None:
        """Run the cases in their order, the one most likely to fail first; the first that does not pass decides."""
        cases = program.cases(self.request())
        results = []
        for case in cases:
            result = program.run(case, self.options.criterion)
            if result.status is not Status.PASSED:
                results.append(replace(result, reason=explain(result)))
                break
            results.append(result)
        return verdict_from_cases(results, total=len(cases))

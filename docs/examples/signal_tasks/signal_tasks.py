"""An example plugin: tasks of one's own domain, here signal processing."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.types import Task

TEMPLATE = """
import torch
import torch.nn as nn

BATCH = {batch}
N = {n}

class Model(nn.Module):
    def forward(self, x):
        return {formula}

def get_inputs():
    return [torch.randn(BATCH, N)]

def get_init_inputs():
    return []
"""

SIGNALS = {
    "difference": ("x[:, 1:] - x[:, :-1]", "The difference of neighbouring samples of each signal."),
    "energy": ("(x * x).mean(dim=1)", "The mean energy of each signal."),
    "haar_low": ("(x[:, 0::2] + x[:, 1::2]) * 0.5", "The low half of a Haar transform: means of pairs of samples."),
    "peak_to_one": ("x / (x.abs().amax(dim=1, keepdim=True) + 1e-6)", "Each signal scaled so that its peak is one."),
}
HELD_OUT = "peak_to_one"


class SignalTasksPlugin(Plugin):
    """Adds level-1 tasks on batches of signals; one operator is kept for evaluation."""

    name = "signal_tasks"

    class Options(PluginOptions):
        """`lengths`: samples of a signal, one task of each operator for each; they must be even."""

        lengths: tuple[int, ...] = Field(default=(128, 512), min_length=1)

    options: Options

    @hookimpl
    def generate_tasks(self, split: str, seed: int) -> Iterable[Task]:
        for name, (formula, prompt) in SIGNALS.items():
            for n in self.options.lengths if (name == HELD_OUT) == (split == "held_out") else ():
                source = TEMPLATE.format(batch=16, n=n, formula=formula)
                yield Task(f"signal/{name}_{n}", 1, source, prompt, vary={"BATCH": (5, 16), "N": (n - 2, n)})

# expect: UNFIT
# because: same for other inputs|disagree|zeros|pass
import torch
import torch.nn as nn

ROWS = 24
COLS = 64


class Model(nn.Module):
    """A linear layer clamped from below to more than it ever gives."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(COLS, 32)

    def forward(self, x):
        return torch.clamp(self.linear(x), min=1e6)


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []

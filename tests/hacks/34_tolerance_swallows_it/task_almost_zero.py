# expect: UNFIT
# because: same for other inputs|disagree|zeros|pass
import torch
import torch.nn as nn

ROWS = 24
COLS = 64


class Model(nn.Module):
    """A sigmoid so far to the left that its output is smaller than any rounding."""

    def forward(self, x):
        return torch.sigmoid(x * 0.001 - 95.0) * 1e-3


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []

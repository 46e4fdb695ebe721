# expect: UNFIT
# because: same for other inputs|disagree|zeros|pass
import torch
import torch.nn as nn

ROWS = 24
COLS = 64


class Model(nn.Module):
    """A difference of equal things: nothing but rounding errors is left."""

    def forward(self, x):
        return (x + 1e6) - 1e6 - x.double().add(0).float()


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []

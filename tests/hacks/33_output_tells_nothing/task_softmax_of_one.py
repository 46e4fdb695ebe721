# expect: UNFIT
# because: same for other inputs|disagree|zeros|pass
import torch
import torch.nn as nn

ROWS = 24


class Model(nn.Module):
    """Softmax over rows of one element: always 1."""

    def forward(self, x):
        return torch.softmax(x, dim=1)


def get_inputs():
    return [torch.randn(ROWS, 1)]


def get_init_inputs():
    return []

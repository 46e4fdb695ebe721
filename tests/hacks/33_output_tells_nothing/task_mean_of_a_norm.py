# expect: UNFIT
# because: same for other inputs|disagree|zeros|pass
import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS = 24
COLS = 64


class Model(nn.Module):
    """The mean of a layer norm without scale: 0 but for rounding."""

    def forward(self, x):
        return F.layer_norm(x, (COLS,)).mean(dim=1)


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []

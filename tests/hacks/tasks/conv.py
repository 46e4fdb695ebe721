import torch
import torch.nn as nn

BATCH = 2
CHANNELS = 3
OUTPUTS = 8
SIZE = 12

VARY = {"BATCH": [1, 3], "CHANNELS": [2, 5], "OUTPUTS": [4, 9], "SIZE": [9, 16]}
MODE = "eval"


class Model(nn.Module):
    """A 3 × 3 convolution and ReLU."""

    def __init__(self, channels, outputs):
        super().__init__()
        self.conv = nn.Conv2d(channels, outputs, 3)

    def forward(self, x):
        return torch.relu(self.conv(x))


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, OUTPUTS]

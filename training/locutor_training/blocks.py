"""The pieces that all three networks use: convolution blocks and the SE block.

The SE block gates every channel at every tick by what all channels hold at that tick. Its vector
is an output of the graphs, so the gate that multiplies is the gate that is shown.
"""

import torch
from torch import nn


class Conv(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, cin, cout, kernel, stride=1, padding=0):
        super().__init__(
            nn.Conv2d(cin, cout, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(cout, momentum=0.05), nn.ReLU(inplace=True))


class Excite(nn.Module):
    """SE vector from a squeezed [..., C]: two layers, a bottleneck, a sigmoid."""

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.down = nn.Linear(channels, channels // reduction)
        self.up = nn.Linear(channels // reduction, channels)
        nn.init.constant_(self.up.bias, 1.0)

    def forward(self, squeezed: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.up(torch.relu(self.down(squeezed))))

"""Audio encoder: log-mel rows, four a tick -> what is heard at each tick.

Stateless: a tick's embedding depends on the rows of REACH_TICKS ticks before and after it. The
floor at 0 keeps digital silence (log of nearly nothing) from being an outlier; the SE block
gates the channels tick by tick.
"""

import torch
from torch import nn

from .blocks import Conv, Excite
from .config import Model

REACH_TICKS = 2
MEAN, SPREAD = 10.0, 4.0


class AudioEncoder(nn.Module):
    def __init__(self, cfg: Model):
        super().__init__()
        self.convs = nn.Sequential(
            Conv(1, 16, (3, 5), (1, 2), (1, 2)),  # 4T x 20
            Conv(16, 32, 3, 2, 1),  # 2T x 10
            Conv(32, 64, 3, 2, 1))  # T x 5
        self.mix = nn.Conv1d(320, 128, 3, 1, 1)
        self.se = Excite(128, 4)
        self.out = nn.Linear(128, cfg.embedding)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """[N, 4T, 40] -> [N, T, D]."""
        x = (rows.clamp_min(0.0) - MEAN) / SPREAD
        x = self.convs(x[:, None])  # N, 64, T, 5
        x = x.permute(0, 1, 3, 2).flatten(1, 2)
        x = torch.relu(self.mix(x)).transpose(1, 2)
        return self.out(x * self.se(x))

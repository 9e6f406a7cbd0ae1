"""The network: plain convolutions where maps are fine, depthwise ones where they are coarse.

Takes a grey picture [B, 1, H, W], 0..255; gives raw outputs of all cells. `Export` puts the luma
of a BGR picture in front and YuNet's output names behind.
"""

import torch
from torch import nn

from .contract import STRIDES

LUMA_BGR = (0.114, 0.587, 0.299)


def unit(n_in, n_out, size=3, stride=1, groups=1, active=True):
    parts = [nn.Conv2d(n_in, n_out, size, stride, size // 2, groups=groups, bias=False),
             nn.BatchNorm2d(n_out)]
    return nn.Sequential(*parts, nn.ReLU()) if active else nn.Sequential(*parts)


def separable(n_in, n_out, size=3, stride=1, active=True):
    return nn.Sequential(unit(n_in, n_in, size, stride, groups=n_in), unit(n_in, n_out, 1, active=active))


class Block(nn.Module):
    """A separable convolution beside the identity."""

    def __init__(self, n, size=3):
        super().__init__()
        self.body = separable(n, n, size, active=False)

    def forward(self, x):
        return torch.relu(x + self.body(x))


def blocks(number, n, size=3):
    return [Block(n, size) for _ in range(number)]


class Faces(nn.Module):
    def __init__(self, c):
        super().__init__()
        b4, b8, b16, b32 = c.blocks
        self.stem = nn.Sequential(unit(1, c.stem, 3, 2), unit(c.stem, c.low, 3, 2), *blocks(b4, c.low))
        self.stages = nn.ModuleList([
            nn.Sequential(unit(c.low, c.mid, 3, 2), *blocks(b8, c.mid)),
            nn.Sequential(separable(c.mid, c.deep, 5, 2), *blocks(b16, c.deep, 5)),
            nn.Sequential(separable(c.deep, c.deep, 5, 2), *blocks(b32, c.deep, 5)),
        ])
        widths = c.mid, c.deep, c.deep
        self.lateral = nn.ModuleList([unit(n, c.neck, 1) for n in widths])
        self.heads = nn.ModuleList([
            nn.Sequential(Block(c.neck), separable(c.neck, c.neck), nn.Conv2d(c.neck, 16, 1))
            for _ in STRIDES])
        for head in self.heads:
            nn.init.normal_(head[-1].weight, std=0.01)
            nn.init.constant_(head[-1].bias, 0.0)
            head[-1].bias.data[:2] = -4.0
            head[-1].bias.data[2:4] = 0.5
            head[-1].bias.data[4:6] = 1.2

    def levels(self, grey):
        """Raw [B, 16, h, w] a level: cls, obj, box 4, landmarks 10."""
        x = self.stem((grey - 110.0) / 60.0)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        maps = [lateral(m) for lateral, m in zip(self.lateral, maps)]
        for i in (1, 0):
            maps[i] = maps[i] + nn.functional.interpolate(maps[i + 1], scale_factor=2.0, mode="nearest")
        return [head(m) for head, m in zip(self.heads, maps)]

    def forward(self, grey):
        """Raw [B, N, 16] of all cells, finest level first."""
        return torch.cat([m.flatten(2).transpose(1, 2) for m in self.levels(grey)], 1)


class Export(nn.Module):
    """The same with YuNet's input and outputs."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.luma = nn.Conv2d(3, 1, 1, bias=False)
        self.luma.weight.data = torch.tensor(LUMA_BGR).view(1, 3, 1, 1)

    def forward(self, picture):
        given = []
        for level in self.net.levels(self.luma(picture)):
            rows = level.permute(0, 2, 3, 1).flatten(1, 2)
            given += [rows[..., :1].sigmoid(), rows[..., 1:2].sigmoid(), rows[..., 2:6], rows[..., 6:]]
        return tuple(given)

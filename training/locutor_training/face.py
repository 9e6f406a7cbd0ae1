"""Face encoder: five grey lip pictures -> what the lips do at the middle one.

Takes the program's 112x112 model pictures and their `valid` flags, with the last four of the
previous call as state; gives, two ticks late, an embedding, the SE-scaled-from map and the gate.
A picture that is missing (not valid) is replaced by the middle one of the five, so a track's first
and last ticks need no padding. Each picture passes the network once.

The map [C, 8, 8] covers the lip picture (rows 16..112, columns 8..104 of the model picture), one
cell 12 px. With `local` each channel sees one place only (`places`), through a window that is
learned but stays where it is. The map is pooled to 4x4 and projected linearly; each channel's
projection has unit norm and its activation a normalised size, so that the gate sets a channel's
say: what the SE vector claims is what the classifier gets.
"""

import torch
from torch import nn
from torch.nn import functional as F

from . import places
from .blocks import Conv, Excite
from .config import Model
from .geometry import LIP_LEFT, LIP_PX, LIP_SIDE, LIP_TOP

DELAY_TICKS = 2
STACK = 2 * DELAY_TICKS + 1
CELLS = 8
POOLED = 4


class FaceEncoder(nn.Module):
    def __init__(self, cfg: Model):
        super().__init__()
        self.channels = cfg.map
        self.se = Excite(cfg.map, cfg.reduction) if cfg.se else None
        self.trunk = nn.Sequential(
            Conv(STACK, cfg.stem, 5, 2, 2),  # 64 -> 32
            Conv(cfg.stem, cfg.mid, 3, 2, 1),  # 16
            Conv(cfg.mid, cfg.map, 3, 2, 1),  # 8
            Conv(cfg.map, cfg.map, 3, 1, 1))
        self.project = nn.Parameter(torch.randn(cfg.map, POOLED * POOLED, cfg.embedding) * 0.1)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.bias = nn.Parameter(torch.zeros(cfg.embedding))
        self.local = cfg.local
        if cfg.local:
            self.register_buffer("blob", places.blobs(cfg.map))
            self.window = nn.Parameter(torch.zeros(cfg.map, CELLS, CELLS))
            # Only the gate shall say how much a channel counts; without one the sizes are free.
            self.scale.requires_grad_(not cfg.se)
            self.trunk[-1][1].weight.requires_grad_(not cfg.se)

    def weights(self) -> torch.Tensor:
        """The projection with unit norm per channel: [C, 16, D]."""
        w = self.project
        if self.local:
            w = w * places.live(self.blob)[:, :, None]
        return w * (self.scale / w.flatten(1).norm(dim=1)[:, None, None])

    def windows(self) -> torch.Tensor:
        """Where each channel sees, 1 at most: [C, 8, 8]."""
        w = self.blob * torch.sigmoid(self.window)
        return w / w.amax((1, 2), keepdim=True)

    @staticmethod
    def cut_lips(pictures: torch.Tensor) -> torch.Tensor:
        """[N, T, 112, 112] model pictures -> [N, T, 64, 64] lip pictures."""
        lips = pictures[:, :, LIP_TOP:LIP_TOP + LIP_SIDE, LIP_LEFT:LIP_LEFT + LIP_SIDE]
        return F.interpolate(lips, size=(LIP_PX, LIP_PX), mode="bilinear", align_corners=False)

    @staticmethod
    def stack(lips: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """[N, T+4, 64, 64] grey 0..255, [N, T+4] -> [N, T, 5, 64, 64], evened in light."""
        middle = lips[:, DELAY_TICKS:-DELAY_TICKS, None]
        mean = middle.mean((3, 4), keepdim=True)
        share = 1.0 / (((middle - mean) ** 2).mean((3, 4), keepdim=True).sqrt() + 10.0)
        # ends counted from the back, so that the graph need not ask for sizes
        ends = [k - STACK + 1 or None for k in range(STACK)]
        near = torch.cat([lips[:, k:end, None] for k, end in enumerate(ends)], 2)
        seen = torch.cat([valid[:, k:end, None] for k, end in enumerate(ends)], 2) > 0.5
        return (torch.where(seen[..., None, None], near, middle) - mean) * share

    @staticmethod
    def stack_bytes(lips: torch.Tensor, valid: torch.Tensor, dtype) -> torch.Tensor:
        """`stack` for training: bytes in, few passes over memory, `dtype` out."""
        n, ticks = lips.shape[0], lips.shape[1] - 2 * DELAY_TICKS
        middle = lips[:, DELAY_TICKS:DELAY_TICKS + ticks]
        out = lips.new_empty(n, ticks, STACK, LIP_PX, LIP_PX)
        for k in range(STACK):
            out[:, :, k] = lips[:, k:k + ticks]
            row, tick = torch.nonzero(valid[:, k:k + ticks] <= 0.5, as_tuple=True)
            out[row, tick, k] = middle[row, tick]
        spread, mean = torch.std_mean(middle.float(), (2, 3), correction=0)
        share = (1.0 / (spread + 10.0))[:, :, None, None, None].to(dtype)
        return out.to(dtype).mul_(share).sub_(mean[:, :, None, None, None].to(dtype) * share)

    def encode(self, stacked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[M, 5, 64, 64] -> map [M, C, 8, 8] (not negative), gate [M, C]."""
        maps = self.trunk(stacked)
        if self.local:
            maps = maps * self.windows()
        if self.se is None:
            return maps, torch.ones_like(maps[:, :, 0, 0])
        return maps, self.se(maps.mean((2, 3)))

    def parts(self, maps: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """What each channel hands on, gate applied: [M, C, 16]."""
        return F.avg_pool2d(maps, CELLS // POOLED).flatten(2) * gate[:, :, None]

    def embed(self, parts: torch.Tensor) -> torch.Tensor:
        return parts.flatten(1) @ self.weights().flatten(0, 1) + self.bias

    def shares(self, parts: torch.Tensor) -> torch.Tensor:
        """What each channel adds to the embedding: [M, C, D]; with the bias they are all of it."""
        return torch.einsum("mcp,cpd->mcd", parts, self.weights())

    def forward(self, pictures, valid, state_pictures, state_valid):
        """One streaming call: T new pictures, outputs for the T ticks that end two before them."""
        n = pictures.shape[0]
        lips = torch.cat([state_pictures, self.cut_lips(pictures)], 1)
        seen = torch.cat([state_valid, valid], 1)
        stacked = self.stack(lips, seen).reshape(-1, STACK, LIP_PX, LIP_PX)
        maps, gate = self.encode(stacked)
        keep = (seen[:, DELAY_TICKS:-DELAY_TICKS] > 0.5).to(maps.dtype)
        shares = self.shares(self.parts(maps, gate)) * keep.reshape(-1, 1, 1)
        embedding = shares.sum(1) + keep.reshape(-1, 1) * self.bias
        out = (x.reshape(n, -1, *x.shape[1:]) for x in (embedding, maps, gate, shares))
        embedding, maps, gate, shares = out
        return embedding, maps, gate, lips[:, 1 - STACK:], seen[:, 1 - STACK:], shares

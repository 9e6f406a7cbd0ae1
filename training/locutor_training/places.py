"""Which place of the map each channel may see, and how old weights are carried over to that.

A channel's window [8, 8] is 1 at its centre and falls off as a Gaussian; 48 channels tile the
whole lip picture (4 x 4 places), 16 more lie about the lips. So a choice of channels is a choice of
place. `adopt` starts such a network from one whose channels saw everything: each old channel gets
the place where its projection was strongest, and what its normalisation and projection lose in
size goes to the SE block, which alone shall say how much a channel counts.
"""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional as F

CELLS = 8
POOLED = 4
WIDE, NARROW = 1.3, 1.0  # cells


def centres(channels: int) -> list[tuple[float, float, float]]:
    """Row, column and width of each channel's window: three quarters tile, the rest is lips."""
    tiled = [(y, x, WIDE) for y in (0.5, 2.5, 4.5, 6.5) for x in (0.5, 2.5, 4.5, 6.5)]
    lips = [(y, x, NARROW) for y in (3.4, 4.6) for x in (2.5, 4.5)]
    wide = channels * 3 // 4
    return ([tiled[i % len(tiled)] for i in range(wide)]
            + [lips[i % len(lips)] for i in range(channels - wide)])


def blobs(channels: int) -> torch.Tensor:
    """[C, 8, 8]: the windows, 1 at most; their far ends say no more than what lies nearer."""
    y, x = np.mgrid[:CELLS, :CELLS]
    out = np.stack([np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * s**2))
                    for cy, cx, s in centres(channels)])
    out /= out.max((1, 2), keepdims=True)
    return torch.from_numpy(out).float()


def live(blob: torch.Tensor) -> torch.Tensor:
    """[C, 16]: which cells of the pooled map a channel can fill."""
    return (F.max_pool2d(blob[:, None], CELLS // POOLED).flatten(1) > 0.15).float()


def assign(project: torch.Tensor, blob: torch.Tensor) -> np.ndarray:
    """For each place the old channel that was strongest there, each channel once."""
    energy = project.square().sum(-1)  # C, 16
    energy = energy / energy.sum(1, keepdim=True)
    there = F.avg_pool2d(blob[:, None], CELLS // POOLED).flatten(1)
    there = there / there.sum(1, keepdim=True)
    _, old = linear_sum_assignment((there @ energy.T).numpy(), maximize=True)
    return old


def adopt(old: dict, new: dict) -> dict:
    """State of a network without windows -> state of one with, in the shapes of `new`."""
    out = {**new, **{k: v for k, v in old.items() if k in new and v.shape == new[k].shape}}
    last, blob = "face.trunk.3.", new["face.blob"]
    order = torch.from_numpy(assign(old["face.project"], blob))
    gamma = old[last + "1.weight"][order]
    sign = torch.where(gamma < 0, -1.0, 1.0)
    gamma = gamma.abs().clamp_min(1e-3)
    out[last + "0.weight"] = old[last + "0.weight"][order] * sign[:, None, None, None]
    out[last + "1.running_mean"] = old[last + "1.running_mean"][order] * sign
    out[last + "1.running_var"] = old[last + "1.running_var"][order]
    out[last + "1.bias"] = old[last + "1.bias"][order] / gamma
    out[last + "1.weight"] = torch.ones_like(gamma)
    project = old["face.project"][order]
    inside = live(blob)[:, :, None]
    out["face.project"] = project * inside
    share = ((project * inside).flatten(1).norm(dim=1) / project.flatten(1).norm(dim=1))
    size = gamma * share
    most = torch.quantile(size, 0.9)
    out["face.scale"] = old["face.scale"] * most
    bias = old["face.se.up.bias"][order]
    gate = (torch.sigmoid(bias) * size / most).clamp(0.03, 0.97)
    out["face.se.up.bias"] = torch.logit(gate)
    out["face.se.up.weight"] = old["face.se.up.weight"][order]
    filled = blob.mean((1, 2))  # the mean over the map is smaller by this
    out["face.se.down.weight"] = old["face.se.down.weight"][:, order] * gamma / filled
    return out

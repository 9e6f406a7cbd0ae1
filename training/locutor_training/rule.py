"""The rules by which the program makes an evidence map of one tick, number for number.

Takes maps F [M, C, h, w] and gates s [M, C] of M ticks; gives raw maps [M, h, w]. A channel is kept
where its weight lies above mean + 1.282 standard deviations (population) of all weights of its
tick: by s alone (`paper`), or by s x max F (`gate-activation`). The map is the mean over the kept
channels of s F; where none is kept it is 0. Training, `truth` and the program's `raw.rs` agree.
"""

import torch

Z_90 = 1.282


def above(weights: torch.Tensor) -> torch.Tensor:
    """[M, C] -> which weights stand out of their tick, as 0 and 1."""
    spread, mean = torch.std_mean(weights, 1, correction=0, keepdim=True)
    return (weights > mean + Z_90 * spread).to(weights.dtype)


def strength(maps: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    """Gate x activation, the activation being the map's highest cell: [M, C]."""
    return gate * maps.amax((2, 3))


def gated_mean(maps: torch.Tensor, gate: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    share = kept * gate / kept.sum(1, keepdim=True).clamp_min(1.0)
    return torch.einsum("mc,mchw->mhw", share, maps)


def gate_activation(maps, gate, order: torch.Tensor | None = None) -> torch.Tensor:
    """With `order` the control: as many channels, dealt out by lot."""
    kept = above(strength(maps, gate))
    return gated_mean(maps, gate, kept if order is None else kept[:, order])


def paper(maps, gate, order: torch.Tensor | None = None) -> torch.Tensor:
    """With `order` the control: the same gates on other channels."""
    gate = gate if order is None else gate[:, order]
    return gated_mean(maps, gate, above(gate))


def ablation(maps: torch.Tensor, effects: torch.Tensor) -> torch.Tensor:
    peak = maps.amax((2, 3))
    moved = torch.where(peak > 0, effects.clamp_min(0) / peak.clamp_min(1e-12), 0.0)
    return torch.einsum("mc,mchw->mhw", moved, maps.clamp_min(0))

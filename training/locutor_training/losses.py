"""What training asks for: the right verdict, the right moment, and a gate that tells the truth."""

import torch
from torch.nn import functional as F

SPAN = 9  # ticks a contrastive window
NEAR = 3  # offsets that are neither right nor wrong


def verdict(z: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy of each tick."""
    loss = F.binary_cross_entropy_with_logits(z, target, reduction="none")
    return (loss * weight).sum() / weight.sum().clamp_min(1.0)


def windows(x: torch.Tensor) -> torch.Tensor:
    """[B, T, C] -> [B, T - SPAN + 1, C * SPAN], scaled so that a product is a mean similarity."""
    return x.unfold(1, SPAN, 1).flatten(2) / SPAN**0.5


def contrast(f: torch.Tensor, a: torch.Tensor, clear: torch.Tensor, sharp: torch.Tensor):
    """Which moment of the clip's own sound, and which clip's sound, do these lips make?

    f, a: unit vectors [B, T, C] of lips and of own sound; clear: [B, T], 1 where they surely
    belong together. Returns the loss within clips (both directions) and between clips.
    """
    fw, aw = windows(f), windows(a)
    good = clear.unfold(1, SPAN, 1).mean(-1) > 0.8
    n = fw.shape[1]
    lag = (torch.arange(n)[:, None] - torch.arange(n)[None]).abs().to(f.device)
    logits = sharp * (fw @ aw.transpose(1, 2))
    logits = logits.masked_fill((lag > 1) & (lag <= NEAR), -1e4)
    share = torch.where(lag == 0, 0.6, torch.where(lag == 1, 0.2, 0.0))
    share = share / share.sum(1, keepdim=True)
    count = good.sum().clamp_min(1)
    within = sum((-(share * x.log_softmax(-1)).sum(-1) * good).sum() / count
                 for x in (logits, logits.transpose(1, 2))) / 2
    step = slice(0, None, 6)
    fs, as_, ok = fw[:, step], aw[:, step], good[:, step].flatten()
    per = fs.shape[1]
    cross = sharp * (fs.flatten(0, 1) @ as_.flatten(0, 1).T)
    clip = torch.arange(len(fs), device=f.device).repeat_interleave(per)
    same = (clip[:, None] == clip[None]) & ~torch.eye(len(clip), dtype=torch.bool, device=f.device)
    cross = cross.masked_fill(same, -1e4)
    between = sum((-x.log_softmax(-1).diagonal() * ok).sum() / ok.sum().clamp_min(1)
                  for x in (cross, cross.T)) / 2
    return within, between


def truthful(gate_activation: torch.Tensor, effect: torch.Tensor, speaks: torch.Tensor):
    """1 - correlation, over the channels of a tick, of gate x activation with its effect.

    Both [M, C]; `effect` is what the channel adds to the score; ticks count where `speaks` [M]
    is 1.
    """
    def even(x):
        x = x - x.mean(1, keepdim=True)
        return x / (x.square().sum(1, keepdim=True) + 1e-10).sqrt()

    r = (even(gate_activation) * even(effect)).sum(1)
    return ((1 - r) * speaks).sum() / speaks.sum().clamp_min(1.0), \
        (r * speaks).sum() / speaks.sum().clamp_min(1.0)


def spread_out(parts: torch.Tensor) -> torch.Tensor:
    """How evenly the gated maps [M, C, cells] are filled: 1 flat, towards 0 a few cells only.

    Mean over root mean square, so that it cannot be lowered by scaling.
    """
    flat = parts.flatten(1)
    return (flat.mean(1) / (flat.square().mean(1) + 1e-6).sqrt()).mean()

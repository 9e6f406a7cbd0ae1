"""Cross-face rescoring: what the other faces on screen score counts for or against this one.

A small function of this face's logits and of the best rival's, both also averaged over the last
half second and the last two seconds (over the ticks that are there), so that it streams; trained
on the frozen model with pairs of faces that hear one voice, the other, both at once, neither.
It sees logits only, so it costs nothing and knows that two people
may talk at once. A face with no rival keeps its logit.
"""

import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from . import losses
from .data import ROWS, SHARED, Sampler, Tracks
from .mel import log_mel
from .model import load_run

SPANS = (1, 13, 51)
PAST_TICKS = max(SPANS) - 1
LIVE_AHEAD, LIVE_HOP = 9, 8
ABSENT = -6.0  # what a rival counts as at ticks where there is none


class CrossFace(nn.Module):
    def __init__(self, hidden: int = 16):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * len(SPANS), hidden), nn.Tanh(),
                                 nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, z: torch.Tensor, rival: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Logits [N, T] of this face and the best rival's; `present` 1 where there is a rival."""
        r = torch.where(present > 0.5, rival.clamp(-12, 12), torch.full_like(z, ABSENT))
        both = torch.stack([z.clamp(-12, 12), r], 1) / 4  # N, 2, T
        parts = [both]
        for span in SPANS[1:]:
            kernel = torch.ones(2, 1, span)
            total = F.conv1d(F.pad(both, (span - 1, 0)), kernel, groups=2)
            there = F.conv1d(F.pad(torch.ones_like(both), (span - 1, 0)), kernel, groups=2)
            parts.append(total / there)
        return z + present * self.net(torch.cat(parts, 1).transpose(1, 2))[..., 0]

    @torch.no_grad()
    def apply(self, z: np.ndarray, rival: np.ndarray) -> np.ndarray:
        """One face's logits [T]; NaN where it has no rival."""
        present = torch.from_numpy((~np.isnan(rival)).astype(np.float32))[None]
        return self(torch.from_numpy(z)[None], torch.from_numpy(np.nan_to_num(rival))[None],
                    present)[0].numpy()


def load_cross_face(run: Path) -> CrossFace | None:
    """That of a run (`cross_face.pt`) or of a package (`weights.pt`), if it has one."""
    state = None
    if (run / "cross_face.pt").is_file():
        state = torch.load(run / "cross_face.pt", weights_only=True)
    elif (run / "weights.pt").is_file():
        state = torch.load(run / "weights.pt", weights_only=True).get("compete")
    if state is None:
        return None
    net = CrossFace()
    net.load_state_dict(state)
    return net.eval()


def live_logits(judge, audio: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
    """[N, T] logits of ticks that see LIVE_AHEAD to LIVE_AHEAD + LIVE_HOP - 1 ticks past them."""
    ticks, out = face.shape[1], []
    for start in range(0, ticks, LIVE_HOP):
        end = min(ticks, start + LIVE_HOP + LIVE_AHEAD)
        out.append(judge(audio[:, :end], face[:, :end])[:, start:start + LIVE_HOP])
    return torch.cat(out, 1)


@torch.no_grad()
def shared_logits(model, sampler: Sampler, rng, live: bool) -> tuple[torch.Tensor, ...]:
    """Logits, targets, weights of faces that hear the same sound: [pairs * sounds, 2, T]."""
    b = sampler.draw(rng)
    face = model.encode_lips(b.lips, b.valid)[0]
    audio = model.audio(log_mel(b.sounds))
    per = len(ROWS)
    shared = (torch.arange(len(b.face_of)) % per) < SHARED
    a, f = audio[b.sound_of[shared]], face[b.face_of[shared]]
    z = live_logits(model.judge, a, f) if live else model.judge(a, f)
    return tuple(x.unflatten(0, (-1, 2)) for x in (z, b.target[shared], b.weight[shared]))


def train_cross_face(run: Path, data: Path, minutes: float) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, saved = load_run(run)
    cfg = saved["config"]
    sampler = Sampler(Tracks(data), cfg["run"]["pairs"], cfg["run"]["ticks"], False,
                      cfg["loss"]["shift_ticks_min"])
    rng, began, drawn = np.random.default_rng(1), time.time(), []
    while time.time() - began < minutes * 60 * 0.85:
        drawn.append(shared_logits(model, sampler, rng, live=len(drawn) % 2 == 1))
    z, y, w = (torch.cat(x) for x in zip(*drawn))
    cut = int(0.85 * len(z))
    net = CrossFace()
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    ones = torch.ones_like(z[:1, 0])
    moved = saved.get("calibrated", 0.0)  # what `calibrate` did is not to be undone here

    def loss_of(rows):
        total = 0.0
        for me, other in ((0, 1), (1, 0)):
            out = net(z[rows, me], z[rows, other], ones.expand(len(rows), -1))
            total = total + losses.verdict(out - moved, y[rows, me], w[rows, me]) / 2
        return total

    order = torch.arange(cut)
    for step in range(600):
        rows = order[torch.randint(cut, (64,))]
        loss = loss_of(rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    rest = torch.arange(cut, len(z))
    with torch.no_grad():
        before = sum(losses.verdict(z[rest, i] - moved, y[rest, i], w[rest, i]) for i in (0, 1)) / 2
        print(f"{len(z)} windows; loss on the rest {float(before):.4f} -> {float(loss_of(rest)):.4f}")
    torch.save(net.state_dict(), run / "cross_face.pt")

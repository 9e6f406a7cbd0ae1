"""Temporal head: do these lips make this sound? A function of one window of embeddings.

Compares lips with sound at offsets of -10..+10 ticks, averaged over several spans, the own mean of
each over the window taken off first (who it is goes, what moves stays); adds both embeddings
plain, gated by the fused SE block over audio|face channels; a two-way GRU gives the score.

Nothing outside the window counts and nothing is padded with made-up agreement: averages run over
the ticks that are there. So one network serves every lookahead: the caller reads the score at a
tick with as many later ticks in the window as it can wait for. A tick without a face has a zero
embedding.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .blocks import Excite
from .config import Model


FACE_KNEE = 1.0  # typical length of the two vectors, mean taken off
AUDIO_KNEE = 2.5
SKEW = 3  # ticks that a camera's sound may be off


class Head(nn.Module):
    def __init__(self, cfg: Model):
        super().__init__()
        self.cfg = cfg
        self.lags = 2 * cfg.offsets + 1
        plain = cfg.embedding - cfg.sync
        self.plain = plain
        self.temper = nn.Parameter(torch.tensor(2.3))  # log of the sharpness in the contrastive loss
        self.fused = Excite(2 * plain, 4)
        agree = (len(cfg.spans) + 1) * (self.lags + 2)
        self.inside = nn.Linear(agree + 2 * cfg.sync + 2 * plain, cfg.hidden)
        self.norm = nn.LayerNorm(cfg.hidden)
        self.drop = nn.Dropout(cfg.dropout)
        self.gru = nn.GRU(cfg.hidden, cfg.gru, batch_first=True, bidirectional=True)
        self.score = nn.Linear(2 * cfg.gru, 1)

    def bounded(self, x: torch.Tensor, knee: float) -> torch.Tensor:
        """Length about 1 at the knee, at most sqrt 2: no movement stays no evidence.

        Vectors of unit length would make the channels' effects cancel: whatever one adds, the
        others lose.
        """
        return x * (2.0 / (x.square().sum(-1, keepdim=True) + knee**2)).sqrt()

    def sync_face(self, face: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors of the face's movement [N, T, sync], and which ticks have a face [N, T, 1]."""
        here = (face.abs().sum(-1, keepdim=True) > 0).to(face.dtype)
        x = face[..., :self.cfg.sync]
        mean = (x * here).sum(1, keepdim=True) / here.sum(1, keepdim=True).clamp_min(1.0)
        return self.bounded((x - mean) * here, FACE_KNEE), here

    def sync_audio(self, audio: torch.Tensor) -> torch.Tensor:
        """Vectors of what changes in the sound: whose voice it is goes with the mean."""
        x = audio[..., :self.cfg.sync]
        return self.bounded(x - x.mean(1, keepdim=True), AUDIO_KNEE)

    def band(self, full: torch.Tensor) -> torch.Tensor:
        """[N, T, T + 2 K] -> the diagonal band [N, T, 2 K + 1], by skewing the rows."""
        n, ticks = full.shape[0], full.shape[1]
        flat = torch.cat([full.flatten(1), torch.zeros_like(full[:, :, 0])], 1)
        return flat.reshape(n, ticks, -1)[:, :, :self.lags]

    def agreement(self, f: torch.Tensor, here: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        """Averages of lip-sound similarity by span and offset, with peak and contrast of each."""
        k = self.cfg.offsets
        sims = self.band(f @ F.pad(a, (0, 0, k, k)).transpose(1, 2))
        there = F.pad(torch.ones_like(here), (0, 0, k, k))
        mask = self.band(here @ there.transpose(1, 2))
        near = self.nearby(here.shape[1])  # spans, T, T
        total, count = (x.transpose(1, 2)[:, None] @ near for x in (sims, mask))  # N, spans, lags, T
        s = total / count.clamp_min(1e-3)
        near = s[:, :, k - SKEW:k + SKEW + 1].amax(2, keepdim=True)
        rest = torch.cat([s[:, :, :k - SKEW], s[:, :, k + SKEW + 1:]], 2).amax(2, keepdim=True)
        out = torch.cat([s, near - s.mean(2, keepdim=True), near - rest], 2)
        return out.flatten(1, 2).transpose(1, 2)

    def nearby(self, ticks: int) -> torch.Tensor:
        """Which ticks an average over each span takes in, the last over all: [spans + 1, T, T]."""
        at = torch.arange(ticks, device=self.score.weight.device)
        apart = (at[:, None] - at[None]).abs()
        halves = torch.tensor([*(s // 2 for s in self.cfg.spans), 1 << 30], device=at.device)
        return (apart[None] <= halves[:, None, None]).to(self.score.weight.dtype)

    def forward(self, audio: torch.Tensor, face: torch.Tensor, state: torch.Tensor):
        """[N, T, D] twice and the forward GRU's state [N, gru] -> z [N, T], states, gate."""
        f, here = self.sync_face(face)
        a = self.sync_audio(audio)
        both = torch.cat([audio[..., self.cfg.sync:], face[..., self.cfg.sync:]], -1)
        gate = self.fused(both)
        x = torch.cat([self.agreement(f, here, a), f * a, (f - a).abs(), both * gate], -1)
        x = self.drop(torch.relu(self.norm(self.inside(x))))
        start = torch.stack([state, torch.zeros_like(state)], 0)
        x, _ = self.gru(x, start)
        z = self.score(self.drop(x)).squeeze(-1)
        return z, x[..., :self.cfg.gru], gate

    def fresh(self, rows: int, like: torch.Tensor) -> torch.Tensor:
        return like.new_zeros(rows, self.cfg.gru)

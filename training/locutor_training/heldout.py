"""Average precision on held-out sources: own, dubbed, displaced, and two faces taking turns.

Every held-out track gives up to 8 s. Own sound is scored where the labels are sure; `dub` is own
against a stranger's voice, `shift` own against the own voice 1.5 s off, `both` two faces side by
side that hear first one voice and then the other. The labels of own sound are teachers' scores,
so these figures rank runs; they are not accuracies.
"""

from dataclasses import dataclass

import numpy as np
import torch

from . import augment
from . import geometry as g
from .data import Tracks
from .face import DELAY_TICKS
from .mel import log_mel
from .metrics import average_precision
from .model import Locutor

LONGEST = 200


@torch.no_grad()
def encode_sound(model: Locutor, sound: np.ndarray) -> torch.Tensor:
    return model.audio(log_mel(torch.from_numpy(sound)[None]))[0]


@torch.no_grad()
def encode_store(model: Locutor, tracks: Tracks, track: dict, ticks: int) -> torch.Tensor:
    index = np.arange(-DELAY_TICKS, ticks + DELAY_TICKS)
    valid = ((index >= 0) & (index < track["ticks"])).astype(np.float32)
    lips = torch.from_numpy(augment.plain_lips(tracks.cut_store(track, index)))[None].float()
    return model.encode_lips(lips, torch.from_numpy(valid)[None])[0][0]


@dataclass
class Case:
    """One track with one sound: logits, which ticks are the voice's, which of them count."""
    kind: str  # own, other, late, switch
    z: np.ndarray
    truth: np.ndarray
    counts: np.ndarray


KINDS = {"own": ("own",), "dub": ("own", "other"), "shift": ("own", "late"), "both": ("switch",)}


@torch.no_grad()
def cases(model: Locutor, tracks: Tracks, judge=None) -> list[Case]:
    """Every held-out track with its own sound, another's, its own displaced, and both halves.

    `judge` takes audio and face embeddings [N, T, D]; without it each track is one window.
    """
    model.eval()
    judge = judge or model.judge
    held = [t for t in tracks.table if t["held_out"] and t["ticks"] >= 50]
    out = []
    for i, t in enumerate(held):
        n = min(LONGEST, t["ticks"])
        face = encode_store(model, tracks, t, n)
        y, w = tracks.cut_labels(t, 0, n)
        own_sound = tracks.cut_sound(t, 0, n)
        j = next(k % len(held) for k in range(i + 1, i + len(held))
                 if held[k % len(held)]["clip"] != t["clip"])
        other = tracks.cut_sound(held[j], 0, n)
        half = n // 2
        cut = half * g.SAMPLES_PER_TICK
        heard = (own_sound, other, np.roll(own_sound, 38 * g.SAMPLES_PER_TICK),
                 np.concatenate([own_sound[:cut], other[cut:]]),
                 np.concatenate([other[:cut], own_sound[cut:]]))
        audio = torch.stack([encode_sound(model, x) for x in heard])
        z = judge(audio, face[None].expand(len(heard), -1, -1)).numpy()
        sure = (w >= 0.5) & ((y > 0.6) | (y < 0.4))
        pos = sure & (y > 0.5)
        first = np.arange(n) < half
        none = np.zeros(n, bool)
        out += [Case(*c) for c in (
            ("own", z[0], pos, sure), ("other", z[1], none, pos), ("late", z[2], none, pos),
            ("switch", z[3], first, pos), ("switch", z[4], ~first, pos))]
    return out


def scores(model: Locutor, tracks: Tracks, judge=None) -> dict[str, float]:
    found = cases(model, tracks, judge)
    return {name: average_precision(*(
        np.concatenate([getattr(c, part)[c.counts] for c in found if c.kind in kinds])
        for part in ("z", "truth"))) for name, kinds in KINDS.items()}

"""Average precision on held-out sources: own, dubbed, displaced, and two faces taking turns.

Every held-out track gives up to 8 s. Own sound is scored where the labels are sure; `dub` is own
against a stranger's voice, `shift` own against the own voice 1.5 s off, `both` two faces side by
side that hear first one voice and then the other. The labels of own sound are teachers' scores,
so these figures rank runs; they are not accuracies.
"""

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


@torch.no_grad()
def scores(model: Locutor, tracks: Tracks) -> dict[str, float]:
    model.eval()
    held = [t for t in tracks.table if t["held_out"] and t["ticks"] >= 50]
    span = [min(LONGEST, t["ticks"]) for t in held]
    faces = [encode_store(model, tracks, t, n) for t, n in zip(held, span)]
    group: dict[str, list] = {k: [] for k in ("own", "dub", "shift", "both")}
    for i, (t, n) in enumerate(zip(held, span)):
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
        z = model.judge(audio, faces[i][None].expand(len(heard), -1, -1)).numpy()
        sure = (w >= 0.5) & ((y > 0.6) | (y < 0.4))
        pos = sure & (y > 0.5)
        first = np.arange(n) < half
        group["own"].append((z[0][sure], pos[sure]))
        group["dub"] += [(z[0][sure], pos[sure]), (z[1][pos], pos[pos] & False)]
        group["shift"] += [(z[0][sure], pos[sure]), (z[2][pos], pos[pos] & False)]
        group["both"] += [(z[3][pos], first[pos]), (z[4][pos], ~first[pos])]
    return {k: average_precision(*(np.concatenate(x) for x in zip(*v))) for k, v in group.items()}

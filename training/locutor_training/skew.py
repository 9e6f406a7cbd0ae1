"""Estimates by how many ticks each track's sound is late against its lips.

Takes a trained model; gives a JSON table track -> ticks that `Tracks` adds to the moment at which
it cuts the sound. The offset is the centre of mass about the peak of lip-sound agreement, averaged
over the whole track; tracks whose peak is weak, or further than 5 ticks off, keep 0.
"""

import json
from pathlib import Path

import numpy as np
import torch

from . import heldout
from .data import Tracks
from .model import load_run

FARTHEST = 5


@torch.no_grad()
def curve(model, tracks: Tracks, track: dict) -> np.ndarray:
    """Mean agreement at offsets -K..K: [2 K + 1]. At offset d lips of t meet sound of t + d."""
    n = min(track["ticks"], 500)
    face = heldout.encode_store(model, tracks, track, n)[None]
    audio = heldout.encode_sound(model, tracks.cut_sound(track, 0, n))[None]
    f, here = model.head.sync_face(face)
    k = model.cfg.offsets
    a = torch.nn.functional.pad(model.head.sync_audio(audio), (0, 0, k, k))
    return model.head.band(f @ a.transpose(1, 2))[0, k:-k].mean(0).numpy()


def estimate(run: Path, data: Path, out: Path) -> None:
    torch.set_num_threads(1)
    model, _ = load_run(run)
    tracks, table = Tracks(data), {}
    k = model.cfg.offsets
    for t in tracks.table:
        if t["ticks"] < 4 * k:
            continue
        c = curve(model, tracks, t)
        peak = int(c.argmax())
        contrast = (c[peak] - np.median(c)) / (c.std() + 1e-6)
        strong = c[peak] - np.median(c) > 0.15 and contrast > 1.5
        if strong and abs(peak - k) <= FARTHEST:
            near = slice(max(0, peak - 1), peak + 2)
            w = np.maximum(c[near] - np.median(c), 0)
            table[t["id"]] = round(float((w * (np.arange(len(c))[near] - k)).sum() / w.sum()), 2)
    out.write_text(json.dumps(table, indent=0))
    v = np.array(list(table.values()))
    print(f"{len(table)} of {len(tracks.table)} tracks; mean {v.mean():.2f}, sd {v.std():.2f}, "
          f"beyond one tick {np.mean(np.abs(v) > 1):.2f}")

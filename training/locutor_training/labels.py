"""Labels of a track's *own* sound, frame by frame.

Takes the sound and two kinds of teachers' scores (both look, neither hears); gives target 0..1,
weight and the voice-energy mask. Positive where there is voice and the teachers agree that this
mouth speaks; negative where there is no voice or the teachers are sure that it does not; between
the two, the AVA teacher's own doubt with a small weight. Wrong sounds need no teacher: they are
negative by construction, in `data`. How sure the AVA teacher is ranks the positive frames: their
target lies between 1 and its score, since turn taking is what it knows best.
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import binary_closing, binary_erosion, uniform_filter1d

from .geometry import SAMPLES_PER_TICK

UNSURE_WEIGHT = 0.4


def voiced(sound: np.ndarray) -> np.ndarray:
    """Voice by energy, a tick at a time: within 20 dB of the track's loud part, above -50 dBFS."""
    ticks = len(sound) // SAMPLES_PER_TICK
    if ticks == 0:
        return np.zeros(0, bool)
    x = sound[:ticks * SAMPLES_PER_TICK].astype(np.float32).reshape(ticks, -1)
    level = 10 * np.log10(uniform_filter1d((x**2).mean(1), 3) + 1e-3) - 90.3
    on = level > max(np.percentile(level, 97) - 20, -50)
    return binary_closing(np.pad(on, 2), iterations=2)[2:-2]  # shorter pauses are speech


def load_scores(root: Path, row: dict, ticks: int) -> dict[str, np.ndarray]:
    """Teachers' P(speaking) with own sound, NaN where there is none."""
    out = {k: np.full(ticks, np.nan, np.float32) for k in ("lr", "light", "light_ava")}
    for column in ("labels", "labels_ava"):
        name = row.get(column) or ""
        if name and (root / name).is_file():
            with np.load(root / name) as z:
                for key in out:
                    if key in z.files:
                        n = min(ticks, len(z[key]))
                        out[key][:n] = z[key][:n]
    return out


def frame_labels(sound: np.ndarray, scores: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    voice = voiced(sound)
    quiet = binary_erosion(~voice, iterations=1, border_value=1)
    ava, lr, light = scores["light_ava"], scores["lr"], scores["light"]
    with np.errstate(invalid="ignore"):
        says_ava = np.nan_to_num(ava, nan=0.0)
        positive = voice & (says_ava > 0.6) & ~(lr <= 0.5)
        still = (ava < 0.2) & (light < 0.5)
        # beyond the AVA teacher's frames, both others must be sure
        late = voice & np.isnan(ava) & (lr > 0.9) & (light > 0.9)
    target = np.where(np.isnan(ava), 0.5, ava).astype(np.float32)
    weight = np.where(np.isnan(ava) | ~voice, 0.0, UNSURE_WEIGHT).astype(np.float32)
    for mask, y, w in ((late, 1.0, 0.5), (positive, 1.0, 1.0), (still, 0.0, 1.0), (quiet, 0.0, 1.0)):
        target[mask], weight[mask] = y, w
    target[positive] = 0.5 + 0.5 * ava[positive]
    return target, weight, voice

"""Insertion and deletion under masks that stand still.

One map for the clip, so one mask for all its frames: a mask that changes from frame to frame
destroys motion, and with it every score, wherever it lies. As `src/stages/explain/faithful.rs`.
"""

import cv2
import numpy as np

from media import SIDE

AREAS = (0.10, 0.20, 0.40)
MASK_EDGE_SIGMA = 2.0
SUBSTRATE_SIGMA = 10.0


def substrate(frames: np.ndarray) -> np.ndarray:
    """The frames with everything blurred away."""
    return np.stack([cv2.GaussianBlur(f, (0, 0), SUBSTRATE_SIGMA) for f in frames])


def mask(saliency: np.ndarray, area: float) -> np.ndarray:
    """1 on the best `area` of a 112 x 112 map, 0 elsewhere, with a soft edge."""
    best = np.argsort(-saliency.ravel(), kind="stable")[: round(area * SIDE * SIDE)]
    hard = np.zeros(SIDE * SIDE, np.float32)
    hard[best] = 1.0
    return cv2.GaussianBlur(hard.reshape(SIDE, SIDE), (0, 0), MASK_EDGE_SIGMA)


def measure(frames: np.ndarray, blurred: np.ndarray, saliency: np.ndarray, score) -> dict:
    """Mean z with the map's best areas deleted and with only them inserted; `score` takes frames
    and gives the mean of z over them."""
    deletion, insertion = [], []
    for area in AREAS:
        inside = mask(saliency, area)
        deletion.append(score(frames + (blurred - frames) * inside))
        insertion.append(score(blurred + (frames - blurred) * inside))
    return {"deletion": deletion, "insertion": insertion}

"""Faces with a part of them blurred away, as the test of a map's truth has them, for training.

Takes lip pictures (bytes) and a map; gives lip pictures. A mask never changes within a window: one
that flickers destroys motion. What is blurred keeps no detail (as sigma 10 px of the model
picture), and sometimes no movement (`still`: one mean picture). Widths are in lip pixels.
"""

import cv2
import numpy as np

from . import geometry as g

PX = g.LIP_PX / g.LIP_SIDE  # lip pixels a model pixel
EDGE = 2 * PX
BLUR = 10 * PX
LEAST_AREA, MOST_AREA = 0.1, 0.5  # of the lip picture: a tenth to four tenths of the model picture
KINDS = ("insertion", "deletion", "blurred", "elsewhere")
ODDS = (0.42, 0.36, 0.1, 0.12)


def best(heat: np.ndarray, area: float) -> np.ndarray:
    """Soft mask [64, 64] of the highest `area` of a map, enlarged."""
    big = cv2.resize(heat.astype(np.float32), (g.LIP_PX, g.LIP_PX), interpolation=cv2.INTER_CUBIC)
    count = int(area * big.size)
    mask = np.zeros(big.size, np.float32)
    mask[np.argpartition(-big.ravel(), count)[:count]] = 1
    return cv2.GaussianBlur(mask.reshape(big.shape), (0, 0), EDGE)


def substrate(lips: np.ndarray, still: bool, sigma: float = BLUR) -> np.ndarray:
    if still:
        mean = cv2.GaussianBlur(lips.astype(np.float32).mean(0), (0, 0), sigma)
        return np.broadcast_to(mean, lips.shape)
    return np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in lips]).astype(np.float32)


def patch(heat: np.ndarray, rng) -> np.ndarray:
    """1 where the picture stays: all but a small spot where the map is dark."""
    y, x = np.mgrid[:g.LIP_PX, :g.LIP_PX] + 0.5
    big = cv2.resize(heat.astype(np.float32), (g.LIP_PX, g.LIP_PX))
    spots = rng.uniform(0, g.LIP_PX, (6, 2))
    cy, cx = min(spots, key=lambda s: big[int(s[0]), int(s[1])])
    r = rng.uniform(5, 11)
    return (1 - np.exp(-(((y - cy) ** 2 + (x - cx) ** 2) / r**2) ** 2)).astype(np.float32)


def masked(lips: np.ndarray, heat: np.ndarray, kind: str, rng) -> np.ndarray:
    """[T, 64, 64] bytes -> the same with a part blurred away."""
    still = rng.random() < 0.25
    if kind == "blurred":
        return substrate(lips, still, BLUR * rng.uniform(0.9, 1.4)).round().astype(np.uint8)
    small = rng.random() ** 1.5 * (MOST_AREA - LEAST_AREA)  # small ones more often
    keep = best(heat, LEAST_AREA + small) if kind != "elsewhere" else patch(heat, rng)
    if kind == "deletion":
        keep = 1 - keep
    base = substrate(lips, still)
    return (base + (lips - base) * keep).round().astype(np.uint8)

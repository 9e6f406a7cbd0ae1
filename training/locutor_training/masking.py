"""Faces with a part of them blurred away, as the test of a map's truth has them, for training.

Takes lip pictures (bytes) and a map; gives lip pictures and how much of the verdict should be left. A mask never changes within a window: one
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
KINDS = ("best", "shape", "elsewhere", "blurred")
ODDS = (0.48, 0.34, 0.08, 0.1)


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


def shape(heat: np.ndarray, rng) -> np.ndarray:
    """A box or an ellipse of any form, its middle near what the map shows."""
    p = np.maximum(heat, 0).ravel() + 1e-6
    cell = rng.choice(p.size, p=p / p.sum())
    cy, cx = ((np.array(divmod(cell, heat.shape[1])) + 0.5) * g.LIP_PX / heat.shape[0]
              + rng.normal(0, 6, 2))
    area = rng.uniform(LEAST_AREA, MOST_AREA) * g.LIP_PX**2
    aspect = np.exp(rng.uniform(-0.5, 1.0))
    across, down = np.sqrt(area * aspect) / 2, np.sqrt(area / aspect) / 2
    y, x = np.mgrid[:g.LIP_PX, :g.LIP_PX] + 0.5
    dx, dy = np.abs(x - cx) / across, np.abs(y - cy) / down
    inside = np.maximum(dx, dy) < 1 if rng.random() < 0.5 else dx**2 + dy**2 < 4 / np.pi
    return cv2.GaussianBlur(inside.astype(np.float32), (0, 0), EDGE)


def patch(heat: np.ndarray, rng) -> np.ndarray:
    """1 where the picture stays: all but a small spot where the map is dark."""
    y, x = np.mgrid[:g.LIP_PX, :g.LIP_PX] + 0.5
    big = cv2.resize(heat.astype(np.float32), (g.LIP_PX, g.LIP_PX))
    spots = rng.uniform(0, g.LIP_PX, (6, 2))
    cy, cx = min(spots, key=lambda s: big[int(s[0]), int(s[1])])
    r = rng.uniform(5, 11)
    return (1 - np.exp(-(((y - cy) ** 2 + (x - cx) ** 2) / r**2) ** 2)).astype(np.float32)


def believed(heat: np.ndarray, keep: np.ndarray, power: float, slope: float) -> float:
    """What should remain of the verdict, 0..1, by the share of the map's mass that stays sharp.

    So that evidence is what the map says under *any* mask: of all masks of one area the map's own
    then keeps, or takes, the most. Mass is the map to the `power`: with 2 the best tenth of the
    picture has most of it; `slope` is how sharply the verdict turns at one half.
    """
    big = np.maximum(cv2.resize(heat.astype(np.float32), (g.LIP_PX, g.LIP_PX),
                                interpolation=cv2.INTER_CUBIC), 0)
    big = big**power
    share = float((big * keep).sum() / (big.sum() + 1e-9))
    return 1 / (1 + np.exp(-slope * (share - 0.5)))


def masked(lips: np.ndarray, heat: np.ndarray, rng, power: float = 1.0,
           slope: float = 8.0) -> tuple[np.ndarray, float]:
    """[T, 64, 64] bytes -> the same with a part blurred away, and what to believe of it."""
    kind, still = KINDS[rng.choice(len(KINDS), p=ODDS)], rng.random() < 0.25
    if kind == "blurred":
        return substrate(lips, still, BLUR * rng.uniform(0.9, 1.4)).round().astype(np.uint8), 0.0
    if kind == "best":
        small = rng.random() ** 1.5 * (MOST_AREA - LEAST_AREA)  # small ones more often
        keep = best(heat, LEAST_AREA + small)
    else:
        keep = shape(heat, rng) if kind == "shape" else patch(heat, rng)
    if kind != "elsewhere" and rng.random() < 0.5:
        keep = 1 - keep
    base = substrate(lips, still)
    mixed = (base + (lips - base) * keep).round().astype(np.uint8)
    return mixed, 1.0 if kind == "elsewhere" else believed(heat, keep, power, slope)

"""Maps to be judged: the SE rules, their controls, and gradient methods.

Takes what the face encoder gave over a window (maps F [T, C, 8, 8], gates [T, C]), what its
channels are worth (ablation effects, gradients of the score by the gated maps), gives one map
[8, 8] for the window: the mean over its ticks. Gradient methods follow their papers: Grad-CAM
(weights: mean gradient), Grad-CAM++, HiRes-CAM (gradient x map), Layer-CAM (positive gradient x
map), Eigen-CAM (first principal component). *Movement* maps show by how much a gated map departs from its
mean over the window: the head takes that mean off, so what stands still has no say.
"""

import numpy as np

SHARE = 0.1  # of the channels that a rule keeps


def _mean_of(maps: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean over the chosen channels [T, C] of maps [T, C, h, w], then over ticks."""
    w = chosen / np.maximum(chosen.sum(1, keepdims=True), 1)
    return np.einsum("tc,tchw->hw", w, maps) / len(maps)


def _top(values: np.ndarray) -> np.ndarray:
    keep = max(1, round(SHARE * values.shape[1]))
    rank = np.argsort(np.argsort(-values, axis=1), axis=1)
    return (rank < keep).astype(np.float32)


def _above(gates: np.ndarray) -> np.ndarray:
    """The paper's rule: above mean + 1.282 standard deviations of the tick's gates."""
    line = gates.mean(1, keepdims=True) + 1.282 * gates.std(1, keepdims=True)
    return (gates > line).astype(np.float32)


def _plus_plus(grads: np.ndarray, maps: np.ndarray) -> np.ndarray:
    g2, g3 = grads**2, grads**3
    total = maps.sum((2, 3), keepdims=True)
    alpha = g2 / (2 * g2 + total * g3 + 1e-7)
    weight = (alpha * np.maximum(grads, 0)).sum((2, 3))
    return np.maximum(np.einsum("tc,tchw->thw", weight, maps), 0).mean(0)


def _eigen(maps: np.ndarray) -> np.ndarray:
    t, c, h, w = maps.shape
    flat = maps.transpose(0, 2, 3, 1).reshape(-1, c)
    _, _, v = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    out = (flat @ v[0]).reshape(t, h, w).mean(0)
    centre = out[3:6, 2:6].mean() >= out.mean()
    return out if centre else -out


def blob(rng: np.random.Generator, cells: int = 8) -> np.ndarray:
    y, x = np.mgrid[:cells, :cells]
    cy, cx = rng.uniform(0, cells - 1, 2)
    return np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 1.5**2))


def mouth_box(cells: int = 8) -> np.ndarray:
    """Model-free: falls off from the middle of the lip picture, twice as wide as high."""
    y, x = np.mgrid[:cells, :cells]
    return np.exp(-(((y - 3.7) / 1.2) ** 2 + ((x - 3.5) / 2.0) ** 2) / 2)


def all_maps(maps, gates, effects, grads, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """maps [T, C, h, w] before the gate, gates and effects [T, C], grads by the gated maps."""
    scaled = maps * gates[:, :, None, None]
    activation = gates * maps.mean((2, 3))
    moving = np.abs(scaled - scaled.mean(0))
    moves = moving.mean((2, 3))
    order = rng.permutation(maps.shape[1])
    mixed = gates[:, order]
    return {
        "paper rule": _mean_of(scaled, _above(gates)),
        "gate-activation": _mean_of(scaled, _top(activation)),
        "ablation": _mean_of(scaled, _top(effects)),
        "paper rule, permuted gates": _mean_of(maps * mixed[:, :, None, None], _above(mixed)),
        "gate-activation, permuted": _mean_of(maps * mixed[:, :, None, None],
                                              _top(activation[:, order])),
        "gate-activation of movement": _mean_of(moving, _top(moves)),
        "gate-movement, permuted": _mean_of(moving / gates[:, :, None, None].clip(1e-3)
                                            * mixed[:, :, None, None], _top(moves[:, order])),
        "mean movement of all channels": moving.mean((0, 1)),
        "mean of all channels": scaled.mean((0, 1)),
        "random blob": blob(rng),
        "mouth box": mouth_box(),
        "Grad-CAM": np.maximum(np.einsum("tc,tchw->thw", grads.mean((2, 3)), scaled), 0).mean(0),
        "Grad-CAM++": _plus_plus(grads, scaled),
        "HiRes-CAM": np.maximum((grads * scaled).sum(1), 0).mean(0),
        "Layer-CAM": (np.maximum(grads, 0) * scaled).sum(1).mean(0),
        "Eigen-CAM": _eigen(scaled),
    }

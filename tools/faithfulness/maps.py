"""The maps that are compared: the program's three modes, and controls.

The modes are the rules of `src/stages/explain/raw.rs`, a frame at a time: F is channels x cells,
the gate s and the effects e hold one value a channel. All maps are ≥ 0 and in raw units.
"""

import cv2
import numpy as np

from media import SIDE

Z_90 = 1.282
MODES = ("paper", "gate-activation", "ablation")


def _above_z(weights: np.ndarray) -> np.ndarray:
    if (weights == weights[0]).all():
        return np.zeros(len(weights), bool)
    return weights > weights.mean() + Z_90 * weights.std()


def _gated_mean(features: np.ndarray, gate: np.ndarray, kept: np.ndarray) -> np.ndarray:
    if not kept.any():
        return np.zeros(features.shape[1:])
    return np.maximum((gate[kept, None, None] * features[kept]).mean(0), 0.0)


def paper(features: np.ndarray, gate: np.ndarray) -> np.ndarray:
    """Mean of s·F over the channels that the gate alone keeps."""
    return _gated_mean(features, gate, _above_z(gate))


def gate_activation(
    features: np.ndarray, gate: np.ndarray, order: np.ndarray | None = None
) -> np.ndarray:
    """Mean of s·F over the channels that s·max(F) keeps; with `order`, over as many others."""
    kept = _above_z(gate * features.max((1, 2)))
    return _gated_mean(features, gate, kept if order is None else kept[order])


def ablation(features: np.ndarray, effects: np.ndarray) -> np.ndarray:
    """Σ max(0, e)·F/max(F)."""
    peak = features.max((1, 2))
    moved = np.where(peak > 0, np.maximum(effects, 0.0) / np.where(peak > 0, peak, 1.0), 0.0)
    return np.tensordot(moved, np.maximum(features, 0.0), 1)


def raw_maps(features: np.ndarray, gate: np.ndarray, effects: np.ndarray) -> dict[str, np.ndarray]:
    """By mode, T x h x w, of T x C x h x w features in double precision."""
    features, gate, effects = (x.astype(np.float64) for x in (features, gate, effects))
    return {
        "paper": np.stack([paper(f, s) for f, s in zip(features, gate)]),
        "gate-activation": np.stack([gate_activation(f, s) for f, s in zip(features, gate)]),
        "ablation": np.stack([ablation(f, e) for f, e in zip(features, effects)]),
    }


def controls(
    features: np.ndarray, gate: np.ndarray, effects: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Maps over channels that were drawn by lot (one lot for the clip), and the plain mean."""
    features, gate, effects = (x.astype(np.float64) for x in (features, gate, effects))
    order = np.random.default_rng(seed).permutation(features.shape[1])
    every = list(zip(features, gate, effects))
    return {
        "paper, permuted gates": np.stack([paper(f, s[order]) for f, s, _ in every]),
        "gate-activation, permuted choice": np.stack(
            [gate_activation(f, s, order) for f, s, _ in every]
        ),
        "ablation, permuted effects": np.stack([ablation(f, e[order]) for f, _, e in every]),
        "mean of all channels": features.mean(1),
    }


def clip_map(maps: np.ndarray) -> np.ndarray:
    """One 112 x 112 map for the clip: the mean of its maps, enlarged, never negative."""
    mean = np.maximum(maps.mean(0), 0.0).astype(np.float32)
    return np.maximum(cv2.resize(mean, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), 0.0)


def random_blob(seed: int) -> np.ndarray:
    """Smooth noise with blobs about as large as a heatmap's."""
    noise = np.random.default_rng(seed).random((SIDE, SIDE), np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 12.0)


def mouth_box() -> np.ndarray:
    """Boxes of 8 : 5 about the place where crops of frontal faces have the mouth."""
    at = np.arange(SIDE) + 0.5
    apart = np.maximum(np.abs(at - 56.0)[None] / 8.0, np.abs(at - 68.0)[:, None] / 5.0)
    return (1.0 - apart / SIDE).astype(np.float32)

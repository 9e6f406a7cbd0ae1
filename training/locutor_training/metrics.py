"""Average precision as the project's scorer counts it (ties together, precision made monotone)."""

import numpy as np


def average_precision(score: np.ndarray, truth: np.ndarray) -> float:
    score, truth = np.asarray(score, np.float64), np.asarray(truth, bool)
    if not truth.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    score, truth = score[order], truth[order]
    last = np.r_[np.nonzero(np.diff(score))[0], len(score) - 1]
    hits = np.cumsum(truth)[last]
    precision, recall = hits / (last + 1), hits / truth.sum()
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(np.r_[0.0, recall]) * precision))


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank correlation along the last axis."""
    from scipy.stats import rankdata
    ra, rb = rankdata(a, axis=-1), rankdata(b, axis=-1)
    ra, rb = ra - ra.mean(-1, keepdims=True), rb - rb.mean(-1, keepdims=True)
    return (ra * rb).sum(-1) / np.sqrt((ra**2).sum(-1) * (rb**2).sum(-1) + 1e-12)

"""Measures what the manifest states: the decision rule and the strength of the raw maps.

`calibrate` first moves the logits so that one half is the best threshold.

Threshold and smoothing are those with the highest mean accuracy over the four groups of the
held-out tracks, a whole track as one window (ties: less smoothing, nearer to .5). Strength comes
from the report of `truth`. Leaves `facts.json` in the run's folder for `export`.
"""

import json
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d

from . import heldout
from .data import Tracks
from .model import load_run

THRESHOLDS = np.round(np.arange(0.30, 0.71, 0.02), 2)
SMOOTHINGS = (1, 3, 5, 7, 9, 11, 13, 15, 19, 25)


def smoothed(z: np.ndarray, ticks: int) -> np.ndarray:
    """Centred running mean of p over the ticks that are there, as the program decides."""
    p = 1 / (1 + np.exp(-z.astype(np.float64)))
    if ticks == 1:
        return p
    total = uniform_filter1d(p, ticks, mode="constant")
    return total / uniform_filter1d(np.ones_like(p), ticks, mode="constant")


def accuracies(cases: list[heldout.Case], threshold: float, ticks: int) -> dict[str, float]:
    right = [(c.kind, (smoothed(c.z, ticks) > threshold) == c.truth, c.counts) for c in cases]
    return {name: float(np.concatenate([r[w] for k, r, w in right if k in kinds]).mean())
            for name, kinds in heldout.KINDS.items()}


def decide(cases: list[heldout.Case]) -> tuple[float, int, dict]:
    best = max(((np.mean(list(accuracies(cases, t, s).values())), -s, -abs(t - 0.5), t)
                for s in SMOOTHINGS for t in THRESHOLDS))
    threshold, ticks = float(best[3]), -best[1]
    return threshold, ticks, accuracies(cases, threshold, ticks)


def calibrate(run: Path, data: Path) -> None:
    """Moves the score's bias so that p = .5 is the best threshold on held-out tracks; once only."""
    torch.set_num_threads(1)
    model, saved = load_run(run)
    if "calibrated" in saved:
        raise SystemExit(f"{run} is calibrated already, by {saved['calibrated']:+.3f}")
    threshold = decide(heldout.cases(model, Tracks(data)))[0]
    saved["calibrated"] = float(np.log((1 - threshold) / threshold))
    for key in ("model", "raw"):
        saved[key]["head.score.bias"] = saved[key]["head.score.bias"] + saved["calibrated"]
    torch.save(saved, run / "last.pt")
    print(f"best threshold was {threshold}; logits moved by {saved['calibrated']:+.3f}")


def write(run: Path, data: Path, truth: Path | None) -> None:
    torch.set_num_threads(1)
    model, _ = load_run(run)
    cases = heldout.cases(model, Tracks(data))
    threshold, ticks, found = decide(cases)
    plain = accuracies(cases, 0.5, 1)
    print("at .5", plain, "chosen", threshold, ticks, found)
    path = run / "facts.json"
    facts = json.loads(path.read_text()) if path.is_file() else {"name": run.name}
    told = ", ".join(f"{k} {v:.3f}" for k, v in found.items())
    facts["decision"] = {
        "threshold": threshold, "smoothing_ticks": ticks,
        "why": f"highest mean accuracy over held-out tracks ({told})"}
    explain = facts.setdefault("explain", {"why": "see README.md", "typical": {}})
    if truth and truth.is_file():
        typical = json.loads(truth.read_text())["typical"]
        explain["typical"] = {k: float(f"{v:.3g}") for k, v in typical.items()}
    path.write_text(json.dumps(facts, indent=1))

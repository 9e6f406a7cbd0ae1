"""Measures what the manifest states: the decision rule and the strength of the raw maps.

`calibrate` first moves the logits so that p is calibrated on held-out tracks. Threshold and
smoothing are those with the highest mean accuracy over own, dubbed and displaced sound of the
held-out tracks, speech weighed as a third, a whole track as one window (ties: less smoothing,
nearer to .5). Strength comes from the report of `truth`. Leaves `facts.json` in the run's folder
for `export`.
"""

import json
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from scipy.optimize import minimize_scalar

from . import heldout
from .data import Tracks
from .model import load_run

THRESHOLDS = np.round(np.arange(0.10, 0.81, 0.02), 2)
SPEECH = 1 / 3  # share of speech to decide for: of a face on screen, not of the held-out tracks
DECIDING = ("own", "dub", "shift")  # `both` is lost at the switch, whatever the threshold
SMOOTHINGS = (1, 3, 5, 7, 9, 11, 13, 15, 19, 25)


def smoothed(z: np.ndarray, ticks: int) -> np.ndarray:
    """Centred running mean of p over the ticks that are there, as the program decides."""
    p = 1 / (1 + np.exp(-z.astype(np.float64)))
    if ticks == 1:
        return p
    total = uniform_filter1d(p, ticks, mode="constant")
    return total / uniform_filter1d(np.ones_like(p), ticks, mode="constant")


def accuracies(cases: list[heldout.Case], threshold: float, ticks: int) -> dict[str, float]:
    """Of the decision in each group, with speech weighed as SPEECH of the ticks."""
    said = [(c.kind, smoothed(c.z, ticks)[c.counts] > threshold, c.truth[c.counts]) for c in cases]
    out = {}
    for name, kinds in heldout.KINDS.items():
        says, true = (np.concatenate([x[i] for x in said if x[0] in kinds]) for i in (1, 2))
        out[name] = float(SPEECH * says[true].mean() + (1 - SPEECH) * (~says[~true]).mean())
    return out


def decide(cases: list[heldout.Case]) -> tuple[float, int, dict]:
    def mean(t, s):
        found = accuracies(cases, t, s)
        return round(float(np.mean([found[k] for k in DECIDING])), 2)  # less is noise

    best = max((mean(t, s), -s, -abs(t - 0.5), t) for s in SMOOTHINGS for t in THRESHOLDS)
    threshold, ticks = float(best[3]), -best[1]
    return threshold, ticks, accuracies(cases, threshold, ticks)


def bias(cases: list[heldout.Case]) -> float:
    """What the logits need added to be likeliest, speech weighed as a third in each group."""
    parts = []
    for name in DECIDING:
        z, y = (np.concatenate([getattr(c, k)[c.counts] for c in cases
                                if c.kind in heldout.KINDS[name]]) for k in ("z", "truth"))
        parts.append((z, y, np.where(y, SPEECH / y.mean(), (1 - SPEECH) / (1 - y.mean()))))
    z, y, w = (np.concatenate(x) for x in zip(*parts))

    def loss(b):
        return float((w * np.logaddexp(0, np.where(y, -1, 1) * (z + b))).mean())

    return float(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x)


def calibrate(run: Path, data: Path) -> None:
    """Moves the score's bias so that p is calibrated on held-out tracks; once only."""
    torch.set_num_threads(1)
    model, saved = load_run(run)
    if "calibrated" in saved:
        raise SystemExit(f"{run} is calibrated already, by {saved['calibrated']:+.3f}")
    saved["calibrated"] = bias(heldout.cases(model, Tracks(data)))
    for key in ("model", "raw"):
        saved[key]["head.score.bias"] = saved[key]["head.score.bias"] + saved["calibrated"]
    torch.save(saved, run / "last.pt")
    print(f"logits moved by {saved['calibrated']:+.3f}")


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
        "why": f"highest mean accuracy over held-out tracks, speech weighed as a third ({told})"}
    explain = facts.setdefault("explain", {"why": "see README.md", "typical": {}})
    if truth and truth.is_file():
        typical = json.loads(truth.read_text())["typical"]
        explain["typical"] = {k: float(f"{v:.3g}") for k, v in typical.items()}
    path.write_text(json.dumps(facts, indent=1))

"""Measures how faithful a package's explain modes are. See README.md.

Writes one line of JSON a track; `report.py` makes tables of them.
"""

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import numpy as np

import maps
import media
import protocol
from package import Package

WINDOW = 50
CONTEXT = 250
MIN_TICKS = 25


def percentiles(raw: dict[str, np.ndarray], ticks: np.ndarray) -> dict[str, float]:
    """By mode the 99th percentile of the raw cells of those ticks."""
    return {mode: float(np.percentile(raw[mode][ticks], 99)) for mode in raw}


def whole_track(package: Package, frames: np.ndarray, audio: np.ndarray) -> dict:
    """Raw cells over the track as the program would see it, where it speaks and where not."""
    frames, audio = frames[:CONTEXT], audio[:CONTEXT]
    face, features, gate = package.encode(frames, maps=True)
    z, gate, effects = package.whole(audio, face, gate)
    raw = maps.raw_maps(features, gate, effects)
    p = 1.0 / (1.0 + np.exp(-z))
    found = {"p_mean": float(p.mean()), "zero_peaks": float((face <= 0).mean())}
    for name, ticks in (("clear", p > 0.8), ("silent", p < 0.1)):
        found[f"{name}_ticks"] = int(ticks.sum())
        if ticks.sum() >= MIN_TICKS:
            found[f"p99_{name}"] = percentiles(raw, ticks)
            found[f"mean_{name}"] = {m: float(raw[m][ticks].mean()) for m in raw}
    return found


def faithfulness(
    package: Package, frames: np.ndarray, audio: np.ndarray, seed: int, speaking: bool
) -> dict:
    """Insertion and deletion of every map on one window; in silence of the modes and one control
    only, as there is no evidence to find."""
    face, features, gate = package.encode(frames, maps=True)
    z, _, head_gate = package.judge(audio[None], face[None])
    if head_gate is not None:
        gate = head_gate[0]
    elif gate is None:
        gate = np.ones((len(face), package.channels), np.float32)
    fresh = np.zeros(package.state_width, np.float32)
    effects = package.effects(audio, face, fresh, z[0])

    def score(masked: np.ndarray) -> float:
        embedded = package.encode(masked, maps=False)
        return float(package.judge(audio[None], embedded[None])[0].mean())

    every = maps.raw_maps(features, gate, effects)
    every |= maps.controls(features, gate, effects, seed) if speaking else {}
    # A mode that keeps no channel has no map to measure.
    saliency = {name: maps.clip_map(m) for name, m in every.items() if m.any()}
    saliency["random blob"] = maps.random_blob(seed)
    if speaking:
        saliency["fixed mouth box"] = maps.mouth_box()
    blurred = protocol.substrate(frames)
    return {
        "z_full": float(z.mean()),
        "z_blurred": score(blurred),
        "maps": {n: protocol.measure(frames, blurred, m, score) for n, m in saliency.items()},
    }


def windows(path: Path, limit: int | None) -> list[dict]:
    """The list's rows, with the first `limit` of each kind."""
    with path.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        if row["kind"] not in ("speaking", "silent"):
            sys.exit(f"{path}: kind is {row['kind']!r}; it must be speaking or silent")
    kinds = [[r for r in rows if r["kind"] == kind][:limit] for kind in ("speaking", "silent")]
    return [row for kind in kinds for row in kind]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, required=True, help="a speaker package's folder")
    parser.add_argument("--windows", type=Path, required=True, help="TSV: video, start_tick, kind")
    parser.add_argument("--central", type=int, help="take only that many central pixels")
    parser.add_argument("--limit", type=int, help="at most so many windows of each kind")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one a window; resumed")
    given = parser.parse_args()
    package = Package(given.package)
    rows = windows(given.windows, given.limit)
    done = given.out.read_text().splitlines() if given.out.exists() else []
    done = {(line["video"], line["start_tick"]) for line in map(json.loads, done)}
    with given.out.open("a") as out:
        for number, row in enumerate(rows):
            began = time.monotonic()
            video, start = (given.windows.parent / row["video"]).resolve(), int(row["start_tick"])
            if (str(video), start) in done:
                continue
            frames = media.crops(video, given.central).astype(np.float32)
            audio = package.hear(media.rows(video, len(frames)))
            here = slice(start, start + WINDOW)
            if len(frames[here]) < WINDOW:
                sys.exit(f"{video}: has no {WINDOW} pictures from {start} on")
            found = {"package": package.name, "video": str(video), "start_tick": start}
            found["kind"] = row["kind"]
            found |= whole_track(package, frames, audio)
            speaking = row["kind"] == "speaking"
            found |= faithfulness(package, frames[here], audio[here], number, speaking)
            out.write(json.dumps(found) + "\n")
            out.flush()
            took = time.monotonic() - began
            print(f"{number + 1}/{len(rows)} {video.name} {row['kind']} {took:.0f} s", flush=True)


if __name__ == "__main__":
    main()

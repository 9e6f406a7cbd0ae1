"""Chooses windows of clear speech and of silence from a labelled folder of face tracks.

Takes a folder with `manifest.tsv` (a row a track: track, labels, labels_ava, repo, synthetic) and
the label arrays it names: P(speaking) by picture, `light_ava` from the one, `light` and `lr` from
the other. Gives the list that measure.py reads. One track a source at first, then a second round,
footage before generated heads, so that no source dominates.
"""

import argparse
import csv
import os
from collections import Counter
from pathlib import Path

import numpy as np

WINDOW = 50
AT_LEAST = 48


def best_start(sure: np.ndarray) -> int | None:
    """Where the window with the most sure pictures starts; None below 48 of 50."""
    if len(sure) < WINDOW:
        return None
    counts = np.convolve(sure.astype(int), np.ones(WINDOW, int), "valid")
    return int(counts.argmax()) if counts.max() >= AT_LEAST else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speaking", type=int, default=36)
    parser.add_argument("--silent", type=int, default=14)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = {"speaking": [], "silent": []}
    with (given.folder / "manifest.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if not row["labels"] or not row["labels_ava"]:
                continue
            teachers = np.load(given.folder / row["labels"])
            ava = np.load(given.folder / row["labels_ava"])["light_ava"]
            ticks = min(len(ava), len(teachers["light"]))
            ava, light, lr = ava[:ticks], teachers["light"][:ticks], teachers["lr"][:ticks]
            sure = {"speaking": (ava > 0.8) & (lr > 0.5), "silent": (ava < 0.2) & (light < 0.5)}
            for kind, flags in sure.items():
                if (start := best_start(flags)) is not None:
                    found[kind].append((row, start))
    here = given.out.parent.resolve()
    with given.out.open("w", newline="") as file:
        out = csv.writer(file, delimiter="\t")
        out.writerow(["video", "start_tick", "kind"])
        for kind, wanted in (("speaking", given.speaking), ("silent", given.silent)):
            seen, rounds = Counter(), []
            for row, start in found[kind]:
                seen[row["repo"]] += 1
                rounds.append((seen[row["repo"]], row["synthetic"], row["track"], row, start))
            for _, _, track, _, start in sorted(rounds, key=lambda r: r[:3])[:wanted]:
                out.writerow([os.path.relpath(given.folder / track, here), start, kind])


if __name__ == "__main__":
    main()

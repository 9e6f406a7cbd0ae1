"""Tables, in Markdown, of what measure.py wrote.

Means and standard errors are over windows, comparisons are two-sided sign tests over windows.
"""

import argparse
import json
from math import comb
from pathlib import Path

import numpy as np

from maps import MODES
from protocol import AREAS

TWENTY = AREAS.index(0.20)


def gap(found: dict) -> float:
    """Mean insertion minus mean deletion: the higher, the truer."""
    return float(np.mean(found["insertion"]) - np.mean(found["deletion"]))


def mean(values: list[float]) -> str:
    spread = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{np.mean(values):+.2f} ± {spread:.2f}"


def sign_test(wins: int, losses: int) -> float:
    """Chance of so uneven a split, either way, were both equally good."""
    n, few = wins + losses, min(wins, losses)
    return min(1.0, 2 * sum(comb(n, k) for k in range(few + 1)) / 2**n)


def gap_table(rows: list[dict]) -> None:
    names = sorted(
        rows[0]["maps"], key=lambda name: -np.mean([gap(row["maps"][name]) for row in rows])
    )
    print("| map | deletion z at 10 / 20 / 40 % | insertion z | gap | removed by 20 % |")
    print("|---|---|---|---|---|")
    full, blurred = (np.mean([row[key] for row in rows]) for key in ("z_full", "z_blurred"))
    for name in names:
        found = [row["maps"][name] for row in rows]
        by_area = [
            " / ".join(f"{np.mean([f[key][i] for f in found]):+.2f}" for i in range(len(AREAS)))
            for key in ("deletion", "insertion")
        ]
        removed = full - np.mean([f["deletion"][TWENTY] for f in found])
        share = f"{100 * removed / (full - blurred):.0f} %" if full > 0 else "–"
        print(
            f"| {name} | {by_area[0]} | {by_area[1]} | {mean([gap(f) for f in found])} | {share} |"
        )


def sign_tables(rows: list[dict]) -> None:
    present = rows[0]["maps"]
    modes = [mode for mode in MODES if mode in present]
    print("\n| gap higher than that of | " + " | ".join(modes) + " |")
    print("|---" * (len(modes) + 1) + "|")
    for other in present:
        cells = []
        for mode in modes:
            apart = [gap(row["maps"][mode]) - gap(row["maps"][other]) for row in rows]
            wins, losses = sum(d > 0 for d in apart), sum(d < 0 for d in apart)
            p = sign_test(wins, losses)
            chance = "p < .001" if p < 0.001 else f"p = {p:.3f}"
            cells.append("–" if mode == other else f"{wins} of {len(rows)}, {chance}")
        print(f"| {other} | " + " | ".join(cells) + " |")


def strength(rows: list[dict]) -> None:
    """How strong maps are where the package itself says speaking (p > .8) and silent (< .1)."""
    clear = [r for r in rows if r["kind"] == "speaking" and "p99_clear" in r]
    silent = [r for r in rows if r["kind"] == "silent" and "p99_silent" in r]
    print(
        f"\np99 of raw cells, {len(clear)} tracks with clear speech, {len(silent)} with silence\n"
    )
    print(
        "| mode | speaking, median (quartiles): typical | silent | mean cell, silent : speaking |"
    )
    print("|---|---|---|---|")
    for mode in MODES if clear and silent else ():
        loud = [row["p99_clear"][mode] for row in clear]
        quiet = [row["p99_silent"][mode] for row in silent]
        cells = np.median([row["mean_clear"][mode] for row in clear])
        dark = np.median([row["mean_silent"][mode] for row in silent])
        low, middle, high = np.percentile(loud, (25, 50, 75))
        ratio = f"{100 * dark / cells:.0f} %" if cells > 0 else "–"
        typical = f"{middle:.4g} ({low:.3g} to {high:.3g})"
        print(f"| {mode} | {typical} | {np.median(quiet):.3g} | {ratio} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("found", type=Path, nargs="+", help="JSON lines of measure.py")
    for path in parser.parse_args().found:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        print(f"\n## {rows[0]['package']}")
        for kind in ("speaking", "silent"):
            here = [row for row in rows if row["kind"] == kind]
            if not here:
                continue
            full, blurred = ([row[key] for row in here] for key in ("z_full", "z_blurred"))
            print(
                f"\n### {kind}: {len(here)} windows, z {mean(full)}, all blurred {mean(blurred)}\n"
            )
            # A map that was empty on some window compares on none.
            shared = set.intersection(*(set(row["maps"]) for row in here))
            for row in here:
                row["maps"] = {n: m for n, m in row["maps"].items() if n in shared}
            gap_table(here)
            if kind == "speaking":
                sign_tables(here)
        strength(rows)


if __name__ == "__main__":
    main()

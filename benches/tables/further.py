"""What a further face costs beside its bare inference: two walls of tiles, alike but for how many of
them have a face. Both have some, as the first ones change how finely a picture is searched.

A machine's speed drifts by a tenth within minutes, so that both walls are measured by turns, each
with its own transcode and its own bare graphs, and what is told are medians over such pairs. How much
more the one wall's transcode takes is the same in every pair, and a difference of two large figures:
it is the median of all pairs, at the speed of each.
"""

import argparse
import copy
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benches/curves"))

import clips  # noqa: E402

FACES = (4, 12)
SECONDS = 20
# The left person of the demo's clip, as benches/curves takes them.
FACE = "iw/2:ih/2:0:ih/6"


def transcode_ratio(pairs: list[tuple[dict, dict]]) -> float:
    """What the second wall's transcode takes of the first one's."""
    key = "transcode_cpu_seconds"
    return statistics.median(many[key] / few[key] for few, many in pairs)


def compare(few: dict, many: dict, ratio: float) -> list[dict]:
    """A pair's figures for each package, in ms a face-frame; `ratio` as `transcode_ratio` says."""
    both = few["transcode_cpu_seconds"] + many["transcode_cpu_seconds"]
    transcode = both / (1 + ratio) * (ratio - 1)
    figures = []
    for less, more in zip(few["packages"], many["packages"]):
        seen = more["counts"]["face_frames"] - less["counts"]["face_frames"]
        bare = (less["face_frame_ms"] + more["face_frame_ms"]) / 2
        stages = {stage["stage"]: stage["cpu_seconds"] for stage in more["stages"]}
        for stage in less["stages"]:
            stages[stage["stage"]] = stages.get(stage["stage"], 0.0) - stage["cpu_seconds"]
        # A tile without a face costs another time to decode and encode.
        spent = more["cpu_seconds"] - less["cpu_seconds"] - transcode
        cost = spent / seen * 1e3
        figures.append(
            {
                "package": more["package"],
                "bare_ms": bare,
                "cost_ms": cost,
                "times_bare": cost / bare,
                "stages_ms": {name: value / seen * 1e3 for name, value in stages.items()},
            }
        )
    return figures


def measure(
    options: argparse.Namespace, bench: Callable[[argparse.Namespace, Path], dict]
) -> list[dict]:
    """The medians of `options.repeat` pairs for each package; `bench` gives a clip's figures."""
    once = copy.copy(options)
    once.repeat = 1
    folder = ROOT / "target/tables/further"
    folder.mkdir(parents=True, exist_ok=True)
    demo = ROOT / "demo/sample.mp4"
    walls = [clips.faces(demo, folder, count, FACE, SECONDS) for count in FACES]
    pairs = [tuple(bench(once, wall) for wall in walls) for _ in range(options.repeat)]
    ratio = transcode_ratio(pairs)
    compared = [compare(*pair, ratio) for pair in pairs]
    for figures in compared:
        print(json.dumps(figures), file=sys.stderr)
    rows = []
    for figures in zip(*compared):
        row = {"package": figures[0]["package"]}
        for key in ("bare_ms", "cost_ms", "times_bare"):
            row[key] = statistics.median(one[key] for one in figures)
        names = {name for one in figures for name in one["stages_ms"]}
        row["stages_ms"] = {
            name: statistics.median(one["stages_ms"].get(name, 0.0) for one in figures)
            for name in names
        }
        rows.append(row)
    return rows

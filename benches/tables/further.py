"""What a further face costs beside its bare inference: two walls of tiles, alike but for how many of
them have a face. Both have some, as the first ones change how finely a frame is searched.

A machine's speed drifts by a tenth within minutes, and what is asked for is a difference of two runs:
a twentieth between them would be a tenth of it. So each wall, and the transcode that runs before it,
is measured in units of its own bare graphs, which run right before and right after it, and both by
turns; what is told are medians over such pairs. How much more the one wall's transcode takes is the
same in every pair, and a difference of two large figures: it is the median of all pairs.
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


def transcode_ratio(pairs: list[tuple[dict, dict]], at: int) -> float:
    """What the second wall's transcode takes of the first one's, each in bare face-frames of the
    package at that place."""

    def in_face_frames(report: dict) -> float:
        return report["transcode_cpu_seconds"] / report["packages"][at]["face_frame_ms"]

    return statistics.median(in_face_frames(many) / in_face_frames(few) for few, many in pairs)


def at_speed(report: dict, package: dict, bare_ms: float) -> tuple[float, float, dict[str, float]]:
    """CPU seconds of a package's run, of its transcode and by stage, as if a bare face-frame had
    taken `bare_ms` meanwhile."""
    speed = bare_ms / package["face_frame_ms"]
    stages = {stage["stage"]: stage["cpu_seconds"] * speed for stage in package["stages"]}
    return package["cpu_seconds"] * speed, report["transcode_cpu_seconds"] * speed, stages


def compare(few: dict, many: dict, ratios: list[float]) -> list[dict]:
    """A pair's figures for each package, in ms a face-frame; `ratios` as `transcode_ratio` says."""
    figures = []
    for less, more, ratio in zip(few["packages"], many["packages"], ratios):
        seen = more["counts"]["face_frames"] - less["counts"]["face_frames"]
        bare_ms = (less["face_frame_ms"] + more["face_frame_ms"]) / 2
        less_cpu, less_alone, less_stages = at_speed(few, less, bare_ms)
        more_cpu, more_alone, more_stages = at_speed(many, more, bare_ms)
        # A tile without a face costs another time to decode and encode.
        transcode = (less_alone + more_alone) / (1 + ratio) * (ratio - 1)
        cost_ms = (more_cpu - less_cpu - transcode) / seen * 1e3
        names = less_stages.keys() | more_stages.keys()
        stages_ms = {
            name: (more_stages.get(name, 0.0) - less_stages.get(name, 0.0)) / seen * 1e3
            for name in names
        }
        figures.append(
            {
                "package": more["package"],
                "bare_ms": bare_ms,
                "cost_ms": cost_ms,
                "times_bare": cost_ms / bare_ms,
                "stages_ms": stages_ms,
            }
        )
    return figures


def measure(
    options: argparse.Namespace, bench: Callable[[argparse.Namespace, Path], dict]
) -> list[dict]:
    """The medians of `options.pairs` pairs for each package; `bench` gives a clip's figures."""
    once = copy.copy(options)
    once.repeat = 1
    folder = ROOT / "target/tables/further"
    folder.mkdir(parents=True, exist_ok=True)
    demo = ROOT / "demo/sample.mp4"
    walls = [clips.faces(demo, folder, count, FACE, SECONDS) for count in FACES]
    pairs = [tuple(bench(once, wall) for wall in walls) for _ in range(options.pairs)]
    ratios = [transcode_ratio(pairs, at) for at, _ in enumerate(pairs[0][0]["packages"])]
    compared = [compare(*pair, ratios) for pair in pairs]
    for figures in compared:
        print(json.dumps(figures), file=sys.stderr)
    rows = []
    for figures in zip(*compared):
        row = {"package": figures[0]["package"]}
        for key in ("bare_ms", "cost_ms", "times_bare"):
            row[key] = statistics.median(one[key] for one in figures)
        times = sorted(one["times_bare"] for one in figures)
        row["quartiles"] = (times[len(times) // 4], times[-1 - len(times) // 4])
        names = {name for one in figures for name in one["stages_ms"]}
        row["stages_ms"] = {
            name: statistics.median(one["stages_ms"].get(name, 0.0) for one in figures)
            for name in names
        }
        rows.append(row)
    return rows

"""Cameras: what one live stream costs, by size of its frame and by package."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benches/curves"))

import clips  # noqa: E402
import live  # noqa: E402

HEIGHTS_PX = (720, 1080)
SECONDS = 30


def measure(options: argparse.Namespace) -> list[dict]:
    """A row for each package and size: the first clip played as a camera would, drawn and encoded
    for the RTSP server."""
    rows = []
    folder = ROOT / "target/tables" / options.clip[0].stem
    folder.mkdir(parents=True, exist_ok=True)
    for package in options.package or [None]:
        for height in HEIGHTS_PX:
            short = clips.size(options.clip[0], folder, height, 20)
            # Long enough that no stream comes to its end while it is watched.
            clip = clips.length(short, folder, SECONDS + live.WARM_UP_SECONDS + 60)
            models = "[models]\n"
            for key, given in (("speaker", package), ("detector", options.detector)):
                if given:
                    place = Path(given)
                    models += f'{key} = "{place.resolve() if place.is_dir() else given}"\n'
            row = live.measure(options.binary, clip, folder, "encoded", 1, SECONDS, models)
            rows.append({"package": package or "locutor", "height_px": height, **row})
    return rows

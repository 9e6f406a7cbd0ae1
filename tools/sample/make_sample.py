#!/usr/bin/env python3
"""Make a sample meeting: two people who take turns speaking, with the truth beside it.

Writes a video (H.264 + AAC) and a CSV in AVA-ActiveSpeaker form with a row per person
and frame. The people are made from one public-domain portrait, the speech by espeak-ng;
no footage of anyone is used. The same arguments give the same picture and sound.
"""

from __future__ import annotations

import argparse
import csv
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from media import Encoder, require_gstreamer
from people import looks, make_person
from portrait import cut_out, fetch_portrait
from scene import Scene
from voices import RATE, conversation, mix, speaks_at

_ROOT = Path(__file__).resolve().parents[2]
_LAYOUTS = {"one": 1, "two": 2, "mosaic12": 12}
_HEADER = ["video_id", "frame_timestamp", "entity_box_x1", "entity_box_y1", "entity_box_x2"]
_HEADER += ["entity_box_y2", "label", "entity_id"]


def _size(text: str) -> tuple[int, int]:
    width, height = (int(part) for part in text.lower().split("x"))
    if width % 2 or height % 2 or min(width, height) < 64:
        raise argparse.ArgumentTypeError("WIDTHxHEIGHT, both even and at least 64")
    return width, height


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", nargs="?", type=Path, default=_ROOT / "demo" / "sample.mp4", help=".mp4, .mov or .mkv")
    parser.add_argument("--labels", type=Path, help="default: OUTPUT with .labels.csv")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--size", type=_size, default=(640, 360), metavar="WxH", help="as shown, default 640x360")
    parser.add_argument("--fps", type=Fraction, default=Fraction(25), help="25, 30000/1001, ...")
    parser.add_argument("--layout", choices=_LAYOUTS, default="two")
    parser.add_argument("--audio-tracks", type=int, default=1, choices=(0, 1, 2), help="the second is another conversation")
    parser.add_argument("--rotate", type=int, default=0, choices=(0, 90, 180, 270), help="store turned, with the tag that turns back")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--portrait", type=Path, help="astronaut.png of scikit-image (default: downloaded)")
    parser.add_argument("--cache", type=Path, default=_ROOT / "target" / "sample")
    return parser.parse_args()


def main() -> None:
    """Makes the video and its labels."""
    options = arguments()
    require_gstreamer()
    count = _LAYOUTS[options.layout]
    turns = conversation(options.seconds, count, options.seed)
    tracks = [(mix(turns, options.seconds, options.seed), RATE)]
    if options.audio_tracks == 2:
        other = conversation(options.seconds, 3, options.seed + 100)
        tracks.append((mix(other, options.seconds, options.seed + 100), RATE))
    if options.portrait:
        options.cache = options.portrait.parent
    portrait = fetch_portrait(options.cache)
    opacity = cut_out(portrait)
    people = [make_person(portrait, opacity, look) for look in looks(count, options.seed)]
    width, height = options.size
    scene = Scene(people, turns, width, height, options.seed)
    frames = int(options.seconds * options.fps)
    times = np.array([float(k / options.fps) for k in range(frames)])
    truth = [speaks_at(turns, person, times) for person in range(count)]
    stored = (height, width) if options.rotate in (90, 270) else (width, height)
    turn_back = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
    labels = options.labels or options.output.with_suffix(".labels.csv")
    labels.parent.mkdir(parents=True, exist_ok=True)
    name = options.output.stem
    with (
        labels.open("w", newline="") as file,
        Encoder(options.output, stored, options.fps, tracks[: options.audio_tracks], options.rotate) as encoder,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(_HEADER)
        for index, time_s in enumerate(times):
            picture, boxes = scene.frame(float(time_s))
            if options.rotate:
                picture = cv2.rotate(picture, turn_back[options.rotate])
            encoder.write(picture)
            for person, box in enumerate(boxes):
                label = "SPEAKING_AUDIBLE" if truth[person][index] else "NOT_SPEAKING"
                if options.audio_tracks == 0 and label == "SPEAKING_AUDIBLE":
                    label = "SPEAKING_NOT_AUDIBLE"
                cells = [f"{edge:.5f}" for edge in box]
                rows.writerow([name, f"{time_s:.3f}", *cells, label, f"{name}_P{person + 1}"])
    print(f"{options.output}: {frames} frames, {len(turns)} turns; truth in {labels}")


if __name__ == "__main__":
    main()

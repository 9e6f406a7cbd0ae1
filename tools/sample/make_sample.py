#!/usr/bin/env python3
"""Make a sample meeting: two people who take turns speaking, with the truth beside it.

Writes a video (H.264 + AAC) and a CSV in AVA-ActiveSpeaker form with a row per person
and frame. The people are made from one public-domain portrait, the speech by espeak-ng;
no footage of anyone is used. The same arguments give the same frame and audio.
"""

from __future__ import annotations

import argparse
import csv
from fractions import Fraction
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np

from media import Encoder, require_gstreamer
from people import Person, looks, make_person
from portrait import cut_out, fetch_portrait
from scene import Box, Scene
from voices import RATE, Turn, conversation, mix, speaks_at

_ROOT = Path(__file__).resolve().parents[2]
_LAYOUTS = {"one": 1, "two": 2, "mosaic12": 12}
_TURN_BACK = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


def _size(text: str) -> tuple[int, int]:
    width, height = (int(part) for part in text.lower().split("x"))
    if width % 2 or height % 2 or min(width, height) < 64:
        raise argparse.ArgumentTypeError("WIDTHxHEIGHT, both even and at least 64")
    return width, height


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "output",
        nargs="?",
        type=Path,
        default=_ROOT / "demo" / "sample.mp4",
        help=".mp4, .mov or .mkv",
    )
    parser.add_argument("--labels", type=Path, help="default: OUTPUT with .labels.csv")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument(
        "--size", type=_size, default=(640, 360), metavar="WxH", help="as shown, default 640x360"
    )
    parser.add_argument("--fps", type=Fraction, default=Fraction(25), help="25, 30000/1001, ...")
    parser.add_argument("--layout", choices=_LAYOUTS, default="two")
    parser.add_argument(
        "--audio-tracks",
        type=int,
        default=1,
        choices=(0, 1, 2),
        help="the second is another conversation",
    )
    parser.add_argument(
        "--rotate",
        type=int,
        default=0,
        choices=(0, 90, 180, 270),
        help="store turned, with the tag that turns back",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--portrait", type=Path, help="astronaut.png of scikit-image (default: downloaded)"
    )
    parser.add_argument("--cache", type=Path, default=_ROOT / "target" / "sample")
    return parser.parse_args()


class Labels:
    """The truth as AVA-ActiveSpeaker CSV, one row per person and frame."""

    _HEADER = ("video_id", "frame_timestamp", "entity_box_x1", "entity_box_y1", "entity_box_x2")
    _HEADER += ("entity_box_y2", "label", "entity_id")

    def __init__(self, file: TextIO, name: str, turns: list[Turn], audible: bool) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(self._HEADER)
        self._name, self._turns = name, turns
        self._moving = "SPEAKING_AUDIBLE" if audible else "SPEAKING_NOT_AUDIBLE"

    def add(self, time_s: float, boxes: list[Box]) -> None:
        """The rows of one frame."""
        for person, box in enumerate(boxes):
            speaks = speaks_at(self._turns, person, time_s)
            label = self._moving if speaks else "NOT_SPEAKING"
            edges = [f"{edge:.5f}" for edge in box]
            entity = f"{self._name}_P{person + 1}"
            self._rows.writerow([self._name, f"{time_s:.3f}", *edges, label, entity])


def _people(options: argparse.Namespace) -> list[Person]:
    """Everybody in the frame."""
    portrait = fetch_portrait(options.cache, options.portrait)
    opacity = cut_out(portrait)
    wanted = looks(_LAYOUTS[options.layout], options.seed)
    return [make_person(portrait, opacity, look) for look in wanted]


def _tracks(options: argparse.Namespace, turns: list[Turn]) -> list[tuple[np.ndarray, int]]:
    """The audio tracks to store, each with its rate."""
    tracks = [(mix(turns, options.seconds, options.seed), RATE)]
    if options.audio_tracks == 2:
        seed = options.seed + 100
        tracks.append((mix(conversation(options.seconds, 3, seed), options.seconds, seed), RATE))
    return tracks[: options.audio_tracks]


def _film(options: argparse.Namespace, scene: Scene, encoder: Encoder, rows: Labels) -> int:
    """Draws, labels and encodes every frame; gives their number."""
    frames = int(options.seconds * options.fps)
    for index in range(frames):
        time_s = float(index / options.fps)
        frame, boxes = scene.frame(time_s)
        if options.rotate:
            frame = cv2.rotate(frame, _TURN_BACK[options.rotate])
        encoder.write(frame)
        rows.add(time_s, boxes)
    return frames


def main() -> None:
    """Makes the video and its labels."""
    options = arguments()
    require_gstreamer()
    turns = conversation(options.seconds, _LAYOUTS[options.layout], options.seed)
    width, height = options.size
    scene = Scene(_people(options), turns, width, height, options.seed)
    stored = (height, width) if options.rotate in (90, 270) else (width, height)
    labels = options.labels or options.output.with_suffix(".labels.csv")
    labels.parent.mkdir(parents=True, exist_ok=True)
    tracks = _tracks(options, turns)
    with (
        Encoder(options.output, stored, options.fps, tracks, options.rotate) as encoder,
        labels.open("w", newline="") as file,
    ):
        rows = Labels(file, options.output.stem, turns, bool(tracks))
        frames = _film(options, scene, encoder, rows)
    print(f"{options.output}: {frames} frames, {len(turns)} turns; truth in {labels}")


if __name__ == "__main__":
    main()

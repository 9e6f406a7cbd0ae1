"""Pictures to judge a detector by, with the boxes they should have."""

import csv
import dataclasses
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from . import compose, config, material


@dataclasses.dataclass
class Picture:
    video: str
    frame: int
    bgr: np.ndarray
    truth: np.ndarray | None  # [n, 4] in pixels; None: the teacher is to say
    group: str = ""


def frames(path, every):
    """Every so many frames of a video, each with its number."""
    video = cv2.VideoCapture(str(path))
    index = 0
    while video.grab():
        if index % every == 0:
            yield index, video.retrieve()[1]
        index += 1


def labels(path):
    """Boxes (fractions of the picture) by video and time in milliseconds."""
    out = defaultdict(dict)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            box = [float(row[f"entity_box_{k}"]) for k in ("x1", "y1", "x2", "y2")]
            out[row["video_id"]].setdefault(round(1000 * float(row["frame_timestamp"])), []).append(box)
    return out


def labelled(folder, every, fps=25):
    """Pictures of the videos beside labels.csv that have labels."""
    folder = Path(folder)
    for video, boxes in sorted(labels(folder / "labels.csv").items()):
        for index, bgr in frames(folder / f"{video}.mp4", every):
            truth = boxes.get(round(1000 * index / fps))
            if truth:
                size = np.array([bgr.shape[1], bgr.shape[0]] * 2, np.float32)
                yield Picture(video, index, bgr, np.array(truth, np.float32) * size, "composites")


def clips(paths, every):
    """Pictures of unlabelled clips."""
    for path in paths:
        for index, bgr in frames(path, every):
            yield Picture(Path(path).stem, index, bgr, None, Path(path).stem)


def composed(folder, share, number, width=320, height=192):
    """Composed pictures of the held-out sources: to choose a threshold by."""
    _, stuff = material.load(folder, share)
    for index in range(number):
        rng = np.random.default_rng([12345, index])
        grey, faces = compose.compose(rng, stuff, config.Scene(), width, height)
        faces = faces[(faces[:, 2:4] - faces[:, :2]).max(1) >= 14]
        yield Picture("held-out", index, cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), faces[:, :4], "held-out")

"""Judges detectors side by side on labelled videos and against the teacher on clips.

A face is found where a detection overlaps its box by IoU >= 0.5, each detection finding one face.
Boxes of programs that are no ONNX graph can be judged too: `frames` writes the pictures, the
program writes `video,frame,x1,y1,x2,y2,score` in pixels of the written picture, and a scale and an
offset of its boxes, in parts of their size, are fitted before they are judged.
"""

import csv
import json
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from . import video
from .contract import Detector, iou, reduce

LEAST_IOU = 0.5
TEACHER_SIDE_PX = 640
TEACHER_SCORE = 0.6


def pairs(found, truth):
    """Index pairs of detections and true boxes that belong together, best overlap first."""
    out, table = [], iou(found, truth) if len(found) and len(truth) else np.zeros((0, 0))
    while table.size and table.max() >= LEAST_IOU:
        pair = np.unravel_index(table.argmax(), table.shape)
        out.append(pair)
        table[pair[0]] = table[:, pair[1]] = -1
    return out


class Tally:
    """Counts of one detector on one group of pictures."""

    def __init__(self):
        self.pictures = self.truths = self.found = self.hits = 0
        self.geometry, self.sizes = [], []

    def add(self, found, truth):
        self.pictures += 1
        self.truths += len(truth)
        self.found += len(found)
        for i, j in pairs(found[:, :4], truth):
            self.hits += 1
            a, b = found[i, :4], truth[j]
            size = b[2:] - b[:2]
            offset = ((a[:2] + a[2:]) - (b[:2] + b[2:])) / 2 / size
            ratio = (a[2:] - a[:2]) / size
            self.geometry.append([iou(a[None], b[None])[0, 0], *offset, *ratio])

    def summary(self):
        mean = np.mean(self.geometry, axis=0) if self.geometry else np.full(5, np.nan)
        share = lambda a, b: round(a / b, 4) if b else None
        return {"pictures": self.pictures, "faces": self.truths,
                "recall": share(self.hits, self.truths), "precision": share(self.hits, self.found),
                "false_per_picture": share(self.found - self.hits, self.pictures),
                "iou": round(float(mean[0]), 4),
                "offset_x": round(float(mean[1]), 4), "offset_y": round(float(mean[2]), 4),
                "width_ratio": round(float(mean[3]), 4), "height_ratio": round(float(mean[4]), 4)}


def read_boxes(path):
    """Boxes of another program: by video and frame, [n, 5]."""
    out = defaultdict(list)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            key = row["video"], int(row["frame"])
            out[key].append([float(row[k]) for k in ("x1", "y1", "x2", "y2", "score")])
    return {key: np.array(boxes, np.float32) for key, boxes in out.items()}


def corrected(boxes, fit):
    """Boxes moved and resized by parts of their size."""
    out = boxes.copy()
    size = boxes[:, 2:4] - boxes[:, :2]
    middle = (boxes[:, 2:4] + boxes[:, :2]) / 2 + size * fit[:2]
    out[:, :2], out[:, 2:4] = middle - size * fit[2:] / 2, middle + size * fit[2:] / 2
    return out


def fit_boxes(found_and_truth):
    """Offset and ratio (x, y each) that bring another program's boxes to the true ones."""
    fit = np.array([0.0, 0.0, 1.0, 1.0])
    for _ in range(4):
        rows = []
        for found, truth in found_and_truth:
            moved = corrected(found, fit)
            table = iou(moved[:, :4], truth) if len(found) and len(truth) else np.zeros((0, 0))
            for i, j in zip(*np.nonzero(table >= 0.3)):
                size = found[i, 2:4] - found[i, :2]
                shift = (truth[j, :2] + truth[j, 2:] - found[i, :2] - found[i, 2:4]) / 2 / size
                rows.append([*shift, *((truth[j, 2:] - truth[j, :2]) / size)])
        if rows:
            fit = np.median(rows, axis=0)
    return fit


def pictures(composites, clip_paths, every_labelled, every, data=None, holdout=0.1, number=600):
    if data:
        yield from video.composed(data, holdout, number)
    if composites:
        yield from video.labelled(composites, every_labelled)
    yield from video.clips(clip_paths, every)


def write_frames(given, folder, long_side):
    """The pictures, grey, as a detector gets them: VIDEO__FRAME.pgm; no padding."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for picture in given:
        grey = cv2.cvtColor(picture.bgr, cv2.COLOR_BGR2GRAY)
        scale = min(1.0, long_side / max(grey.shape))
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(Path(folder) / f"{picture.video}__{picture.frame:06}.pgm"), small)


def evaluate(models, teacher_file, given, long_side, others=()):
    """Figures by group and detector. `models`: name to file; `others`: name to file of boxes."""
    teacher = Detector(teacher_file, TEACHER_SCORE)
    detectors = {name: Detector(*spec) for name, spec in models.items()}
    boxes = {name: read_boxes(path) for name, path in dict(others).items()}
    tallies, spent = defaultdict(Tally), defaultdict(list)
    kept = defaultdict(list)
    for picture in given:
        truth = picture.truth
        if truth is None:
            truth = teacher(picture.bgr, TEACHER_SIDE_PX)[:, :4]
        for name, detector in detectors.items():
            tallies[picture.group, name].add(detector(picture.bgr, long_side), truth)
            values, _ = reduce(picture.bgr, long_side)
            begin = time.perf_counter()
            detector.outputs(values)
            spent[name].append(time.perf_counter() - begin)
        for name, table in boxes.items():
            scale = min(1.0, long_side / max(picture.bgr.shape))
            found = table.get((picture.video, picture.frame), np.zeros((0, 5), np.float32)).copy()
            found[:, :4] /= scale
            kept[name].append((picture.group, found, truth))
    for name, rows in kept.items():
        fit = fit_boxes([row[1:] for row in rows])
        for group, found, truth in rows:
            tallies[group, name].add(corrected(found, fit), truth)
    out = {f"{group} {name}": tally.summary() for (group, name), tally in tallies.items()}
    out["ms"] = {name: round(1000 * float(np.median(times)), 3) for name, times in spent.items()}
    return out


def table(figures):
    """The figures as lines to read."""
    columns = ["recall", "precision", "false_per_picture", "iou",
               "offset_x", "offset_y", "width_ratio", "height_ratio", "faces", "pictures"]
    lines = ["| pictures, detector | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in figures.items():
        if name != "ms":
            lines.append(f"| {name} | " + " | ".join(str(row[c]) for c in columns) + " |")
    return "\n".join([*lines, "", "graph alone, median ms a picture: " + json.dumps(figures["ms"])])

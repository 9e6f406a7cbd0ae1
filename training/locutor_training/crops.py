"""Model pictures from labelled videos: the crop geometry of the released Light-ASD demo.

Takes a folder with `labels.csv` (AVA-ActiveSpeaker form, boxes as fractions) and the videos; gives
for each labelled face its model pictures at 25 fps, its truth, and the video's sound. For judging
only. Decoded videos are kept in a cache folder, since they are judged many times.
"""

import csv
import subprocess
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import median_filter

from . import geometry as g
from .prepare import decode_sound, decode_video, fit_sound


def picture_size(path: Path) -> tuple[int, int]:
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
         "stream=width,height", "-of", "csv=p=0", str(path)],
        check=True, capture_output=True, text=True).stdout
    width, height = out.strip().split(",")[:2]
    return int(width), int(height)


def crop_track(frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """[T, H, W] grey and boxes [T, 4] in pixels -> [T, 112, 112]."""
    centre_x, centre_y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    half = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) / 2
    centre_x, centre_y, half = (median_filter(v, 13, mode="nearest")
                                for v in (centre_x, centre_y, half))
    out = np.empty((len(frames), g.MODEL_PX, g.MODEL_PX), np.uint8)
    for t, frame in enumerate(frames):
        s = half[t]
        pad = int(s * 1.8)
        padded = np.pad(frame, pad, constant_values=110)
        x, y = centre_x[t] + pad, centre_y[t] + pad
        cut = padded[int(y - s):int(y + s * 1.8), int(x - s * 1.4):int(x + s * 1.4)]
        out[t] = cv2.resize(cut, (224, 224))[56:168, 56:168]
    return out


def load(folder: Path, cache: Path) -> list[dict]:
    """One entry a labelled face: video, entity, rows of the CSV, pictures, sound, truth."""
    cache.mkdir(parents=True, exist_ok=True)
    rows: dict[tuple, list] = {}
    with open(folder / "labels.csv") as f:
        for r in csv.DictReader(f):
            rows.setdefault((r["video_id"], r["entity_id"]), []).append(r)
    out, last, frames, sound = [], None, None, None
    for (video, entity), lines in sorted(rows.items()):
        store = cache / f"{entity}.npz"
        if not store.is_file():
            if last != video:
                path = next(folder.glob(f"{video}.*"))
                width, height = picture_size(path)
                frames, last = decode_video(path, width, height), video
                sound = fit_sound(decode_sound(path), len(frames))
            index = np.array([round(float(r["frame_timestamp"]) * g.PICTURE_HZ) for r in lines])
            index = np.minimum(index, len(frames) - 1)
            names = [f"entity_box_{c}" for c in ("x1", "y1", "x2", "y2")]
            boxes = np.array([[float(r[c]) for c in names] for r in lines])
            size = np.array([frames.shape[2], frames.shape[1]] * 2)
            np.savez(store, index=index, sound=sound, pictures=crop_track(frames[index], boxes * size))
        with np.load(store) as z:
            data = {k: z[k] for k in z.files}
        truth = np.array([r["label"] == "SPEAKING_AUDIBLE" for r in lines])
        out.append({"video": video, "entity": entity, "rows": lines, "truth": truth, **data})
    return out

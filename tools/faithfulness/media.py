"""From a video file of one face to crops and sound features, by way of ffmpeg.

The released models' own reading: grey as OpenCV makes it of BGR, 25 pictures a second, 16 kHz
mono, MFCC of python_speech_features with its defaults, four rows a picture.
"""

import subprocess
from pathlib import Path

import cv2
import numpy as np

SIDE = 112
TICKS_PER_SECOND = 25
ROWS_PER_TICK = 4
SAMPLES_PER_SECOND = 16_000


def _ffmpeg(path: Path, *arguments: str) -> bytes:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-i", str(path), *arguments]
    done = subprocess.run([*command, "-"], capture_output=True)
    if done.returncode != 0:
        raise ValueError(f"{path}: ffmpeg cannot read it: {done.stderr.decode().strip()}")
    return done.stdout


def crops(path: Path, central: int | None) -> np.ndarray:
    """T x 112 x 112 grey values 0..255 of a square video, `central` pixels of it if given."""
    size = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"]
        + ["-show_entries", "stream=width,height", str(path)],
        capture_output=True,
        text=True,
    )
    width, height = map(int, size.stdout.strip().rstrip(",").split(","))
    if width != height or (central or width) > width:
        raise ValueError(f"{path}: is {width}x{height}; a square of one face is needed")
    rate = f"fps={TICKS_PER_SECOND}"
    raw = _ffmpeg(path, "-map", "0:v:0", "-vf", rate, "-f", "rawvideo", "-pix_fmt", "bgr24")
    frames = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    edge = (width - (central or width)) // 2
    grey = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames)
    inner = (frame[edge : height - edge, edge : width - edge] for frame in grey)
    return np.stack([cv2.resize(frame, (SIDE, SIDE)) for frame in inner])


def rows(path: Path, ticks: int) -> np.ndarray:
    """4·ticks x 13 coefficients; sound that ends early is repeated, as the released code does."""
    from python_speech_features import mfcc

    rate = str(SAMPLES_PER_SECOND)
    raw = _ffmpeg(path, "-map", "0:a:0", "-ac", "1", "-ar", rate, "-f", "s16le")
    found = mfcc(np.frombuffer(raw, np.int16), SAMPLES_PER_SECOND).astype(np.float32)
    wanted = ticks * ROWS_PER_TICK
    if len(found) < wanted:
        found = np.pad(found, ((0, wanted - len(found)), (0, 0)), mode="wrap")
    return found[:wanted]

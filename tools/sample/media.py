"""Encoding and decoding with GStreamer's command line, for the generators in this folder.

Takes raw frames and sound; gives a file with H.264 and AAC, and the other way round.
Goes through ``gst-launch-1.0`` (installed with the project) and pipes, so that Python
needs no media library. Encoder settings favour small files and speed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

_MUXERS = {".mp4": "mp4mux", ".mov": "qtmux", ".mkv": "matroskamux"}
_ROTATIONS = {0: None, 90: "rotate-90", 180: "rotate-180", 270: "rotate-270"}


def require_gstreamer() -> None:
    """Stops with the command that helps when GStreamer's tools are missing."""
    if shutil.which("gst-launch-1.0") is None:
        raise SystemExit("gst-launch-1.0 is missing: apt install gstreamer1.0-tools")


def _first_element(*choices: str) -> str:
    """The first of these element descriptions whose element is installed."""
    for choice in choices:
        probe = subprocess.run(["gst-inspect-1.0", "--exists", choice.split()[0]], check=False)
        if probe.returncode == 0:
            return choice
    names = ", ".join(choice.split()[0] for choice in choices)
    raise SystemExit(f"none of the GStreamer elements {names} is installed")


class Encoder:
    """Writes one file: open, feed frames, close (or use as a context)."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: Fraction,
        tracks: list[tuple[np.ndarray, int]],
        rotation: int = 0,
        crf: int = 23,
    ) -> None:
        """``size``: width, height of the stored frames; ``tracks``: int16 [samples, channels] and rate."""
        require_gstreamer()
        if path.suffix not in _MUXERS:
            raise SystemExit(f"{path}: the container must be one of {', '.join(_MUXERS)}")
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._folder = tempfile.TemporaryDirectory()
        path.parent.mkdir(parents=True, exist_ok=True)
        width, height = size
        video = _first_element(
            f"x264enc pass=quant quantizer={crf} speed-preset=veryfast key-int-max=50",
            "openh264enc bitrate=1500000",
        )
        line = f"fdsrc fd=0 ! rawvideoparse format=bgr width={width} height={height} framerate={fps}"
        line += f" ! videoconvert ! video/x-raw,format=I420 ! {video} ! h264parse ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0"
        if _ROTATIONS[rotation]:
            line += f" ! taginject tags=image-orientation={_ROTATIONS[rotation]}"
        line += " ! mux."
        if tracks:
            sound = _first_element("fdkaacenc bitrate=128000", "avenc_aac bitrate=128000", "voaacenc bitrate=128000")
        for index, (samples, rate) in enumerate(tracks):
            wav = Path(self._folder.name) / f"{index}.wav"
            _write_wav(wav, samples, rate)
            line += f" filesrc location={wav} ! wavparse ! audioconvert ! {sound} ! aacparse"
            line += " ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! mux."
        line += f" {_MUXERS[path.suffix]} name=mux ! filesink location={self._part}"
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            ["gst-launch-1.0", "-q", *line.split()],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
        )

    def write(self, frame: np.ndarray) -> None:
        """One BGR frame. Raw rows in GStreamer are padded to four bytes."""
        height, width = frame.shape[:2]
        padding = -(width * 3) % 4
        if padding:
            rows = np.zeros((height, width * 3 + padding), np.uint8)
            rows[:, : width * 3] = frame.reshape(height, width * 3)
            frame = rows
        try:
            self._process.stdin.write(frame.tobytes())
        except BrokenPipeError:
            self.close()

    def close(self) -> None:
        """Finishes the file and gives it its name; stops when the encoder failed."""
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        code = self._process.wait()
        self._log.seek(0)
        text = self._log.read().decode(errors="replace")
        self._folder.cleanup()
        if code != 0:
            self._part.unlink(missing_ok=True)
            raise SystemExit(f"encoding {self._path} failed:\n{text}")
        self._part.replace(self._path)

    def __enter__(self) -> Encoder:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
            return
        self._process.kill()
        self._process.wait()
        self._part.unlink(missing_ok=True)
        self._folder.cleanup()


def _write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(samples, "<i2").tobytes())

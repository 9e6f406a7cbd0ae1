"""Encoding and decoding with GStreamer's command line, for the generators in this folder.

Takes raw frames and audio; gives a file with H.264 and AAC, and the other way round.
Goes through ``gst-launch-1.0`` (installed with the project) and pipes, so that Python
needs no media library. Encoder settings favour small files and speed.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

# GStreamer Data Protocol 1.0: header of each packet, and the packet type of a buffer.
_GDP_HEADER, _GDP_BUFFER, _NO_TIME = 62, 1, 2**64 - 1
_MUXERS = {".mp4": "mp4mux", ".mov": "qtmux", ".mkv": "matroskamux"}
# Unbounded: one stream is read from a pipe, the others from files, so the muxer may wait long.
_QUEUE = "queue max-size-time=0 max-size-bytes=0 max-size-buffers=0"
#: AAC encoders by preference, with the silence each puts before the audio, in samples.
#: The muxers write no edit list for it, so that much is cut off instead: the audio then
#: stands exactly where it belongs.
_AAC_ENCODERS = {"avenc_aac bitrate=128000": 1024, "voaacenc bitrate=128000": 1600}
#: Rotation matrix a, b, c, d of a track header, by degrees clockwise when shown.
_MATRICES = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


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
        """``size``: width and height as stored; ``tracks``: int16 [samples, channels], rate."""
        require_gstreamer()
        if path.suffix not in _MUXERS:
            raise SystemExit(f"{path}: the container must be one of {', '.join(_MUXERS)}")
        if rotation and path.suffix == ".mkv":
            raise SystemExit(f"{path}: only .mp4 and .mov can say that they are rotated")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._rotation = rotation
        self._folder = tempfile.TemporaryDirectory()
        video = _first_element(
            f"x264enc pass=quant quantizer={crf} speed-preset=veryfast key-int-max=50",
            "openh264enc bitrate=1500000",
        )
        raw = f"format=bgr width={size[0]} height={size[1]} framerate={fps}"
        command = f"gst-launch-1.0 -q fdsrc fd=0 ! rawvideoparse {raw} ! videoconvert".split()
        command += f"! video/x-raw,format=I420 ! {video} ! h264parse ! {_QUEUE} ! mux.".split()
        for index, track in enumerate(tracks):
            command += self._audio(index, *track)
        command += [_MUXERS[path.suffix], "name=mux", "!", "filesink", f"location={self._part}"]
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=self._log, stderr=self._log
        )

    def _audio(self, index: int, samples: np.ndarray, rate: int) -> list[str]:
        """The part of the pipeline that encodes one audio track."""
        encoder = _first_element(*_AAC_ENCODERS)
        wav = Path(self._folder.name) / f"{index}.wav"
        _write_wav(wav, samples[_AAC_ENCODERS[encoder] :], rate)
        chain = f"! wavparse ! audioconvert ! {encoder} ! aacparse ! {_QUEUE} ! mux."
        return ["filesrc", f"location={wav}", *chain.split()]

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
        if self._rotation:
            _write_rotation(self._part, self._rotation)
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


def _write_rotation(path: Path, degrees: int) -> None:
    """Sets the display matrix of the video track. GStreamer 1.22's muxer cannot."""
    data = bytearray(path.read_bytes())

    def boxes(start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        while start + 8 <= end:
            size, kind = struct.unpack_from(">I4s", data, start)
            head = 8
            if size == 1:
                size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
            yield kind, start + head, start + (size or end - start)
            start += size or end - start

    for kind, start, end in boxes(0, len(data)):
        if kind != b"moov":
            continue
        for track, low, high in boxes(start, end):
            for header, _, stop in boxes(low, high) if track == b"trak" else ():
                width, height = struct.unpack_from(">II", data, stop - 8)
                if header != b"tkhd" or width == 0:
                    continue
                a, b, c, d = (65536 * v for v in _MATRICES[degrees])
                # Turning leaves the frame outside the first quadrant: shift it back.
                x = height if degrees == 90 else width if degrees == 180 else 0
                y = 0 if degrees == 90 else height if degrees == 180 else width
                struct.pack_into(">9i", data, stop - 44, a, b, 0, c, d, 0, x, y, 1 << 30)
    path.write_bytes(data)


def decode(path: Path, kind: str, caps: str, chain: str) -> Iterator[tuple[float, bytes]]:
    """(running time in seconds, bytes) of every raw buffer of a file's first ``kind`` stream.

    ``kind`` is ``video`` or ``audio``; ``chain`` converts to ``caps``. Running time is
    what a player keeps: edit lists and start offsets are in it.
    """
    require_gstreamer()
    command = ["gst-launch-1.0", "-q", "filesrc", f"location={path.resolve()}", "!"]
    command += f"decodebin name=d d. ! {kind}/x-raw ! {chain} ! {caps}".split()
    command += "! identity single-segment=true ! gdppay ! fdsink fd=1".split()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        while len(head := process.stdout.read(_GDP_HEADER)) == _GDP_HEADER:
            payload, size, time_ns = struct.unpack_from(">HIQ", head, 4)
            body = process.stdout.read(size)
            if payload == _GDP_BUFFER and time_ns != _NO_TIME:
                yield time_ns / 1e9, body
        if process.wait() != 0:
            log.seek(0)
            raise SystemExit(
                f"{path}: cannot decode its {kind}:\n{log.read().decode(errors='replace')}"
            )

#!/usr/bin/env python3
"""Make a clip with a white flash and a 1 kHz click at the same instants, once a second.

The flash lasts one frame; the click begins exactly when that frame is shown. Beside
``check_sync.py`` this proves that a program left frame and audio where they were.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np

from media import Encoder

#: Length and pitch of the click. Long enough for AAC to keep it, short enough to date it.
CLICK_S, CLICK_HZ = 0.012, 1000
_RATE = 48000


def click(rate: int) -> np.ndarray:
    """The click as float32 in -1..1, with soft ends so that its middle is sharply dated."""
    time_s = np.arange(round(CLICK_S * rate)) / rate
    return (np.sin(2 * np.pi * CLICK_HZ * time_s) * np.sin(np.pi * time_s / CLICK_S)).astype(
        np.float32
    )


def main() -> None:
    """Writes the clip."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help=".mp4, .mov or .mkv")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--fps", type=Fraction, default=Fraction(25), help="25, 30000/1001, ...")
    options = parser.parse_args()
    frames = int(options.seconds * options.fps)
    # Half a second off the start: a flash in the first frame would date nothing.
    flashes = {ceil((k + Fraction(1, 2)) * options.fps) for k in range(options.seconds)}
    flashes = {k for k in flashes if k < frames - 1}
    audio = np.zeros((options.seconds * _RATE, 2), np.int16)
    for index in flashes:
        at = round(index / options.fps * _RATE)
        burst = (click(_RATE) * 26000).astype(np.int16)[: len(audio) - at]
        audio[at : at + len(burst)] = burst[:, None]
    width, height = 320, 240
    ground = np.full((height, width, 3), 40, np.uint8)
    ground[:, :, 0] = np.linspace(30, 90, width, dtype=np.uint8)
    white = np.full_like(ground, 245)
    with Encoder(options.output, (width, height), options.fps, [(audio, _RATE)]) as encoder:
        for index in range(frames):
            encoder.write(white if index in flashes else ground)
    print(f"{options.output}: {frames} frames, {len(flashes)} flashes")


if __name__ == "__main__":
    main()

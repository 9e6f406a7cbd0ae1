#!/usr/bin/env python3
"""Measure how far the click lies from the flash, in one file or before and after.

usage: check_sync.py IN [OUT]

Decodes with GStreamer and reads presentation times, so edit lists, start offsets and
encoder delays count as they do for a viewer. The flash is dated by its frame's time,
the click by a matched filter (to about a sample). With OUT it also prints by how much
each offset changed, and exits 1 when a flash or click is lost or the worst change is
above --tolerance-ms.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from make_sync import click
from media import decode

_RATE = 48000
_SIDE = 32


def flash_times(path: Path) -> tuple[np.ndarray, int]:
    """Times of the bright frames (first of each run), seconds; and the number of frames."""
    caps = f"video/x-raw,format=GRAY8,width={_SIDE},height={_SIDE}"
    frames = list(decode(path, "video", caps, "videoconvert ! videoscale"))
    times = np.array([time_s for time_s, _ in frames])
    light = np.array([np.frombuffer(body, np.uint8).mean() for _, body in frames])
    if len(light) == 0 or light.max() < 1.5 * np.median(light):
        raise SystemExit(f"{path}: no flash found")
    bright = light > (light.max() + np.median(light)) / 2
    first = bright & ~np.concatenate([[False], bright[:-1]])
    return times[first], len(times)


def click_times(path: Path) -> np.ndarray:
    """Times at which clicks begin, seconds."""
    caps = f"audio/x-raw,format=S16LE,rate={_RATE},channels=1,layout=interleaved"
    blocks = list(decode(path, "audio", caps, "audioconvert ! audioresample"))
    if not blocks:
        raise SystemExit(f"{path}: no audio found")
    begin = blocks[0][0]
    last_s, last = blocks[-1]
    audio = np.zeros(round((last_s - begin) * _RATE) + len(last) // 2 + _RATE, np.float32)
    at = 0
    for time_s, body in blocks:
        # By time, so that a hole stays a hole; Matroska's whole milliseconds are no hole.
        stated = round((time_s - begin) * _RATE)
        if abs(stated - at) > 0.002 * _RATE:
            at = stated
        audio[at : at + len(body) // 2] = np.frombuffer(body, "<i2")
        at += len(body) // 2
    burst = click(_RATE)
    # Quadrature pair: the peak does not depend on the phase a filter may have turned.
    carrier = np.exp(2j * np.pi * 1000 * np.arange(len(burst)) / _RATE) * np.abs(
        np.hanning(len(burst))
    )
    size = 1 << (len(audio) + len(burst)).bit_length()
    spectrum = np.fft.fft(audio, size) * np.conj(np.fft.fft(carrier, size))
    match = np.abs(np.fft.ifft(spectrum)[: len(audio)])
    peaks, hop = [], _RATE // 4
    for low in range(0, len(match), hop):
        peak = low + int(np.argmax(match[low : low + hop]))
        around = match[max(peak - hop, 0) : peak + hop]
        if match[peak] >= around.max() and match[peak] > 0.4 * match.max():
            peaks.append(begin + peak / _RATE)
    return np.array(peaks)


def offsets(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Flash times and, for each, click minus flash in ms (nan where no click is near)."""
    flashes, _ = flash_times(path)
    clicks = click_times(path)
    away = np.full(len(flashes), np.nan)
    for index, time_s in enumerate(flashes):
        nearest = clicks[np.argmin(np.abs(clicks - time_s))] if len(clicks) else np.inf
        if abs(nearest - time_s) < 0.45:
            away[index] = (nearest - time_s) * 1000
    return flashes, away


def main() -> int:
    """Prints the figures; see the module's text for the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path, nargs="?")
    parser.add_argument("--tolerance-ms", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report: dict[str, object] = {}
    measured = []
    for path in filter(None, (options.input, options.output)):
        flashes, away = offsets(path)
        measured.append(away)
        report[str(path)] = {
            "flashes": len(flashes),
            "without_click": int(np.isnan(away).sum()),
            "click_minus_flash_ms": {
                "mean": float(np.nanmean(away)),
                "min": float(np.nanmin(away)),
                "max": float(np.nanmax(away)),
            },
        }
    failed = any(np.isnan(away).any() for away in measured)
    if options.output:
        before, after = measured
        same = len(before) == len(after)
        change = after - before if same else np.array([np.nan])
        worst = float(np.max(np.abs(change))) if same and not failed else None
        report["change_ms"] = {"each": [round(float(c), 3) for c in change], "worst": worst}
        failed |= worst is None or worst > options.tolerance_ms
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        for name, value in report.items():
            print(f"{name}: {json.dumps(value)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

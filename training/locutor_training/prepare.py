"""Decodes face tracks once, into four flat files that training maps into memory.

Takes a folder with `manifest.tsv` and `video/<id>.mp4` (160x160 at 25 fps with 16 kHz sound) and,
where there are any, teachers' scores; gives in `--out`: `frames.npy` (uint8, all tracks end to
end), `sound.npy` (int16), `labels.npz` and `tracks.json`. Tracks whose licence forbids commercial
use are left out. Validation sources are whole repositories, never single tracks.
It promises the order and the split for a given manifest; it does not judge the labels.
"""

import csv
import json
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from . import geometry as g
from .labels import frame_labels, load_scores, voiced

REFUSED_LICENCES = ("CC-BY-NC", "custom")


def decode_video(path: Path, width: int, height: int) -> np.ndarray:
    """All frames as grey 0..255, [T, height, width], nearest frame by time at 25 fps."""
    out = subprocess.run(
        ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(path), "-vf", f"fps={g.PICTURE_HZ}",
         "-f", "rawvideo", "-pix_fmt", "gray", "-"], check=True, capture_output=True).stdout
    return np.frombuffer(out, np.uint8).reshape(-1, height, width)


def decode_sound(path: Path) -> np.ndarray:
    """Mono 16 kHz int16; empty where the file has no sound."""
    out = subprocess.run(
        ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(path), "-vn", "-ac", "1",
         "-ar", str(g.SOUND_HZ), "-f", "s16le", "-"], capture_output=True).stdout
    return np.frombuffer(out, np.int16)


def fit_sound(sound: np.ndarray, ticks: int) -> np.ndarray:
    """Cut or padded with zeros to `ticks` ticks."""
    need = ticks * g.SAMPLES_PER_TICK
    return np.pad(sound[:need], (0, max(0, need - len(sound))))


def split_by_source(rows: list[dict], share: float, seed: int) -> set[str]:
    """Repositories to hold out: random order, none larger than a quarter of the goal."""
    sizes: dict[str, int] = {}
    for r in rows:
        sizes[r["repo"]] = sizes.get(r["repo"], 0) + int(r["frames"])
    goal = share * sum(sizes.values())
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    held, total = set(), 0
    for repo in order:
        if sizes[repo] <= goal / 4 and total < goal:
            held.add(repo)
            total += sizes[repo]
    return held


def _one(root: Path, row: dict) -> tuple[np.ndarray, np.ndarray]:
    path = root / row["track"]
    frames = decode_video(path, g.TRACK_PX, g.TRACK_PX)
    frames = frames[:, g.STORE_TOP:g.STORE_TOP + g.STORE_PX, g.STORE_LEFT:g.STORE_LEFT + g.STORE_PX]
    return np.ascontiguousarray(frames), fit_sound(decode_sound(path), len(frames))


def prepare(tracks: Path, out: Path, held_share: float = 0.1, seed: int = 7) -> None:
    rows = list(csv.DictReader(open(tracks / "manifest.tsv"), delimiter="\t"))
    kept = [r for r in rows if not r["licence"].startswith(REFUSED_LICENCES)]
    held = split_by_source(kept, held_share, seed)
    out.mkdir(parents=True, exist_ok=True)
    capacity = sum(int(r["frames"]) + 2 for r in kept)
    frames = np.lib.format.open_memmap(
        out / "frames.npy", "w+", np.uint8, (capacity, g.STORE_PX, g.STORE_PX))
    sounds, labels, table, at = [], [], [], 0
    with ThreadPoolExecutor(1) as pool:
        for row, (pictures, sound) in zip(kept, pool.map(lambda r: _one(tracks, r), kept)):
            n = min(len(pictures), capacity - at)
            pictures, sound = pictures[:n], sound[:n * g.SAMPLES_PER_TICK]
            frames[at:at + n] = pictures
            scores = load_scores(tracks, row, n)
            labels.append(frame_labels(sound, scores))
            sounds.append(sound)
            table.append({
                "id": Path(row["track"]).stem, "first": at, "ticks": n, "repo": row["repo"],
                "clip": row["clip"], "synthetic": row.get("synthetic") == "1",
                "faces": int(row.get("faces_overlapping") or 1), "licence": row["licence"],
                "voiced": float(voiced(sound).mean()), "held_out": row["repo"] in held})
            at += n
    frames.flush()
    np.save(out / "sound.npy", np.concatenate(sounds))
    np.savez(out / "labels.npz", target=np.concatenate([x[0] for x in labels]),
             weight=np.concatenate([x[1] for x in labels]), voiced=np.concatenate([x[2] for x in labels]))
    (out / "tracks.json").write_text(json.dumps(table, indent=0))
    own = [t for t in table if t["held_out"]]
    print(f"{len(rows)} tracks, {len(rows) - len(kept)} left out by licence; "
          f"{at / 1500:.1f} min kept, held out {len(own)} tracks of {len(held)} sources "
          f"({sum(t['ticks'] for t in own) / 1500:.1f} min)")

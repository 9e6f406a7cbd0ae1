"""Draws training batches: pairs of faces, and the sounds that each pair might hear.

Two faces of different clips stand side by side. Both hear, in turn: the first's voice, the
second's, both at once, one and then the other, a stranger's, and noise; and each hears its own
voice displaced. A face is encoded once and judged with seven sounds, so wrong sounds, which teach
hearing, cost almost nothing. What the faces of a pair hear together also teaches competition.

Labels: the track's own (teachers, voice energy) where its own voice is in place; 0 by construction
everywhere else. A face may be *stilled* (its film nearly stopped): then it never speaks.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from . import augment
from . import geometry as g
from .face import DELAY_TICKS
from .mel import TAIL

# rows of one pair: (face of the pair, sound of the pair); the first SHARED are heard by both
SOUNDS = ("first", "second", "both", "switch", "stranger", "noise", "late_first", "late_second")
ROWS = [(f, s) for s in range(6) for f in (0, 1)] + [(0, 6), (1, 7)]
SHARED = 12
SKEW = 2.4  # ticks by which sound may be off and still be the own, where no moment is asked for
OWN_WEIGHT = 2.0  # of rows in which the own voice is heard: wrong sounds outnumber them
LATE_WEIGHT = 1.5  # of rows that hear the own voice from another time, the hardest to refuse


@dataclass
class Batch:
    lips: torch.Tensor  # uint8 [2P, T+4, 64, 64]
    valid: torch.Tensor  # [2P, T+4]
    sounds: torch.Tensor  # float [8P, 640 T + TAIL]
    face_of: torch.Tensor  # [14P] row -> face
    sound_of: torch.Tensor  # [14P] row -> sound
    target: torch.Tensor  # [14P, T]
    weight: torch.Tensor  # [14P, T]
    own: torch.Tensor  # [2P] row of each face with its own voice
    clear: torch.Tensor  # [2P, T] 1 where own voice and lips surely belong together


class Tracks:
    """The prepared files, mapped into memory."""

    def __init__(self, folder: Path, skew: Path | None = None):
        self.table = json.loads((folder / "tracks.json").read_text())
        self.frames = np.load(folder / "frames.npy", mmap_mode="r")
        self.sound = np.load(folder / "sound.npy", mmap_mode="r")
        with np.load(folder / "labels.npz") as z:
            self.target, self.weight, self.voiced = z["target"], z["weight"], z["voiced"]
        shifts = json.loads(skew.read_text()) if skew else {}
        for t in self.table:
            t["skew"] = float(shifts.get(t["id"], 0.0))

    def cut_sound(self, track: dict, tick: float, ticks: int) -> np.ndarray:
        """Sound of `ticks` ticks from `tick` of the track on, its skew mended; zeros outside."""
        n = ticks * g.SAMPLES_PER_TICK + TAIL
        start = int(round((tick + track["skew"]) * g.SAMPLES_PER_TICK))
        end = track["ticks"] * g.SAMPLES_PER_TICK
        a, b = max(0, min(start, end)), max(0, min(start + n, end))
        base = track["first"] * g.SAMPLES_PER_TICK
        out = np.zeros(n, np.float32)
        out[a - start:b - start] = self.sound[base + a:base + b]
        return out

    def cut_store(self, track: dict, index: np.ndarray) -> np.ndarray:
        return self.frames[track["first"] + np.clip(index, 0, track["ticks"] - 1)]

    def cut_labels(self, track: dict, tick: int, ticks: int):
        target, weight = np.zeros(ticks, np.float32), np.zeros(ticks, np.float32)
        n = min(ticks, track["ticks"] - tick)
        at = track["first"] + tick
        target[:n], weight[:n] = self.target[at:at + n], self.weight[at:at + n]
        return target, weight


class Sampler:
    def __init__(self, tracks: Tracks, pairs: int, ticks: int, held_out: bool, shift_min: int):
        self.tracks, self.pairs, self.ticks, self.shift_min = tracks, pairs, ticks, shift_min
        self.pool = [t for t in tracks.table if t["held_out"] == held_out and t["ticks"] >= 30]
        odds = np.array([np.sqrt(min(t["ticks"], 500)) * (0.6 if t["synthetic"] else 1.0)
                         for t in self.pool])
        self.odds = odds / odds.sum()

    def draw_tracks(self, rng) -> list[dict]:
        """2P tracks, no two of one clip (they share their sound)."""
        out, seen = [], set()
        while len(out) < 2 * self.pairs:
            t = self.pool[rng.choice(len(self.pool), p=self.odds)]
            if t["clip"] not in seen:
                seen.add(t["clip"])
                out.append(t)
        return out

    def draw_start(self, track: dict, rng) -> int:
        """A start; of three, mostly the one with the most that is labelled."""
        last = max(0, track["ticks"] - self.ticks)
        starts = rng.integers(0, last + 1, 3)
        if rng.random() < 0.4:
            return int(starts[0])
        return int(max(starts, key=lambda s: self.tracks.cut_labels(track, s, self.ticks)[1].sum()))

    def draw_face(self, track: dict, start: int, rng):
        steps = np.arange(-DELAY_TICKS, self.ticks + DELAY_TICKS)
        valid = ((start + steps >= 0) & (start + steps < track["ticks"])).astype(np.float32)
        still = rng.random() < 0.1
        index = start + (np.floor(steps * rng.uniform(0, 0.12)).astype(int) if still else steps)
        if rng.random() < 0.06:
            valid[rng.random(len(valid)) < 0.15] = 0
        return augment.lips(self.tracks.cut_store(track, index), rng), valid, still

    def late(self, track: dict, start: int, rng) -> np.ndarray:
        """The track's own voice from elsewhere in time."""
        shift = int(rng.integers(self.shift_min, 76)) * (1 if rng.random() < 0.5 else -1)
        if not 0 <= start + shift <= track["ticks"] - self.ticks:
            shift = -shift
        if 0 <= start + shift <= track["ticks"] - self.ticks:
            return self.tracks.cut_sound(track, start + shift, self.ticks)
        x = self.tracks.cut_sound(track, start, self.ticks)
        return np.roll(x, (shift % (self.ticks // 2) + self.shift_min) * g.SAMPLES_PER_TICK)

    def stranger(self, clips: set, rng) -> np.ndarray:
        while True:
            t = self.pool[rng.integers(len(self.pool))]
            if t["clip"] not in clips:
                start = int(rng.integers(0, max(1, t["ticks"] - self.ticks)))
                return self.tracks.cut_sound(t, start, self.ticks)

    def background(self, clips: set, rng) -> np.ndarray:
        n = self.ticks * g.SAMPLES_PER_TICK + TAIL
        kind = rng.random()
        if kind < 0.35:
            return np.zeros(n, np.float32)
        if kind < 0.65:
            return (augment.noise(n, rng) * 10 ** rng.uniform(0, 3)).astype(np.float32)
        babble = sum(self.stranger(clips, rng) for _ in range(4)) / 4
        return babble + (augment.noise(n, rng) * 20).astype(np.float32)

    def pair_sounds(self, two: list[dict], starts: list[int], rng):
        """Eight sounds of a pair, and the part of each voice in the third and fourth."""
        own = [self.tracks.cut_sound(t, s, self.ticks) for t, s in zip(two, starts)]
        clips = {t["clip"] for t in two}
        gain = 10 ** (rng.uniform(-7, 7) / 20) * augment.level(own[0]) / augment.level(own[1])
        gain = float(np.clip(gain, 0.05, 20))
        turn = int(rng.uniform(0.2, 0.8) * self.ticks)
        first = int(rng.random() < 0.5)
        at = turn * g.SAMPLES_PER_TICK
        skewed = [self.tracks.cut_sound(t, s + rng.uniform(-SKEW, SKEW) * (rng.random() < 0.6),
                                        self.ticks) for t, s in zip(two, starts)]
        scaled = [skewed[0], skewed[1] * gain]
        switch = np.concatenate([scaled[first][:at], scaled[1 - first][at:]])
        part = np.zeros((2, self.ticks), np.float32)
        part[first, :turn], part[1 - first, turn:] = 1, 1
        clean = [own[0], own[1], scaled[0] + scaled[1], switch, self.stranger(clips, rng),
                 self.background(clips, rng), self.late(two[0], starts[0], rng),
                 self.late(two[1], starts[1], rng)]
        sounds = [augment.sound(x, rng, mild=i < 2) if i != 5 else x for i, x in enumerate(clean)]
        return sounds, part, turn

    def draw(self, rng: np.random.Generator) -> Batch:
        tracks = self.draw_tracks(rng)
        starts = [self.draw_start(t, rng) for t in tracks]
        lips, valid, sounds, face_of, sound_of, target, weight, own, clear = ([] for _ in range(9))
        for p in range(self.pairs):
            two, begin = tracks[2 * p:2 * p + 2], starts[2 * p:2 * p + 2]
            faces = [self.draw_face(t, s, rng) for t, s in zip(two, begin)]
            heard, part, turn = self.pair_sounds(two, begin, rng)
            labels = [self.tracks.cut_labels(t, s, self.ticks) for t, s in zip(two, begin)]
            for f, (pictures, seen, still) in enumerate(faces):
                lips.append(pictures)
                valid.append(seen)
                own.append(14 * p + ROWS.index((f, f)))
                y, w = labels[f]
                clear.append((y > 0.6) * (w >= 0.5) * (0.0 if still else 1.0))
            for f, s in ROWS:
                y, w = labels[f]
                here = faces[f][1][DELAY_TICKS:-DELAY_TICKS]
                if faces[f][2] or not (s == f or s in (2, 3)):
                    y, w = np.zeros_like(y), np.ones_like(w)
                elif s == 3:
                    w = np.where(part[f] > 0, w, 1.0)
                    y = y * part[f]
                    w[max(0, turn - 1):turn + 1] = 0
                target.append(y)
                weight.append(w * here * (OWN_WEIGHT if s in (f, 2, 3) else
                                          LATE_WEIGHT if s > 5 else 1.0))
                face_of.append(2 * p + f)
                sound_of.append(8 * p + s)
            sounds += heard
        return Batch(
            torch.from_numpy(np.stack(lips)), torch.from_numpy(np.stack(valid)),
            torch.from_numpy(np.stack(sounds)), torch.tensor(face_of), torch.tensor(sound_of),
            torch.from_numpy(np.stack(target).astype(np.float32)),
            torch.from_numpy(np.stack(weight).astype(np.float32)), torch.tensor(own),
            torch.from_numpy(np.stack(clear).astype(np.float32)))

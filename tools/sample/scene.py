"""Puts the people into the frame, frame by frame.

Takes the people, the turns of the conversation and the frame's size; gives BGR
frames and the face box of every person in them. Head motion is a sum of slow waves
with seeded phases, plus nods with the own speech; nobody but the talker moves the
lips. Any two runs with the same arguments give the same frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from face import REGION, SCALE, Pose
from people import ORIGIN, Person, room
from portrait import FACE_BOX, HEAD_PIVOT
from voices import Turn, mouth_at

#: Face box: x1, y1, x2, y2, in pixels or in fractions of the frame.
Box = tuple[float, float, float, float]

_NOISE_SIGMA = 1.8


@dataclass(frozen=True)
class Panel:
    """Where one person stands in the frame, in pixels."""

    x: int
    y: int
    width: int
    height: int


def panels(count: int, width: int, height: int) -> list[Panel]:
    """Even grid: two side by side (one above the other in portrait format), twelve as 4x3."""
    columns = {1: 1, 2: 2 if width >= height else 1}.get(count, 4 if width >= height else 3)
    rows = -(-count // columns)
    edges_x = [round(k * width / columns) for k in range(columns + 1)]
    edges_y = [round(k * height / rows) for k in range(rows + 1)]
    return [
        Panel(edges_x[c], edges_y[r], edges_x[c + 1] - edges_x[c], edges_y[r + 1] - edges_y[r])
        for r in range(rows)
        for c in range(columns)
    ][:count]


class Motion(NamedTuple):
    """Where a head is, against the portrait. Lengths are portrait pixels."""

    x: float
    y: float
    scale: float
    tilt: float  # radians, clockwise
    turn: float  # how far the nose goes to the side
    nod: float  # how far the nose goes down


class _Sway:
    """Slow, aimless motion: a few incommensurate waves per quantity, about unit size."""

    def __init__(self, random: np.random.Generator) -> None:
        self._hertz = random.uniform(0.07, 0.42, (8, 3))
        self._phase = random.uniform(0, 2 * np.pi, (8, 3))

    def __call__(self, index: int, time_s: float) -> float:
        waves = np.sin(2 * np.pi * self._hertz[index] * time_s + self._phase[index])
        return float(waves @ np.array([0.6, 0.4, 0.25]))


class Sitter:
    """One person in one panel, drawn for any instant."""

    def __init__(
        self, person: Person, index: int, panel: Panel, turns: list[Turn], seed: int
    ) -> None:
        self.panel, self._person, self._index, self._turns = panel, person, index, turns
        random = np.random.default_rng([seed, index])
        self._sway = _Sway(random)
        gaps = random.uniform(1.9, 5.0, 4000)
        self._blinks = np.cumsum(gaps) - gaps[0] * random.uniform(0.1, 0.9)
        self._room = room(person.look, panel.width, panel.height, seed + index)
        self._scale = max(panel.height / 282.0, panel.width / 400.0)
        columns = np.arange(panel.width, dtype=np.float32)[None, :] + 0.5
        rows = np.arange(panel.height, dtype=np.float32)[:, None] + 0.5
        side = -1.0 if person.look.mirror else 1.0
        self._x = side * (columns - panel.width / 2) / self._scale + 224.0 + 0 * rows
        self._y = rows / self._scale + 4.0 + 0 * columns
        self._last: tuple[Pose, np.ndarray] | None = None

    def _lids(self, time_s: float) -> float:
        """0 open .. 1 shut; a blink takes a quarter of a second."""
        since = time_s - self._blinks
        near = since[np.argmin(np.abs(since - 0.1))]
        return float(np.clip(1.6 - abs(near - 0.1) / 0.075, 0, 1))

    def _texture(self, pose: Pose) -> np.ndarray:
        """The posed texture with glasses on; kept while the expression stays."""
        if self._last is None or self._last[0] != pose:
            texture = self._person.face.posed(pose)
            if self._person.glasses is not None:
                (x, y), (x0, y0, x1, y1) = ORIGIN, REGION
                part = np.s_[
                    (y0 - y) * SCALE : (y1 - y) * SCALE, (x0 - x) * SCALE : (x1 - x) * SCALE
                ]
                rims = self._person.glasses[part]
                texture[part] = texture[part] * (1 - rims[..., 3:]) + rims[..., :3]
            self._last = (pose, np.dstack([texture, self._person.opacity]))
        return self._last[1]

    def draw(self, time_s: float) -> tuple[np.ndarray, Box]:
        """BGR float32 panel and the face box (x1, y1, x2, y2 in pixels of the whole frame)."""
        jaw, width, press = mouth_at(self._turns, self._index, time_s)
        sway = [self._sway(k, time_s) for k in range(8)]
        smile = round(0.12 + 0.10 * np.clip(sway[7], -1, 1), 1)
        lids = round(self._lids(time_s) * 8) / 8
        brows = round(2 * (1.2 * jaw * np.clip(sway[6], 0, 1))) / 2
        pose = Pose(
            round(float(jaw), 3), round(float(width), 2), round(float(press), 2), smile, lids, brows
        )
        move = self._move(sway, time_s)
        from_x, from_y = self._maps(move)
        drawn = cv2.remap(self._texture(pose), from_x, from_y, cv2.INTER_LINEAR)
        alpha = drawn[..., 3:].astype(np.float32) / 255
        return self._room + (drawn[..., :3] - self._room) * alpha, self._box(move)

    def _move(self, sway: list[float], time_s: float) -> Motion:
        """Where the head is: aimless sway, and nods with the own speech."""
        lags = (0.08, 0.16, 0.24, 0.32)
        jaws = [mouth_at(self._turns, self._index, time_s - lag)[0] for lag in lags]
        nod = float(np.mean(jaws))
        return Motion(
            x=3.2 * sway[0],
            y=1.6 * sway[1] + 2.4 * nod,
            scale=1 + 0.012 * sway[2],
            tilt=0.018 * sway[3],
            turn=3.0 * sway[4],
            nod=1.5 * sway[5] + 1.5 * nod,
        )

    def _maps(self, move: Motion) -> tuple[np.ndarray, np.ndarray]:
        """From every panel pixel to the texture."""
        x, y = self._x, self._y
        px, py = HEAD_PIVOT
        # The body follows the head only a little.
        weight = np.clip((250 - y) / 80, 0.25, 1)
        rx, ry = x - px, y - py
        cos, sin = np.cos(move.tilt), np.sin(move.tilt)
        hx = (cos * rx + sin * ry) / move.scale - move.x
        hy = (cos * ry - sin * rx) / move.scale - move.y
        x, y = x + (hx - rx) * weight, y + (hy - ry) * weight
        # Turning and nodding: what stands out (the nose) moves further than the rim.
        bulge = np.exp(-((((x - 225) / 46) ** 2 + ((y - 118) / 62) ** 2) ** 1.5))
        x, y = x - move.turn * bulge, y - move.nod * bulge
        at_x = (x - ORIGIN[0] - 0.5).astype(np.float32)
        at_y = (y - ORIGIN[1] - 0.5).astype(np.float32)
        bend = self._person.bend
        bent = cv2.remap(bend, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        from_x = (x + bent[..., 0] - ORIGIN[0]) * SCALE - 0.5
        from_y = (y + bent[..., 1] - ORIGIN[1]) * SCALE - 0.5
        return from_x.astype(np.float32), from_y.astype(np.float32)

    def _box(self, move: Motion) -> Box:
        """The detector's face box of the portrait, moved with the head."""
        px, py = HEAD_PIVOT
        look = self._person.look
        rx = FACE_BOX[0] + FACE_BOX[2] / 2 - px + move.x
        ry = FACE_BOX[1] + FACE_BOX[3] / 2 - py + move.y
        cos, sin = np.cos(move.tilt), np.sin(move.tilt)
        x = px + move.scale * (cos * rx - sin * ry)
        y = py + move.scale * (sin * rx + cos * ry)
        half_w = move.scale * (FACE_BOX[2] / 2 + 0.6 * look.jaw_width)
        top = move.scale * FACE_BOX[3] / 2
        bottom = top + move.scale * look.length
        side = -1.0 if look.mirror else 1.0
        cx = self.panel.x + self.panel.width / 2 + side * (x - 224.0) * self._scale
        y0, half = self.panel.y, half_w * self._scale
        y1, y2 = (y0 + (edge - 4.0) * self._scale for edge in (y - top, y + bottom))
        return cx - half, y1, cx + half, y2


class Scene:
    """The whole frame."""

    def __init__(
        self, people: list[Person], turns: list[Turn], width: int, height: int, seed: int
    ) -> None:
        self._width, self._height = width, height
        places = panels(len(people), width, height)
        self._sitters = [Sitter(p, k, places[k], turns, seed) for k, p in enumerate(people)]
        random = np.random.default_rng(seed + 9)
        self._noise = random.normal(0, _NOISE_SIGMA, (height + 64, width + 64, 1)).astype(
            np.float32
        )
        self._random = random

    def frame(self, time_s: float) -> tuple[np.ndarray, list[Box]]:
        """BGR uint8 frame at ``time_s`` and the face boxes as fractions of it."""
        dx, dy = self._random.integers(0, 64, 2)
        frame = self._noise[dy : dy + self._height, dx : dx + self._width].repeat(3, axis=2)
        boxes = []
        for sitter in self._sitters:
            drawn, box = sitter.draw(time_s)
            p = sitter.panel
            frame[p.y : p.y + p.height, p.x : p.x + p.width] += drawn
            boxes.append(
                (
                    box[0] / self._width,
                    box[1] / self._height,
                    box[2] / self._width,
                    box[3] / self._height,
                )
            )
        return np.clip(frame + 0.5, 0, 255).astype(np.uint8), boxes

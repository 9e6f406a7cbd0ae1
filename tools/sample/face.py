"""Moves the mouth, the jaw and the eyelids of the portrait.

Takes the portrait's texture and a ``Pose`` (how far the jaw is down, how wide and
how rounded the lips are, how far the lids are shut); gives the texture with that
expression. Landmarks were read off the frame by hand, so this works for this
portrait only. The lips are cut along their inner edges: the skin above and below
is pulled by column-wise piecewise linear maps between landmark curves, and what
the gap shows is painted from the real upper teeth and a dark cavity. A column-wise
map keeps that cut exact, which a smooth warp (thin-plate spline) cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: Texture pixels per portrait pixel: the face is drawn finer than it is shown.
SCALE = 2
#: How far the chin drops at jaw = 1, in portrait pixels.
_JAW_DROP = 13.5
#: Part of the portrait that this module changes (x0, y0, x1, y1 in portrait pixels).
REGION = (164, 84, 284, 208)

# Mouth of the (smiling) portrait, in portrait pixels.
_CORNERS = np.array([(203.0, 140.0), (244.5, 141.2)])
_MIDDLE_X = 223.75
_HALF_WIDTH = 20.75
_UPPER_OUTER = (
    [203, 208, 212, 218, 223, 230, 238, 244.5],
    [138.9, 139.4, 139.5, 139.3, 139.9, 139.4, 139.7, 140.4],
)
_UPPER_INNER = (
    [203, 207, 211, 216, 222, 228, 234, 240, 244.5],
    [140.0, 141.4, 141.7, 142.5, 143.6, 143.4, 142.6, 141.1, 141.1],
)
_LOWER_INNER = (
    [203, 206, 210, 214, 218, 223, 228, 232, 236, 240, 244.5],
    [140.2, 144.0, 146.8, 148.7, 149.6, 150.1, 150.0, 149.2, 147.7, 144.9, 141.3],
)
_LOWER_OUTER = (
    [203, 207, 212, 216, 223, 229, 234, 239, 244.5],
    [140.6, 146.6, 151.0, 153.6, 155.4, 154.9, 152.6, 148.5, 141.6],
)

# Eyes: corner to corner, upper lid edge and lower lid edge.
_EYES = (
    (
        [190, 194, 198, 202, 206, 210, 213.5],
        [101.8, 98.6, 97.2, 96.9, 97.6, 99.8, 103.0],
        [102.0, 102.9, 103.9, 104.7, 104.6, 104.0, 103.2],
    ),
    (
        [235, 239, 243, 247, 251, 255, 259],
        [105.0, 101.5, 99.6, 98.9, 99.3, 100.8, 103.6],
        [105.2, 106.2, 106.6, 106.9, 106.6, 105.6, 103.8],
    ),
)


@dataclass(frozen=True)
class Pose:
    """One expression. All zero is the face at rest, lips together."""

    jaw: float = 0.0  # 0 shut .. 1 as far down as in loud speech
    width: float = 0.0  # -1 narrow (oo) .. +1 wide (ee)
    press: float = 0.0  # 0 .. 1 lips pressed together (p, b, m)
    smile: float = 0.0  # 0 .. 1 corners up
    lids: float = 0.0  # 0 open .. 1 shut
    brows: float = 0.0  # portrait pixels upwards


def _column_map(y: np.ndarray, target: list[np.ndarray], source: list[np.ndarray]) -> np.ndarray:
    """Source row for every row ``y``: each column piecewise linear through its own knots."""
    out = y + (source[0] - target[0])
    for k in range(len(target) - 1):
        gap = np.maximum(target[k + 1] - target[k], 0.25)
        slope = (source[k + 1] - source[k]) / gap - 1.0
        out += slope * np.clip(y - target[k], 0.0, gap)
    return out


def _curve(points: tuple[list[float], list[float]], x: np.ndarray) -> np.ndarray:
    """Landmark curve at the columns ``x`` (constant beyond its ends)."""
    return np.interp(x, *points).astype(np.float32)


def _ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth step from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


class Face:
    """The part of one texture that moves; made once, posed for every frame."""

    def __init__(self, texture: np.ndarray, origin: tuple[int, int]) -> None:
        """``texture``: BGR uint8 at ``SCALE``; ``origin``: portrait pixel of its corner."""
        x0, y0, x1, y1 = REGION
        self._slice = np.s_[
            (y0 - origin[1]) * SCALE : (y1 - origin[1]) * SCALE,
            (x0 - origin[0]) * SCALE : (x1 - origin[0]) * SCALE,
        ]
        self._texture = texture
        self._skin = texture[self._slice].astype(np.float32)
        height, width = self._skin.shape[:2]
        self._x = (np.arange(width, dtype=np.float32) + 0.5)[None, :] / SCALE + x0
        self._y = (np.arange(height, dtype=np.float32) + 0.5)[:, None] / SCALE + y0
        self._teeth, self._teeth_alpha = self._find_teeth()

    def _find_teeth(self) -> tuple[np.ndarray, np.ndarray]:
        """The upper teeth, and where they are: the portrait's own, between its lips."""
        top = _curve(_UPPER_INNER, self._x) + 0.3
        bottom = _curve(_LOWER_INNER, self._x) - 0.9
        inside = _ramp(self._y, 142.0, 143.0) * (1 - _ramp(self._y - bottom, -0.8, 0.4))
        inside = inside * (self._y > top - 2.0)
        across = np.abs(self._x - 222.5)
        teeth = cv2.GaussianBlur(self._skin, (0, 0), 0.6)
        # The gums' row is hidden by the lip in the portrait: continue the teeth upwards.
        rows = np.clip(self._y, top + 1.0, None)
        teeth = self._sample(teeth, np.broadcast_to(self._x, inside.shape), rows + 0 * self._x)
        alpha = inside * (1 - _ramp(across, 12.5, 16.5))
        return teeth, alpha.astype(np.float32)

    def _sample(self, image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """``image`` (of the region) at portrait positions ``x``, ``y``."""
        x0, y0 = REGION[:2]
        map_x = ((x - x0) * SCALE - 0.5).astype(np.float32)
        map_y = ((y - y0) * SCALE - 0.5).astype(np.float32)
        return cv2.remap(image, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def posed(self, pose: Pose) -> np.ndarray:
        """The whole texture, BGR uint8, with this expression."""
        skin, upper, lower, reach = self._lips(pose)
        inner = self._mouth(pose, upper, lower, reach)
        out = self._texture.copy()
        out[self._slice] = np.clip(self._compose(skin, inner, upper, lower, reach), 0, 255)
        return out

    def _lips(self, pose: Pose) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Skin with the lips moved; the lips' inner edges; position along the mouth (-1..1)."""
        x, y = self._x, self._y
        jaw = _JAW_DROP * pose.jaw
        half = 17.2 + 2.6 * pose.width + 2.6 * pose.smile - 1.0 * pose.jaw
        # Across: the corners move in or out, the cheeks follow, ears and nose stay.
        knots_x = [168, 190, _MIDDLE_X - half, _MIDDLE_X + half, 258, 280]
        source_x = [168, 191, _MIDDLE_X - _HALF_WIDTH, _MIDDLE_X + _HALF_WIDTH, 257, 280]
        along = np.interp(x, knots_x, source_x).astype(np.float32)
        near = _ramp(y, 122, 138) * (1 - _ramp(y - jaw, 152, 176))
        from_x = x + (along - x) * near
        reach = np.clip((along - _MIDDLE_X) / _HALF_WIDTH, -1.6, 1.6)
        inside = np.sqrt(np.clip(1 - reach**2, 0, 1))
        full = np.clip(1 - np.abs(reach) ** 3, 0, 1)
        # Where the lips are to be.
        fade = np.exp(-(((x - _MIDDLE_X) / 34.0) ** 4))
        rest = 145.6 - 3.4 * pose.smile * reach**2 + 0.35 * np.cos(np.pi * reach * 1.1)
        rest = rest + 0.018 * (x - _MIDDLE_X)
        lip_up = (1.9 * pose.jaw + 0.5 * max(pose.width, 0.0)) * full
        lip_down = jaw * 0.92 * np.power(inside, 0.85)
        upper = rest - lip_up
        lower = rest + lip_down * (pose.jaw > 0)
        thick = 1.0 + 0.12 * np.clip(-pose.width, 0, 1) - 0.38 * pose.press
        upper_outer = upper - 5.0 * thick * full - 0.12
        lower_outer = lower + 6.6 * thick * (1 - 0.12 * pose.jaw) * full + 0.12
        drop = jaw * fade
        target = [118 + 0 * x, 134.3 + 0 * x, upper_outer, upper, lower, lower_outer]
        target += [161 + 0.96 * drop - 1.2 * pose.press * fade, 178.5 + drop, 205 + 0 * x]
        source = [118 + 0 * x, 134.3 + 0 * x]
        source += [
            _curve(c, along) for c in (_UPPER_OUTER, _UPPER_INNER, _LOWER_INNER, _LOWER_OUTER)
        ]
        source += [160.5 + 0 * x, 178.5 + 0 * x, 205 + 0 * x]
        from_y = _column_map(y, target, source)
        from_y = y + (from_y - y) * np.exp(-(((x - _MIDDLE_X) / 44.0) ** 6))
        from_x, from_y = self._lids(from_x, from_y, pose)
        return self._sample(self._skin, from_x, from_y), upper, lower, reach

    def _lids(
        self, from_x: np.ndarray, from_y: np.ndarray, pose: Pose
    ) -> tuple[np.ndarray, np.ndarray]:
        """Adds blinking and the brows to the maps of the lips (they share no pixels)."""
        x, y = self._x, self._y
        lift = pose.brows * _ramp(y, 84.5, 89) * (1 - _ramp(y, 93, 97))
        from_y = from_y + lift * np.exp(-(((x - _MIDDLE_X) / 40.0) ** 6))
        if pose.lids <= 0:
            return from_x, from_y
        for columns, upper, lower in _EYES:
            on = ((x >= columns[0]) & (x <= columns[-1])).astype(np.float32)
            up, low = _curve((columns, upper), x), _curve((columns, lower), x)
            edge = up + (low + 0.9 - up) * pose.lids
            stretched = 92 + (y - 92) * (up - 92) / (edge - 92)
            from_y = np.where((on > 0) & (y > 92) & (y < edge), stretched, from_y)
        return from_x, from_y

    def _mouth(
        self, pose: Pose, upper: np.ndarray, lower: np.ndarray, reach: np.ndarray
    ) -> np.ndarray:
        """What the open lips show: upper teeth, tongue, lower teeth, darkness."""
        x, y = self._x, self._y
        depth = np.clip((y - upper) / np.maximum(lower - upper, 0.5), 0, 1)
        dark = np.array([26, 20, 46], np.float32)
        tongue = np.array([70, 62, 128], np.float32)
        rise = _ramp(depth, 0.62, 1.0) * (1 - _ramp(np.abs(reach), 0.35, 0.85))
        cavity = dark + (tongue - dark) * (0.75 * rise)[..., None]
        # The upper teeth belong to the skull; only the shadow of the lip moves over them.
        squeeze = 1.0 + 0.22 * max(-pose.width, 0.0)
        teeth_x = 222.5 + (x - 222.5) * squeeze + 0 * y
        teeth = self._sample(self._teeth, teeth_x, y - 0.8 + 0 * x)
        alpha = self._sample(self._teeth_alpha, teeth_x, y - 0.8 + 0 * x)
        light = (0.62 + 0.30 * _ramp(y - upper, 0.0, 3.0)) * (
            1 - 0.30 * np.clip(np.abs(reach), 0, 1)
        )
        alpha = np.clip(alpha, 0, 1)[..., None]
        inner = cavity * (1 - alpha) + teeth * light[..., None] * alpha
        # Lower teeth: a faint row behind the lower lip, seen when the lips are spread.
        row = np.exp(-(((y - (lower - 1.4)) / 1.3) ** 2)) * (1 - _ramp(np.abs(reach), 0.3, 0.6))
        row = row * 0.55 * np.clip(pose.width + 0.35, 0, 1) * np.clip(pose.jaw * 2, 0, 1)
        return inner + (np.array([150, 165, 175], np.float32) - inner) * row[..., None]

    def _compose(
        self,
        skin: np.ndarray,
        inner: np.ndarray,
        upper: np.ndarray,
        lower: np.ndarray,
        reach: np.ndarray,
    ) -> np.ndarray:
        """Skin over mouth; where the lips meet, the line between them."""
        y, gap = self._y, lower - upper
        within = 1 - _ramp(np.abs(reach), 0.93, 1.0)
        soft = 0.45
        hole = np.clip((y - upper) / soft + 0.5, 0, 1) * np.clip((lower - y) / soft + 0.5, 0, 1)
        hole = hole * within * np.clip(gap / 0.8, 0, 1)
        out = skin + (inner - skin) * hole[..., None]
        # The lip's own shadow keeps the edge of the opening and the seam visible.
        line = np.exp(-(((y - upper) / 0.75) ** 2)) * within
        line = np.maximum(line, 0.6 * np.exp(-(((y - lower) / 0.6) ** 2)) * within * (gap > 0.8))
        seam = np.array([42, 38, 88], np.float32)
        return out + (seam - out) * (0.62 * line)[..., None]

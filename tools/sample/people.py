"""Makes different people out of one portrait.

Takes the portrait, its cut-out and a ``Look``; gives a ``Person``: a texture with
that colouring, hair, beard and glasses, an opacity, and a map that bends the face to
another shape. Everything here is done once per person, nothing per frame. The looks
are chosen so that two people differ for the eye and for a face detector's crops
(mirrored, other light, other proportions), not so that they pass for real portraits.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from face import SCALE, Face

#: Portrait pixel of the texture's corner, and the texture's size in portrait pixels.
ORIGIN = (16, 0)
EXTENT = (424, 330)


@dataclass(frozen=True)
class Look:
    """How a person differs from the portrait."""

    mirror: bool = False
    hair: tuple[float, float, float] | None = None  # BGR of mid-bright hair; None keeps it
    hair_volume: float = 1.0  # below 1: shorter hair
    skin: tuple[float, float, float] = (1.0, 1.0, 1.0)  # BGR gain
    suit_hue: int | None = None  # OpenCV hue 0..179; None keeps the orange
    glasses: tuple[int, int, int] | None = None  # BGR of the frame
    beard: float = 0.0  # 0..1
    jaw_width: float = 0.0  # portrait pixels to each side
    length: float = 0.0  # portrait pixels by which the chin is lower
    nose_width: float = 0.0
    eye_size: float = 0.0
    wall: tuple[int, int, int] = (200, 190, 180)  # BGR of the room


_PAIR = (
    Look(wall=(196, 188, 176)),
    Look(
        mirror=True, hair=(34, 38, 48), hair_volume=0.79, skin=(0.78, 0.84, 0.90), suit_hue=110,
        glasses=(38, 34, 34), beard=0.6, jaw_width=0.0, length=5.5, nose_width=2.2, eye_size=-0.6,
        wall=(120, 138, 150),
    ),
)  # fmt: skip


def looks(count: int, seed: int) -> list[Look]:
    """The pair for two; for more, the pair and strangers drawn at random."""
    random = np.random.default_rng(seed + 2)
    hairs = [None, (34, 38, 48), (60, 70, 92), (120, 122, 126), (48, 66, 120)]
    rims = [None, None, (38, 34, 34), (90, 60, 40), (50, 50, 140)]
    strangers = [
        Look(
            mirror=bool(random.integers(2)),
            hair=hairs[random.integers(len(hairs))],
            hair_volume=random.uniform(0.78, 1.05),
            skin=tuple(random.uniform(0.72, 1.0) + np.array([-0.05, 0.0, 0.04])),
            suit_hue=int(random.integers(0, 180)),
            glasses=rims[random.integers(len(rims))],
            beard=float(random.choice([0, 0, 0.5, 0.85])),
            jaw_width=random.uniform(-2, 5),
            length=random.uniform(-2, 6),
            nose_width=random.uniform(-1, 2.5),
            eye_size=random.uniform(-1, 0.6),
            wall=tuple(int(v) for v in random.integers(90, 215, 3)),
        )
        for _ in range(max(count - len(_PAIR), 0))
    ]
    return [*_PAIR, *strangers][:count]


@dataclass
class Person:
    """Everything about one person that does not change from frame to frame."""

    look: Look
    face: Face  # holds the texture, BGR at SCALE
    opacity: np.ndarray  # uint8 at SCALE
    glasses: np.ndarray | None  # BGRA float32 at SCALE, premultiplied
    bend: np.ndarray  # [EXTENT y, x, 2] displacement in portrait pixels: shape -> portrait


def make_person(portrait: np.ndarray, opacity: np.ndarray, look: Look) -> Person:
    """A person with this look."""
    hair = _hair_mask(portrait, opacity)
    frame = _spread(portrait, opacity).astype(np.float32)
    frame = _dress(frame, look, hair)
    texture = _enlarge(frame)
    alpha = _enlarge(opacity * 255.0)
    rims = _glasses(look.glasses) if look.glasses else None
    return Person(look, Face(texture, ORIGIN), alpha, rims, _bend(look))


def _enlarge(frame: np.ndarray) -> np.ndarray:
    """Cuts the texture's part out of a portrait-sized frame, at SCALE, uint8."""
    (x, y), (width, height) = ORIGIN, EXTENT
    part = np.clip(frame[y : y + height, x : x + width], 0, 255).astype(np.uint8)
    return cv2.resize(part, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)


def _spread(portrait: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Lets the sitter's colours run outwards, so that no studio wall shines through the rim."""
    inner = cv2.erode((opacity > 0.97).astype(np.float32), np.ones((5, 5)))
    weight = cv2.GaussianBlur(inner, (0, 0), 3) + 1e-4
    colour = cv2.GaussianBlur(portrait * inner[..., None], (0, 0), 3) / weight[..., None]
    keep = cv2.GaussianBlur(inner, (0, 0), 1)[..., None]
    near = np.clip(opacity[..., None] * 1.2 - 0.2, 0, 1)
    keep = np.maximum(keep, 0.75 * near)
    return portrait * keep + colour * (1 - keep)


def _hair_mask(portrait: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Where hair is, float32 0..1, soft."""
    mask = np.full(portrait.shape[:2], cv2.GC_BGD, np.uint8)
    cv2.ellipse(mask, (227, 78), (82, 76), 0, 0, 360, cv2.GC_PR_FGD, -1)
    cv2.ellipse(mask, (225, 118), (40, 44), 0, 0, 360, cv2.GC_BGD, -1)
    cv2.ellipse(mask, (168, 90), (14, 22), 0, 0, 360, cv2.GC_FGD, -1)
    cv2.ellipse(mask, (288, 85), (13, 24), 0, 0, 360, cv2.GC_FGD, -1)
    cv2.ellipse(mask, (226, 45), (45, 22), 0, 0, 360, cv2.GC_FGD, -1)
    mask[(opacity < 0.5) | (np.arange(512)[:, None] > 136)] = cv2.GC_BGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(2)
    cv2.grabCut(portrait, mask, None, *models, 3, cv2.GC_INIT_WITH_MASK)
    hair = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    hair = cv2.morphologyEx(hair, cv2.MORPH_OPEN, np.ones((3, 3)))
    hair = cv2.dilate(hair, np.ones((5, 5)))
    return cv2.GaussianBlur(hair, (0, 0), 1.6)


def _blob(x: float, y: float, rx: float, ry: float, power: float = 2.0) -> np.ndarray:
    """Soft ellipse over the portrait, 1 in the middle."""
    gx = (np.arange(512, dtype=np.float32)[None, :] - x) / rx
    gy = (np.arange(512, dtype=np.float32)[:, None] - y) / ry
    return np.exp(-((gx**2 + gy**2) ** (power / 2)))


def _dress(frame: np.ndarray, look: Look, hair: np.ndarray) -> np.ndarray:
    """Suit, skin, hair and beard colours of the look, on the portrait."""
    if look.suit_hue is not None:
        hsv = cv2.cvtColor(np.clip(frame, 0, 255).astype(np.uint8), cv2.COLOR_BGR2HSV)
        hue, saturation, value = (hsv[..., k].astype(np.float32) for k in range(3))
        cloth = np.arange(512)[:, None] > 195  # below the neck: no skin there
        reddish = (hue < 22) | (hue > 170)
        orange = (np.clip((saturation - 70) / 40, 0, 1) * reddish * cloth).astype(np.float32)
        orange = cv2.GaussianBlur(orange, (0, 0), 1.2)
        hsv[..., 0] = (0.3 * ((hue + 10) % 180 - 18) + look.suit_hue).astype(int) % 180
        hsv[..., 1] = saturation * 0.72
        hsv[..., 2] = value * 0.82
        other = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR).astype(np.float32)
        frame = frame + (other - frame) * orange[..., None]
    head = np.clip(_blob(225, 105, 62, 88, 6), 0, 1) * (1 - hair)
    lips = _blob(223.5, 147, 20, 8.0, 4)  # a darker skin keeps its lips apart from it
    head = head * (1 + 0.5 * lips)
    frame = frame * (1 + (np.array(look.skin, np.float32) - 1) * head[..., None])
    if look.hair is not None:
        shade = frame @ np.array([0.114, 0.587, 0.299], np.float32)
        tinted = (shade / 105.0)[..., None] ** 1.15 * np.array(look.hair, np.float32)
        frame = frame + (tinted - frame) * hair[..., None]
        brows = 0.55 * (_blob(201, 91, 13, 3.0, 4) + _blob(250, 94, 14, 3.2, 4))
        frame = frame * (1 - brows[..., None] * (1 - np.array(look.hair, np.float32) / 160))
    return frame if look.beard <= 0 else _grow_beard(frame, look)


def _grow_beard(frame: np.ndarray, look: Look) -> np.ndarray:
    """A short beard round the mouth, along the jaw and over the lip; the lips stay free."""
    random = np.random.default_rng(7)
    jaw = _blob(223, 133, 46, 48, 8) * (1 - _blob(224, 112, 41, 36, 6))
    jaw = jaw * np.clip((np.arange(512, dtype=np.float32)[:, None] - 128) / 26, 0, 1)
    moustache = _blob(223, 136, 22, 2.6, 4)
    chin = _blob(223, 166, 20, 11, 4)
    free = np.clip(1.3 * _blob(223.5, 149, 27, 12.5, 6), 0, 1)
    area = np.clip(0.85 * jaw + 0.3 * chin, 0, 1) * (1 - free)
    area = np.clip(area + 0.45 * moustache, 0, 1)
    area = area * (np.arange(512)[:, None] < 180)
    grain = cv2.GaussianBlur(random.normal(0, 1, (512, 512)).astype(np.float32), (0, 0), 0.6)
    amount = np.clip(look.beard * area * (0.9 + 0.24 * grain), 0, 0.86)[..., None]
    colour = np.array(look.hair or (40, 58, 84), np.float32)
    return frame + (colour - frame) * amount


def _glasses(colour: tuple[int, int, int]) -> np.ndarray:
    """Spectacles over the whole texture: premultiplied BGRA, float32 0..255 / 0..1."""
    fine = 4
    (x0, y0), (width, height) = ORIGIN, EXTENT
    frame = np.zeros((height * fine, width * fine), np.uint8)
    lens = np.zeros_like(frame)

    def at(x: float, y: float) -> tuple[int, int]:
        return round((x - x0) * fine), round((y - y0) * fine)

    around = np.linspace(0, 2 * np.pi, 90)
    for x, y in ((202.0, 103.5), (247.5, 105.7)):
        # A superellipse: between an oval and a rounded rectangle.
        dx = 18.0 * np.sign(np.cos(around)) * np.abs(np.cos(around)) ** 0.62
        dy = 12.5 * np.sign(np.sin(around)) * np.abs(np.sin(around)) ** 0.62
        outline = np.array([at(x + u, y + v + 0.045 * u) for u, v in zip(dx, dy)])
        cv2.fillPoly(lens, [outline], 255, cv2.LINE_AA)
        cv2.polylines(frame, [outline], True, 255, 8, cv2.LINE_AA)
    cv2.ellipse(frame, at(224.7, 102.0), (5 * fine, 3 * fine), 0, 180, 360, 255, 8, cv2.LINE_AA)
    cv2.line(frame, at(184.0, 98.5), at(174, 97), 255, 8, cv2.LINE_AA)
    cv2.line(frame, at(265.5, 102), at(275, 101), 255, 8, cv2.LINE_AA)
    size = (width * SCALE, height * SCALE)
    rim = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    pane = cv2.resize(lens, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    pane = 0.07 * pane
    alpha = 0.93 * rim + pane * (1 - rim)
    tint = np.array(colour, np.float32) * 0.93 * rim + 235.0 * pane * (1 - rim)
    return np.concatenate([tint, alpha], axis=2)


def _bend(look: Look) -> np.ndarray:
    """Displacement from a place in the bent frame to the place in the portrait."""
    jaw, low = _blob(223, 155, 62, 40, 4), _blob(224, 168, 60, 36, 4)
    gx = np.arange(512, dtype=np.float32)[None, :] - 224 + 0 * jaw
    gy = np.arange(512, dtype=np.float32)[:, None] - 110 + 0 * jaw
    dx = -look.jaw_width * np.tanh(gx / 22) * jaw * np.exp(-((gx / 60) ** 4))
    dy = -look.length * low
    dx = dx - look.nose_width * np.tanh(gx / 7) * _blob(225, 124, 14, 13, 3)
    for x, y in ((202, 101), (247.5, 103.5)):
        zoom = -look.eye_size * 0.14 * _blob(x, y, 16, 10, 3)
        dx = dx + zoom * (gx + 224 - x)
        dy = dy + zoom * (gy + 110 - y)
    # Shorter hair: the outline of the head comes in, the face inside it stays.
    radius = np.sqrt((gx / 70) ** 2 + ((gy + 28) / 72) ** 2)
    out = np.clip((radius - 0.50) / 0.5, 0, 1) ** 2 * (1 - look.hair_volume)
    fade = 1 - np.clip((gy - 22) / 22, 0, 1)
    dx, dy = dx + gx * out * fade, dy + (gy + 28) * out * fade * (gy < -28)
    (x, y), (width, height) = ORIGIN, EXTENT
    return np.stack([dx, dy], axis=2)[y : y + height, x : x + width].astype(np.float32)


def room(look: Look, width: int, height: int, seed: int) -> np.ndarray:
    """A room out of focus behind the person, BGR float32."""
    random = np.random.default_rng(seed)
    wall = np.array(look.wall, np.float32)
    fall = np.linspace(1.06, 0.86, height, dtype=np.float32)[:, None, None]
    frame = np.ones((height, width, 1), np.float32) * wall * fall
    left, right = (0.70, 0.98) if look.mirror else (0.02, 0.30)
    y0, y1 = round(0.06 * height), round(0.52 * height)
    x0, x1 = round(left * width), round(right * width)
    frame[y0:y1, x0:x1] = np.clip(wall * 0.35 + np.array([150, 148, 140]), 0, 250)
    frame[
        y0:y1, (x0 + x1) // 2 - max(width // 120, 1) : (x0 + x1) // 2 + max(width // 120, 1)
    ] = wall * 0.8
    # A shelf with coloured folders on the other side.
    x = round((0.04 if look.mirror else 0.72) * width)
    end = round((0.30 if look.mirror else 0.98) * width)
    base = round(0.40 * height)
    frame[base : base + max(height // 50, 1), x:end] = wall * 0.45
    while x < end - 4:
        step = max(int(random.uniform(0.015, 0.035) * width), 2)
        top = base - round(random.uniform(0.10, 0.19) * height)
        frame[top:base, x : min(x + step, end)] = random.uniform(40, 190, 3)
        x += step + 1
    return cv2.GaussianBlur(frame, (0, 0), height / 55)

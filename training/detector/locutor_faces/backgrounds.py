"""Grey pictures without faces: photographs, drawn ones, pieces of the tracks below the chin.

Every function takes a numpy Generator first and gives float32 pictures, 0..255.
"""

import cv2
import numpy as np


def window(rng, picture, width, height, most_zoom=6.0):
    """A piece of `picture` at a random place and size, width x height, perhaps mirrored."""
    rows, cols = picture.shape
    fit = min(cols / width, rows / height)  # source pixels a pixel where the piece is largest
    step = fit / np.exp(rng.uniform(np.log(1.0), np.log(most_zoom)))
    w, h = max(2, int(width * step)), max(2, int(height * step))
    x, y = rng.integers(0, cols - w + 1), rng.integers(0, rows - h + 1)
    piece = picture[y : y + h, x : x + w]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    how = cv2.INTER_AREA if step > 1 else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(piece), (width, height), interpolation=how).astype(np.float32)


def clouds(rng, width, height):
    """Noise of several octaves: soft light, walls, foliage."""
    out = np.zeros((height, width), np.float32)
    roughness = rng.uniform(0.3, 0.9)
    for octave in range(rng.integers(1, 6)):
        cells = 2 ** (octave + 1)
        noise = rng.standard_normal((cells, cells)).astype(np.float32) * roughness**octave
        out += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    out = out / (out.std() + 1e-3)
    return np.clip(rng.uniform(20, 230) + rng.uniform(3, 50) * out, 0, 255)


def stripes(rng, width, height):
    """Blinds, shelves, tiles: one or two waves, sharp or soft."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    out = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(1, 3)):
        angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / rng.uniform(5, 90))
        out += np.sign(wave) if rng.random() < 0.5 else wave
    return np.clip(rng.uniform(40, 215) + rng.uniform(5, 70) * out, 0, 255).astype(np.float32)


def drawn(rng, width, height):
    """Shapes, discs, lines and text over soft light."""
    out = clouds(rng, width, height).astype(np.uint8)
    for _ in range(rng.integers(2, 25)):
        at = rng.integers(0, width), rng.integers(0, height)
        value = float(rng.integers(0, 256))
        size = int(np.exp(rng.uniform(np.log(3), np.log(width / 3))))
        kind = rng.integers(0, 4)
        if kind == 0:
            to = at[0] + size, at[1] + int(rng.integers(1, height))
            cv2.rectangle(out, at, to, value, int(rng.choice([-1, 1, 2, 4])))
        elif kind == 1:
            axes = size, max(1, int(size * rng.uniform(0.5, 1.6)))
            cv2.ellipse(out, at, axes, rng.uniform(0, 180), 0, 360, value, int(rng.choice([-1, -1, 1, 3])))
        elif kind == 2:
            to = rng.integers(0, width), rng.integers(0, height)
            cv2.line(out, at, (int(to[0]), int(to[1])), value, int(rng.integers(1, 6)))
        else:
            text = "".join(chr(c) for c in rng.integers(33, 122, rng.integers(1, 16)))
            font = int(rng.integers(0, 6))
            cv2.putText(out, text, at, font, rng.uniform(0.3, 2.5), value, int(rng.integers(1, 4)))
    return out.astype(np.float32)


def from_below(rng, crops, width, height):
    """The lowest part of a track's crop (chest, collar, what is behind), enlarged."""
    crop = crops[rng.integers(len(crops))]
    top = int(rng.integers(122, 140))
    return window(rng, crop[top:], width, height)


def background(rng, photos, crops, width, height):
    """Some picture without a face."""
    kind = rng.random()
    if kind < 0.62 and photos:
        out = window(rng, photos[rng.integers(len(photos))], width, height)
    elif kind < 0.72:
        out = from_below(rng, crops, width, height)
    elif kind < 0.82:
        out = drawn(rng, width, height)
    elif kind < 0.88:
        out = stripes(rng, width, height)
    elif kind < 0.96:
        out = clouds(rng, width, height).astype(np.uint8)
    else:
        out = np.full((height, width), rng.uniform(0, 255), np.float32)
    if rng.random() < 0.35:  # out of focus, as behind people it often is
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.8, 6))
    if rng.random() < 0.3:  # another contrast
        out = np.clip((out - out.mean()) * rng.uniform(0.4, 1.4) + rng.uniform(40, 200), 0, 255)
    return out.astype(np.float32)

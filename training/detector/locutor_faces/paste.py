"""Cuts faces, and things that are no faces, out of crops and lays them over a picture.

A piece is a grey picture with an opacity of the same size; both pass through one affine map.
Shapes are drawn at random and tell nothing of where in them the face lies.
"""

import cv2
import numpy as np

ABOVE_PX = 70  # added over the crop, whose upper edge cuts the hair off


def extend(rng, crop):
    """The crop with ABOVE_PX more rows on top: its upper rows drawn out, as hair mostly goes on."""
    rows = int(rng.integers(3, 12))
    top = cv2.resize(crop[:rows], (crop.shape[1], ABOVE_PX), interpolation=cv2.INTER_LINEAR)
    top = top.astype(np.float32)
    if rng.random() < 0.5:
        top += (rng.uniform(0, 255) - top.mean()) * rng.uniform(0, 0.8)
        top += rng.standard_normal((1, crop.shape[1])).astype(np.float32) * rng.uniform(0, 12)
    return np.concatenate([np.clip(top, 0, 255), crop.astype(np.float32)])


def soft(rng, mask, most):
    """The mask with an edge between hard and `most` pixels wide."""
    sigma = rng.uniform(0, most)
    return cv2.GaussianBlur(mask, (0, 0), sigma) if sigma > 0.5 else mask


def rectangle(rng, shape, box):
    """Opaque in a rectangle that holds most of `box`; every side is drawn alone."""
    height, width = shape
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    left = rng.uniform(0, max(1, x1 + 0.03 * w))
    right = rng.uniform(min(width - 1, x2 - 0.03 * w), width)
    top = rng.uniform(max(0, y1 - 0.6 * h), y1 + 0.03 * h)
    bottom = rng.uniform(min(height - 1, y2 - 0.03 * h), height)
    mask = np.zeros(shape, np.float32)
    mask[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = 1
    return soft(rng, mask, rng.choice([0.0, 4.0]))


def ellipse(mask, centre, axes, angle=0.0):
    ints = [int(round(v * 16)) for v in (*centre, *axes)]
    cv2.ellipse(mask, (ints[0], ints[1]), (ints[2], ints[3]), angle, 0, 360, 1.0, -1, cv2.LINE_8, 4)


def head(rng, shape, box, shoulders):
    """Opaque in a head-like oval around `box`, with neck and shoulders where asked for."""
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    mask = np.zeros(shape, np.float32)
    shift = rng.uniform(-0.06, 0.06, 2) * (w, h)
    up = rng.uniform(0, 0.3) * h  # hair above
    axes = w * rng.uniform(0.54, 0.85), (h + up) * rng.uniform(0.53, 0.62)
    ellipse(mask, (cx + shift[0], cy - up / 2 + shift[1]), axes)
    if shoulders:
        neck, wide = rng.uniform(0.2, 0.4) * w, rng.uniform(0.5, 1.6) * w
        y_neck = y2 - rng.uniform(0.05, 0.2) * h
        y_chest = y2 + rng.uniform(0.1, 0.35) * h
        outline = [(cx - neck, y_neck), (cx + neck, y_neck), (cx + wide, y_chest),
                   (cx + wide, shape[0] + 9), (cx - wide, shape[0] + 9), (cx - wide, y_chest)]
        cv2.fillPoly(mask, [np.array(outline, np.int32)], 1.0)
    return soft(rng, mask, 7.0)


def opacity(rng, shape, box):
    kind = rng.random()
    if kind < 0.5:  # most of them keep the hair and the back of the head
        return rectangle(rng, shape, box)
    return head(rng, shape, box, shoulders=kind < 0.78)


def affine(box, centre, size_px, angle, stretch, mirror):
    """2x3 map that brings the middle of `box` to `centre` and its longer side to `size_px`."""
    x1, y1, x2, y2 = box
    scale = size_px / max(x2 - x1, y2 - y1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([scale * stretch * (-1 if mirror else 1), scale / stretch])
    middle = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    return np.column_stack([linear, np.asarray(centre) - linear @ middle]).astype(np.float32)


def lay(canvas, piece, mask, matrix, keep):
    """Lays the piece over the canvas through `matrix`, but not where `keep` is 0.

    Small ones are averaged, not sampled.
    """
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if scale < 0.9:
        size = [max(2, round(n * scale)) for n in piece.shape[::-1]]
        exact = [n / o for n, o in zip(size, piece.shape[::-1])]
        piece = cv2.resize(piece, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
        # Pixel centres lie at +0.5.
        shrink = np.array([[1 / exact[0], 0, 0.5 / exact[0] - 0.5], [0, 1 / exact[1], 0.5 / exact[1] - 0.5]])
        matrix = (np.vstack([matrix, [0, 0, 1]]) @ np.vstack([shrink, [0, 0, 1]]))[:2]
    corners = np.array([[0, 0, 1], [piece.shape[1], 0, 1], [0, piece.shape[0], 1],
                        [piece.shape[1], piece.shape[0], 1]]) @ matrix.T
    low = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, canvas.shape[::-1])
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 0, canvas.shape[::-1])
    if (high - low < 2).any():
        return
    local = matrix.copy()
    local[:, 2] -= low
    size = tuple(int(n) for n in high - low)
    seen = cv2.warpAffine(piece, local, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(mask, local, size, flags=cv2.INTER_LINEAR)
    part = canvas[low[1] : high[1], low[0] : high[0]]
    part += (seen - part) * share * keep[low[1] : high[1], low[0] : high[0]]


def relight(rng, piece):
    """Another exposure, contrast and a light from one side."""
    piece = piece / 255
    piece = np.clip(piece, 1e-3, 1) ** np.exp(rng.uniform(-0.6, 0.6))
    piece = (piece - 0.4) * rng.uniform(0.45, 1.25) + 0.4 + rng.uniform(-0.15, 0.15)
    if rng.random() < 0.3:
        y, x = np.mgrid[: piece.shape[0], : piece.shape[1]] / max(piece.shape) - 0.5
        angle = rng.uniform(0, 2 * np.pi)
        piece = piece * (1 + rng.uniform(0, 1.0) * (x * np.cos(angle) + y * np.sin(angle)))
    return (np.clip(piece, 0, 1) * 255).astype(np.float32)


def faceless(rng, piece, box):
    """The piece without its face: blurred away, or its parts in wrong places."""
    x1, y1, x2, y2 = [int(v) for v in np.clip(box, 0, piece.shape[1] - 1)]
    y2 = max(y1 + 12, min(y2, piece.shape[0]))
    part = piece[y1:y2, x1:x2]
    if rng.random() < 0.5:
        small = cv2.resize(part, (3, 3), interpolation=cv2.INTER_AREA)[:: rng.choice([-1, 1])]
        flat = cv2.resize(np.ascontiguousarray(small), part.shape[::-1], interpolation=cv2.INTER_CUBIC)
        part = flat + rng.standard_normal(part.shape).astype(np.float32) * rng.uniform(0, 6)
    else:
        n = int(rng.integers(3, 6))
        h, w = part.shape[0] // n, part.shape[1] // n
        tiles = [part[r * h : (r + 1) * h, c * w : (c + 1) * w] for r in range(n) for c in range(n)]
        order = rng.permutation(n * n)
        if (order == np.arange(n * n)).mean() > 0.25:
            order = order[::-1]
        rows = [np.hstack([tiles[order[r * n + c]] for c in range(n)]) for r in range(n)]
        part = np.vstack(rows)
    out = piece.copy()
    out[y1 : y1 + part.shape[0], x1 : x1 + part.shape[1]] = part
    return out

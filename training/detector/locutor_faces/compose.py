"""Composes training pictures: faces of known place over pictures without faces.

Besides faces it lays decoys in the same way, so that neither an edge nor an oval tells a face.
Gives a grey picture and its faces [n, 14]: x1, y1, x2, y2, five landmarks, in pixels.
"""

import cv2
import numpy as np

from . import paste
from .backgrounds import background, window

LEFT_RIGHT = [1, 0, 2, 4, 3]  # landmarks after mirroring: eyes and mouth corners swap


def move(face, matrix, angle, mirror):
    """The face [15] of a crop after `matrix`: the box of the turned oval, and the landmarks."""
    box, points = face[:4], face[5:].reshape(5, 2)
    middle = matrix @ np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 1.0])
    steps = np.linalg.norm(matrix[:, :2], axis=0)
    half = (box[2:] - box[:2]) / 2 * steps
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.array([np.hypot(half[0] * cos, half[1] * sin), np.hypot(half[0] * sin, half[1] * cos)])
    points = points @ matrix[:, :2].T + matrix[:, 2]
    if mirror:
        points = points[LEFT_RIGHT]
    return np.concatenate([middle - turned, middle + turned, points.ravel()]).astype(np.float32)


def hair_and_body(rng, canvas, moved, photos, tone, keep):
    """An oval behind a face [14] that will be laid, often of the skin's `tone`, and a chest."""
    x1, y1, x2, y2 = moved[:4]
    w, h = x2 - x1, y2 - y1
    height, width = canvas.shape
    shapes = []
    if rng.random() < 0.6:
        chest = np.zeros(canvas.shape, np.float32)
        wide, neck = rng.uniform(0.7, 1.7) * w, rng.uniform(0.2, 0.4) * w
        cx, top = (x1 + x2) / 2, y2 + rng.uniform(0.05, 0.3) * h
        outline = [(cx - neck, y2 - 0.2 * h), (cx + neck, y2 - 0.2 * h), (cx + wide, top),
                   (cx + wide * 1.1, top + 3 * h), (cx - wide * 1.1, top + 3 * h), (cx - wide, top)]
        cv2.fillPoly(chest, [np.array(outline, np.int32)], 1.0)
        shapes.append(chest)
    if rng.random() < 0.7:
        hair = np.zeros(canvas.shape, np.float32)
        up, long = rng.uniform(0.05, 0.5) * h, rng.uniform(0, 0.6) * h * (rng.random() < 0.4)
        # Of a head turned aside the back shows, on the side that the nose points away from.
        eyes = (moved[4] + moved[6]) / 2
        turned = np.clip((moved[8] - eyes) / w / 0.2, -1, 1)
        back = (rng.uniform(-0.08, 0.08) - turned * rng.uniform(0, 0.5)) * w
        centre = ((x1 + x2) / 2 + back, (y1 - up + y2 - 0.2 * h + long) / 2)
        paste.ellipse(hair, centre, (w * rng.uniform(0.5, 0.95), (1.0 * h + up - 0.2 * h + long) / 2 + 1))
        shapes.append(hair)
    for shape in shapes:
        shape = cv2.GaussianBlur(shape, (0, 0), max(0.3, rng.uniform(0, 0.05) * w))
        if photos and rng.random() < 0.5:
            fill = window(rng, photos[rng.integers(len(photos))], width, height) * rng.uniform(0.3, 1)
        else:
            value = tone + rng.normal(0, 20) if rng.random() < 0.45 else rng.uniform(5, 220)
            fill = value + rng.standard_normal(canvas.shape).astype(np.float32) * rng.uniform(0, 10)
            if rng.random() < 0.6:
                fill = cv2.GaussianBlur(fill, (0, 0), 0.3 + rng.uniform(0, 3), sigmaY=0.3 + rng.uniform(0, 6))
        canvas += (np.clip(fill, 0, 255) - canvas) * shape * keep


def occlude(rng, piece, box):
    """A bar, disc or patch over a part of the face (microphone, hand, caption)."""
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    value = rng.uniform(0, 255)
    if rng.random() < 0.5:
        y = rng.uniform(y1 + 0.7 * h, y2)
        cv2.rectangle(piece, (0, int(y)), (piece.shape[1], int(y + rng.uniform(0.1, 0.5) * h)), value, -1)
    else:
        at = rng.uniform(x1, x2), rng.uniform(y1 + 0.55 * h, y2)
        mask = np.zeros(piece.shape, np.float32)
        paste.ellipse(mask, at, (rng.uniform(0.08, 0.25) * w, rng.uniform(0.08, 0.4) * h))
        piece += (value - piece) * mask


def fringe(rng, piece, box):
    """Hair or a cap over the forehead, as when a head is lowered."""
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    mask = np.zeros(piece.shape, np.float32)
    line = y1 + rng.uniform(0.08, 0.36) * h
    centre = (x1 + x2) / 2 + rng.uniform(-0.15, 0.15) * w, line - rng.uniform(0.3, 0.6) * h
    paste.ellipse(mask, centre, (rng.uniform(0.55, 0.9) * w, line - centre[1]), rng.uniform(-12, 12))
    mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 4))
    value = rng.uniform(5, 90) if rng.random() < 0.7 else rng.uniform(5, 230)
    fill = value + rng.standard_normal((1, piece.shape[1])).astype(np.float32) * rng.uniform(0, 15)
    piece += (np.clip(fill, 0, 255) - piece) * mask


def bend(a, t):
    """Where a place t of 0..1 goes when the middle is pushed by a / 4; |a| < 1. The ends stay."""
    return t + a * t * (1 - t)


def unbend(a, t):
    """What `bend` brings to t."""
    return t if abs(a) < 1e-3 else ((1 + a) - np.sqrt((1 + a) ** 2 - 4 * a * t)) / (2 * a)


def turn_head(piece, face, push):
    """Pushes what is inside the box across and down, as when a head turns or is lowered.

    The box stays; the landmarks go with their pixels. `push`: two numbers within -1..1.
    """
    face = face.copy()
    sources = []
    for axis, a in enumerate(push):
        low, high = face[axis], face[axis + 2]
        place = np.arange(piece.shape[1 - axis], dtype=np.float32)
        t = (place - low) / (high - low)
        inside = (t > 0) & (t < 1)
        sources.append(np.where(inside, low + unbend(a, np.clip(t, 0, 1)) * (high - low), place).astype(np.float32))
        points = (face[5 + axis :: 2] - low) / (high - low)
        face[5 + axis :: 2] = low + np.where((points > 0) & (points < 1), bend(a, points), points) * (high - low)
    x, y = np.meshgrid(*sources)
    return cv2.remap(piece, x, y, cv2.INTER_LINEAR), face


def piece_of(rng, crop, face):
    """A crop with its added top, relit; the face [15] moves down with it."""
    piece = paste.relight(rng, paste.extend(rng, crop))
    moved = face.copy()
    moved[[1, 3]] += paste.ABOVE_PX
    moved[6::2] += paste.ABOVE_PX
    return piece, moved


def lay_face(rng, canvas, keep, material, centre, size_px, whole=False, turned_whole=0.0):
    """Lays one face; gives its [14]. What comes later must not cover it: `keep` becomes 0 there."""
    index = material.draw(rng)
    piece, face = piece_of(rng, material.crops[index], material.faces[index])
    box = face[:4]
    angle = np.clip(rng.normal(0, 0.17), -0.6, 0.6) * (rng.random() < 0.8)
    mirror, stretch = rng.random() < 0.5, np.exp(rng.normal(0, 0.05))
    if rng.random() < 0.12:
        occlude(rng, piece, box)
    if rng.random() < 0.35:
        piece, face = turn_head(piece, face, rng.uniform(-0.6, 0.6, 2))
    if rng.random() < 0.12:
        fringe(rng, piece, box)
    matrix = paste.affine(box, centre, size_px, angle, stretch, mirror)
    moved = move(face, matrix, angle, mirror)
    aside = abs(moved[8] - (moved[4] + moved[6]) / 2) > 0.12 * (moved[2] - moved[0])
    if whole or (aside and rng.random() < turned_whole):
        mask = np.ones(piece.shape, np.float32)
        if rng.random() < 0.5:
            mask[: paste.ABOVE_PX] = 0
    else:
        if rng.random() < 0.7:
            tone = piece[int(box[1]) : int(box[3]), 50:110].mean()
            hair_and_body(rng, canvas, moved, material.photos, tone, keep)
        mask = paste.opacity(rng, piece.shape, box)
    paste.lay(canvas, piece, mask, matrix, keep)
    half = (moved[2:4] - moved[:2]) * rng.uniform(0.52, 0.75)
    spared = np.zeros(canvas.shape, np.float32)
    paste.ellipse(spared, (moved[:2] + moved[2:4]) / 2, half)
    keep *= 1 - spared
    return moved


def lay_decoy(rng, canvas, keep, material, centre, size_px):
    """Lays something that is no face, cut and relit as faces are."""
    index = rng.integers(len(material.crops))
    piece, face = piece_of(rng, material.crops[index], material.faces[index])
    if rng.random() < 0.6:
        piece = paste.faceless(rng, piece, face[:4])
    else:
        source = background(rng, material.photos, material.crops, *piece.shape[::-1])
        piece = paste.relight(rng, source)
    matrix = paste.affine(face[:4], centre, size_px, rng.normal(0, 0.3), 1.0, rng.random() < 0.5)
    paste.lay(canvas, piece, paste.opacity(rng, piece.shape, face[:4]), matrix, keep)


def free_place(rng, taken, width, height, size, outside=0.25):
    """A centre at which a face of `size` covers little of those taken; None where not found."""
    for _ in range(12):
        reach = size * (0.5 - outside)
        x = rng.uniform(min(reach, width / 2), max(width - reach, width / 2))
        y = rng.uniform(min(reach, height / 2), max(height - reach, height / 2))
        if all(abs(x - cx) > 0.48 * (size + s) or abs(y - cy) > 0.55 * (size + s) for cx, cy, s in taken):
            return x, y
    return None


def size_of(rng, least, most):
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def faces_over(rng, material, scene, width, height):
    """One panel: a background, decoys, faces."""
    canvas = background(rng, material.photos, material.crops, width, height)
    short = min(width, height)
    keep = np.ones_like(canvas)
    least, most = scene.least_face_px * short / 256, scene.most_face * short
    least = max(scene.least_face_px, least)
    faces, taken = [], []
    if rng.random() < scene.filling:
        size = min(rng.uniform(0.45, 0.85) * max(width, height), 1.15 * short)
        centre = width * rng.uniform(0.3, 0.7), height * rng.uniform(0.3, 0.6)
        faces.append(lay_face(rng, canvas, keep, material, centre, size, whole=True))
        taken.append((*centre, size))
        number = int(rng.random() < 0.1)
    elif rng.random() < scene.empty:
        number = 0
    else:
        number = 1 + min(7, int(rng.geometric(0.45)) - 1)
    for _ in range(rng.poisson(scene.decoys)):
        size = size_of(rng, least, most)
        place = free_place(rng, taken, width, height, size, outside=0.5)
        if place:
            lay_decoy(rng, canvas, keep, material, place, size)
            # What comes later may cover a decoy, which stays one.
    for _ in range(number):
        size = size_of(rng, least, most if number < 3 else most * 0.5)
        place = free_place(rng, taken, width, height, size)
        if place:
            faces.append(lay_face(rng, canvas, keep, material, place, size, turned_whole=scene.turned_whole))
            taken.append((*place, size))
    return canvas, np.array(faces, np.float32).reshape(-1, 14)


def camera(rng, picture, often=1.0):
    """What cameras and codecs do to the whole picture; `often` scales how often they do."""
    height, width = picture.shape
    if rng.random() < 0.35 * often:
        by = rng.uniform(1.2, 2.5)
        small = cv2.resize(picture, (int(width / by), int(height / by)), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    elif rng.random() < 0.3 * often:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.4))
    if rng.random() < 0.25:  # edges drawn over, as cameras do; gives enlarged crops some detail
        blurred = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.7, 3))
        picture = picture + (picture - blurred) * rng.uniform(0.5, 2.5)
    if rng.random() < 0.4 * often:
        gain = rng.uniform(0.35, 1.2)
        picture = np.clip(picture / 255, 0, 1) ** np.exp(rng.uniform(-0.4, 0.4)) * 255 * gain + rng.uniform(0, 40)
    if rng.random() < 0.4 * often:
        picture = picture + rng.standard_normal(picture.shape).astype(np.float32) * rng.uniform(1, 14)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.5 * often:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 90))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_GRAYSCALE)
    if rng.random() < 0.15:  # the program's padding, or a letter box
        picture[height - int(rng.integers(1, 32)) :] = 0
    if rng.random() < 0.1:
        picture[:, width - int(rng.integers(1, 32)) :] = 0
    return picture


def compose(rng, material, scene, width, height):
    """A picture uint8 [height, width] and its faces [n, 14]."""
    if rng.random() < scene.panels:
        halves = (width // 2, height) if width >= height else (width, height // 2)
        first, faces = faces_over(rng, material, scene, *halves)
        second, others = faces_over(rng, material, scene, *halves)
        side = width >= height
        picture = (np.hstack if side else np.vstack)([first, second])
        others[:, (0 if side else 1) :: 2] += halves[0] if side else halves[1]
        faces = np.concatenate([faces, others])
    else:
        picture, faces = faces_over(rng, material, scene, width, height)
    return camera(rng, picture, scene.camera), faces

"""The output contract shared with YuNet, and an ONNX detector that is read by it.

Per stride s: `cls_s`, `obj_s` (0..1), `bbox_s`, `kps_s`, a row a cell. A cell's score is
sqrt(cls * obj); its box lies at (col + dx, row + dy) * s and is exp(dw) by exp(dh) strides large;
landmarks stand at (col + kx, row + ky) * s.
"""

import cv2
import numpy as np
import onnxruntime

STRIDES = (8, 16, 32)
ROLES = ("cls", "obj", "bbox", "kps")
OUTPUTS = [f"{role}_{stride}" for stride in STRIDES for role in ROLES]


def cells(width, height):
    """Column, row and stride of every cell of all levels: float32 [N] each."""
    parts = []
    for stride in STRIDES:
        rows, cols = np.mgrid[: height // stride, : width // stride]
        parts.append(np.stack([cols.ravel(), rows.ravel(), np.full(rows.size, stride)]))
    return np.concatenate(parts, axis=1).astype(np.float32)


def decode(cls, obj, bbox, kps, grid, threshold, overlap):
    """Faces of one picture: [n, 15] of x1, y1, x2, y2, score, five landmarks; strongest first."""
    score = np.sqrt(np.clip(cls, 0, 1) * np.clip(obj, 0, 1))
    keep = np.flatnonzero(score >= threshold)
    keep = keep[np.argsort(-score[keep], kind="stable")][:2000]
    col, row, stride = grid[:, keep]
    centre = np.stack([col + bbox[keep, 0], row + bbox[keep, 1]], 1) * stride[:, None]
    half = np.exp(bbox[keep, 2:4]) * stride[:, None] / 2
    points = kps[keep].reshape(-1, 5, 2) + np.stack([col, row], 1)[:, None]
    points = (points * stride[:, None, None]).reshape(-1, 10)
    faces = np.concatenate([centre - half, centre + half, score[keep, None], points], 1)
    return suppress(faces, overlap)


def suppress(faces, overlap):
    """Of overlapping faces keeps the first."""
    kept = []
    while len(faces):
        kept.append(faces[0])
        faces = faces[1:][iou(faces[:1, :4], faces[1:, :4])[0] <= overlap]
    return np.array(kept, np.float32).reshape(-1, 15)


def iou(a, b):
    """[len(a), len(b)] of boxes x1, y1, x2, y2."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    inner = np.prod(np.clip(high - low, 0, None), axis=2)
    area = [np.prod(x[:, 2:4] - x[:, :2], axis=1) for x in (a, b)]
    return inner / np.maximum(area[0][:, None] + area[1][None] - inner, 1e-9)


def reduce(picture, long_side):
    """The picture (BGR or grey) as the program gives it to a detector, and the scale.

    Reduced by averaging over areas, never enlarged; zeros at the right and the bottom make the
    sides multiples of 32. float32 [1, 3, H, W], 0..255.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, long_side / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, 2)
    padded = np.zeros((-size[1] % 32 + size[1], -size[0] % 32 + size[0], 3), np.float32)
    padded[: size[1], : size[0]] = picture
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None]), scale


class Detector:
    """A graph that keeps the contract, on one thread."""

    def __init__(self, path, threshold=0.6, overlap=0.3):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"])
        self.threshold, self.overlap = threshold, overlap
        self.grids = {}

    def outputs(self, values):
        """cls, obj, bbox, kps of all cells of one picture [1, 3, H, W]."""
        given = self.session.run(OUTPUTS, {"input": values})
        parts = [np.concatenate([given[i][0] for i in range(role, 12, 4)]) for role in range(4)]
        return parts[0][:, 0], parts[1][:, 0], parts[2], parts[3]

    def __call__(self, picture, long_side, threshold=None):
        """Faces in pixels of `picture`: [n, 15]."""
        values, scale = reduce(picture, long_side)
        shape = values.shape[3], values.shape[2]
        if shape not in self.grids:
            self.grids[shape] = cells(*shape)
        least = self.threshold if threshold is None else threshold
        faces = decode(*self.outputs(values), self.grids[shape], least, self.overlap)
        faces[:, :4] /= scale
        faces[:, 5:] /= scale
        return faces

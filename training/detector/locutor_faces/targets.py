"""Which cells of which level answer for a face, and what they should say.

A level answers for faces of its sizes (longer side; neighbours overlap). Near a face's middle
every cell gives box and landmarks; the nearest ones are also called a face, the others are free.
"""

import numpy as np

from .contract import STRIDES, cells

SIZES_PX = ((0, 46), (36, 104), (84, 1e9))  # by level
CORE_CELLS, NEAR_CELLS = 0.8, 1.9  # reach from the face's middle to a cell's, per axis
FREE = 1.35  # other levels are free to find faces up to this factor outside their sizes
LEAST_PX = 8.0  # smaller faces teach nothing
COLUMNS = 16  # cls (1 face, 0 none, -1 free), near (0 or 1), box 4, landmarks 10


def targets(faces, width, height):
    """float32 [N, COLUMNS] for a picture of this size; boxes and landmarks in pixels."""
    grid = cells(width, height)
    out = np.zeros((grid.shape[1], COLUMNS), np.float32)
    # Larger faces first: a smaller one lies before it and takes its cells.
    order = np.argsort(-np.ptp(faces[:, [0, 2]], axis=1)) if len(faces) else []
    for face in (faces[i] for i in order):
        place(out, grid, face)
    return out


def place(out, grid, face):
    w, h = face[2] - face[0], face[3] - face[1]
    size = max(w, h)
    col, row, stride = grid
    dx = np.abs((face[0] + face[2]) / 2 / stride - col - 0.5)
    dy = np.abs((face[1] + face[3]) / 2 / stride - row - 0.5)
    reach = np.maximum(dx, dy)
    # Never so far out that the cell's middle leaves the inner part of the face.
    inner = (dx < np.maximum(0.3 * w / stride, 0.7)) & (dy < np.maximum(0.3 * h / stride, 0.7))
    core, near = (reach < CORE_CELLS) & inner, (reach < NEAR_CELLS) & inner
    for level, (stride_px, (low, high)) in enumerate(zip(STRIDES, SIZES_PX)):
        here = stride == stride_px
        if size < LEAST_PX:
            out[here & near, 0] = -1
        elif low <= size < high:
            cells_near = here & near
            out[cells_near, 0] = -1
            out[cells_near, 1] = 1
            out[cells_near, 2:] = face
            out[here & core, 0] = 1
        elif low / FREE <= size < high * FREE:
            out[here & near & (out[:, 1] == 0), 0] = -1

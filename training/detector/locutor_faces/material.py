"""What `prepare` wrote, split by source into training and validation."""

import dataclasses
from pathlib import Path

import numpy as np


@dataclasses.dataclass
class Material:
    crops: np.ndarray  # uint8 [n, 160, 160]
    faces: np.ndarray  # float32 [n, 15]
    photos: list  # uint8 pictures
    chance: np.ndarray | None = None  # of each crop to be drawn; all alike where None

    def draw(self, rng):
        """The number of a crop."""
        return rng.choice(len(self.crops), p=self.chance)


def held_out(sources, share):
    """Which crops belong to a source that is kept for validation; the same in every run."""
    mixed = (sources.astype(np.uint64) * np.uint64(2654435761)) % np.uint64(1 << 32)
    return mixed < share * (1 << 32)


def is_photograph(picture):
    """Whether it has the many tones of a photograph; else it is a drawing or a screen."""
    counts = np.bincount(picture.ravel(), minlength=256)
    return counts.max() < 0.12 * counts.sum() and (counts > 0).sum() > 180


def weighted(pictures, times=5):
    """Photographs stand several times in the list, so that they are drawn more often."""
    return [p for p in pictures for _ in range(times if is_photograph(p) else 1)]


def by_pose(faces, turned=3.0):
    """Chance of each crop: heads turned aside count up to 1 + `turned` times, tilted ones twice."""
    eye_r, eye_l, nose, mouth_r, mouth_l = faces[:, 5:].reshape(-1, 5, 2).transpose(1, 0, 2)
    across = np.maximum(np.abs(eye_l[:, 0] - eye_r[:, 0]), 4)
    yaw = np.abs(nose[:, 0] - (eye_l[:, 0] + eye_r[:, 0]) / 2) / across
    eyes, mouth = (eye_l[:, 1] + eye_r[:, 1]) / 2, (mouth_l[:, 1] + mouth_r[:, 1]) / 2
    height = (nose[:, 1] - eyes) / np.maximum(mouth - eyes, 4)
    pitch = np.abs(height - np.median(height))
    weight = 1 + turned * np.clip(yaw / 0.5, 0, 1) + np.clip(pitch / 0.25, 0, 1)
    return weight / weight.sum()


def load(folder, share, turned=3.0):
    """(training, validation) material of the folder that `prepare` wrote."""
    folder = Path(folder)
    with np.load(folder / "faces.npz") as file:
        crops, faces, sources = file["crops"], file["faces"], file["sources"]
    with np.load(folder / "photos.npz") as file:
        photos = [file[name] for name in sorted(file.files)]
    kept = held_out(sources, share)
    every = max(2, round(1 / share)) if share else len(photos) + 1
    seen = [p for i, p in enumerate(photos) if i % every]
    unseen = [p for i, p in enumerate(photos) if i % every == 0]
    return Material(crops[~kept], faces[~kept], weighted(seen), by_pose(faces[~kept], turned)), Material(crops[kept], faces[kept], weighted(unseen))

"""Makes the training material: face crops with the teacher's boxes, and pictures without faces.

Takes the folder of face tracks (manifest.tsv, video/), a YuNet file as teacher and folders of
photographs; writes faces.npz (grey crops, boxes and landmarks in the crop's pixels, source of
each) and photos.npz (grey pictures in which the teacher sees no face).
"""

import csv
import zlib
from pathlib import Path

import cv2
import numpy as np

from .contract import Detector, iou

CROP_PX = 160
MARGIN_PX = 80  # the crop is looked at with this much around it
NOMINAL = np.array([[23.0, 0.0, 137.0, 114.0]])  # where the crop's geometry puts the face
FORBIDDEN = ("CC-BY-NC", "custom")  # licences that forbid commercial use begin so
PHOTO_SIDE_PX = 640


def usable(row):
    return not row["licence"].startswith(FORBIDDEN)


def track_frames(path, wanted):
    """Up to `wanted` grey frames spread over the track."""
    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    take = set(np.linspace(1, max(1, count - 2), wanted).round().astype(int).tolist())
    frames = []
    for index in range(count):
        if not video.grab():
            break
        if index in take:
            frames.append(cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2GRAY))
    return frames


def label(teacher, crop):
    """The teacher's only face in the crop ([15], crop pixels); None where it is not sure."""
    wide = cv2.copyMakeBorder(crop, *[MARGIN_PX] * 4, cv2.BORDER_REPLICATE)
    faces = teacher(wide, 2 * CROP_PX, threshold=0.3)
    faces[:, :4] -= MARGIN_PX
    faces[:, 5:] -= MARGIN_PX
    if len(faces) != 1 or faces[0, 4] < 0.7:
        return None
    return faces[0] if iou(faces[:, :4], NOMINAL)[0, 0] >= 0.45 else None


def level_tops(faces):
    """The faces with their boxes' upper edges raised by one constant.

    The crop ends where the box of the whole picture began: there the teacher cannot see the hair
    and sets the edge too low, by 5 pixels of 160 in the mean. By the crop's geometry the mean is 0.
    """
    out = faces.copy()
    out[:, 1] -= faces[:, 1].mean()
    return out


def prepare_faces(tracks, teacher, per_track):
    crops, faces, sources = [], [], []
    with open(tracks / "manifest.tsv", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if usable(row)]
    for row in rows:
        for crop in track_frames(tracks / row["track"], per_track):
            if crop.shape != (CROP_PX, CROP_PX):
                continue
            face = label(teacher, crop)
            if face is not None:
                crops.append(crop)
                faces.append(face)
                # A number that is the same in every run, so that the split is.
                sources.append(zlib.crc32(row["repo"].encode()))
    return np.array(crops), level_tops(np.array(faces, np.float32)), np.array(sources, np.uint32)


def photo_files(folders):
    kinds = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
    return sorted(p for f in folders for p in Path(f).rglob("*") if p.suffix.lower() in kinds)


def prepare_photos(folders, teacher, least_px=200):
    """Grey photographs in which the teacher, looking low, finds nothing."""
    photos, with_faces = [], 0
    for path in photo_files(folders):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None or min(picture.shape[:2]) < least_px:
            continue
        scale = min(1.0, PHOTO_SIDE_PX / max(picture.shape[:2]))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if any(len(teacher(p, s, threshold=0.3)) for p, s in ((small, 320), (small, 640), (picture, 1280))):
            with_faces += 1
            continue
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        if grey.std() > 8:
            photos.append(grey)
    return photos, with_faces


def prepare(tracks, teacher_file, photo_folders, out, per_track=10):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    teacher = Detector(teacher_file)
    crops, faces, sources = prepare_faces(Path(tracks), teacher, per_track)
    np.savez(out / "faces.npz", crops=crops, faces=faces, sources=sources)
    print(f"{len(crops)} face crops of {len(set(sources.tolist()))} sources", flush=True)
    photos, dropped = prepare_photos(photo_folders, teacher)
    np.savez(out / "photos.npz", **{f"{i:05}": p for i, p in enumerate(photos)})
    print(f"{len(photos)} photographs; {dropped} left out, as there may be faces in them")

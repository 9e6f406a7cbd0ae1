"""Does the SE vector say what moved the decision?

Two questions, on held-out tracks with their own sound, over ticks that the model calls speaking.
*Channels*: the rank correlation, tick by tick, of gate x activation with what the score loses when
the channel is taken out of the whole window. *Places*: insertion minus deletion. A map is averaged
over the window and made one mask for all its pictures (a mask that changes from tick to tick fakes
motion); the 10, 20 and 40 % highest pixels are blurred away (deletion) or are all that is not
blurred (insertion); figures are mean logits. What is blurred still moves; with `still` it is one blurred
picture for the whole window, so that nothing of the movement is left where a mask removes it. Errors are bootstrapped over tracks.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from . import augment, cams
from . import geometry as g
from .data import Tracks
from .face import DELAY_TICKS
from .heldout import encode_sound
from .metrics import spearman
from .model import Locutor, load_run

TICKS = 60
AREAS = (0.1, 0.2, 0.4)
EDGE = 2 * g.LIP_PX / g.LIP_SIDE  # softness of the mask, as 2 px of the model picture
BLUR = 10 * g.LIP_PX / g.LIP_SIDE  # what deletion leaves, as 10 px of the model picture


@torch.no_grad()
def ablation(model: Locutor, parts: torch.Tensor, valid, audio: torch.Tensor) -> np.ndarray:
    """Loss of the logit at each tick when a channel is gone from the window: [T, C]."""
    ticks = audio.shape[0]
    face = model.embed(parts, valid, 1, ticks)
    z = model.judge(audio[None], face)[0]
    shares = model.face.shares(parts).transpose(0, 1)
    less = model.judge(audio[None].expand(len(shares), -1, -1), face - shares)
    return (z - less).T.numpy()


def gradients(model: Locutor, maps, gate, valid, audio, speaks) -> np.ndarray:
    """Gradient of the mean logit of the speaking ticks by the gated maps: [T, C, 8, 8]."""
    scaled = (maps * gate[:, :, None, None]).detach().requires_grad_(True)
    parts = model.face.parts(scaled, torch.ones_like(gate))
    z = model.judge(audio[None], model.embed(parts, valid, 1, len(audio)))[0]
    return torch.autograd.grad(z[speaks].mean(), scaled)[0].numpy()


@torch.no_grad()
def masked_logit(model, lips, blurred, mask, valid, audio, speaks) -> float:
    """`mask` [64, 64]: 1 where the picture is kept."""
    mixed = lips * mask + blurred * (1 - mask)
    face = model.encode_lips(mixed[None], valid)[0]
    return float(model.judge(audio[None], face)[0][speaks].mean())


def masks_of(heat: np.ndarray) -> list[torch.Tensor]:
    """Soft masks of the highest 10, 20, 40 % of the lip picture."""
    big = cv2.resize(heat.astype(np.float32), (g.LIP_PX, g.LIP_PX), interpolation=cv2.INTER_CUBIC)
    order = np.argsort(-big.ravel(), kind="stable")
    out = []
    for area in AREAS:
        mask = np.zeros(big.size, np.float32)
        mask[order[:int(area * big.size)]] = 1
        out.append(torch.from_numpy(cv2.GaussianBlur(mask.reshape(big.shape), (0, 0), EDGE)))
    return out


def judge_track(model: Locutor, tracks: Tracks, track: dict, rng, still: bool) -> dict | None:
    start = 0
    if track["ticks"] > TICKS:
        starts = range(0, track["ticks"] - TICKS, 10)
        start = max(starts, key=lambda s: (tracks.cut_labels(track, s, TICKS)[0] > 0.6).sum())
    index = start + np.arange(-DELAY_TICKS, TICKS + DELAY_TICKS)
    valid = torch.from_numpy(((index >= 0) & (index < track["ticks"])).astype(np.float32))[None]
    lips = torch.from_numpy(augment.plain_lips(tracks.cut_store(track, index))).float()
    audio = encode_sound(model, tracks.cut_sound(track, start, TICKS))
    with torch.no_grad():
        face, maps, gate, parts = model.encode_lips(lips[None], valid)
        z = model.judge(audio[None], face)[0]
    speaks = z > 0
    if speaks.sum() < 20:
        return None
    effects = ablation(model, parts, valid, audio)
    on = speaks.numpy()
    activation = parts.mean(-1).numpy()
    out = {"id": track["id"], "ticks": int(on.sum()), "z": float(z[speaks].mean()),
           "share of gates near 0": float((gate < 0.1).float().mean()),
           "gate x activation": float(spearman(activation, effects)[on].mean()),
           "gate x activation, absolute": float(spearman(activation, np.abs(effects))[on].mean()),
           "gate": float(spearman(gate.numpy(), effects)[on].mean())}
    grads = gradients(model, maps, gate, valid, audio, speaks)
    heats = cams.all_maps(maps[on].numpy(), gate[on].numpy(), effects[on], grads[on], rng)
    blurred = torch.from_numpy(np.stack([cv2.GaussianBlur(f, (0, 0), BLUR) for f in lips.numpy()]))
    if still:
        blurred = blurred.mean(0, keepdim=True).expand_as(blurred)
    out["z blurred"] = masked_logit(model, lips, blurred, torch.zeros(g.LIP_PX, g.LIP_PX), valid,
                                    audio, speaks)
    for name, heat in heats.items():
        masks = masks_of(heat)
        deleted = [masked_logit(model, lips, blurred, 1 - m, valid, audio, speaks) for m in masks]
        kept = [masked_logit(model, lips, blurred, m, valid, audio, speaks) for m in masks]
        out[name] = {"deletion": deleted, "insertion": kept,
                     "gap": float(np.mean(kept) - np.mean(deleted))}
    return out


def interval(values: np.ndarray, rng) -> tuple[float, float]:
    draws = rng.choice(values, (2000, len(values))).mean(1)
    return float(np.percentile(draws, 5)), float(np.percentile(draws, 95))


def report(run: Path, data: Path, out: Path | None, limit: int, still: bool = False) -> None:
    torch.set_num_threads(1)
    model, _ = load_run(run)
    tracks, rng = Tracks(data), np.random.default_rng(0)
    chosen = [t for t in tracks.table if t["held_out"] and t["ticks"] >= TICKS]
    found = [r for t in chosen[:limit or None] if (r := judge_track(model, tracks, t, rng, still))]
    lines = [f"{len(found)} of {len(chosen[:limit or None])} held-out tracks with speech called"]
    for key in ("gate x activation", "gate x activation, absolute", "gate", "z", "z blurred",
                "share of gates near 0"):
        v = np.array([r[key] for r in found])
        low, high = interval(v, rng)
        lines.append(f"{key:30} {v.mean():6.3f}  [{low:.3f}, {high:.3f}]")
    names = [k for k, v in found[0].items() if isinstance(v, dict)]
    lines.append("map | deletion 10/20/40 % | insertion 10/20/40 % | gap | 90 % | beats both permuted")
    gaps = {n: np.array([r[n]["gap"] for r in found]) for n in names}
    control = np.maximum(gaps["paper rule, permuted gates"], gaps["gate-activation, permuted"])
    for n in sorted(names, key=lambda n: -gaps[n].mean()):
        d, i = (np.mean([r[n][k] for r in found], 0) for k in ("deletion", "insertion"))
        low, high = interval(gaps[n], rng)
        lines.append(f"{n} | {' / '.join(f'{x:.2f}' for x in d)} | "
                     f"{' / '.join(f'{x:.2f}' for x in i)} | {gaps[n].mean():+.2f} | "
                     f"{low:+.2f} .. {high:+.2f} | {np.mean(gaps[n] > control):.2f}")
    print("\n".join(lines))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=0))

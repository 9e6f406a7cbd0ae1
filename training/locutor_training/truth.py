"""Does the SE vector say what moved the decision?

Two questions, on held-out tracks with their own sound, over ticks that the model calls speaking.
*Channels*: the rank correlation, tick by tick, of gate x activation with what the score loses when
the channel is taken out of the whole window. *Places*: insertion minus deletion, as the program's
`faithfulness` counts it: a map is averaged over the speaking ticks, enlarged onto the model
picture, and made one mask for all pictures (a mask that changes from tick to tick fakes motion);
the highest 10, 20 and 40 % of the picture are blurred away (deletion) or are all that is not
blurred (insertion); figures are mean logits. `still` leaves one blurred picture for the whole
window where a mask removes something, so that the movement goes too. Errors are bootstrapped over
tracks.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from . import augment, cams, rule
from . import geometry as g
from .data import Tracks
from .face import DELAY_TICKS
from .heldout import encode_sound
from .metrics import spearman
from .model import Locutor, load_run

TICKS = 60
AREAS = (0.1, 0.2, 0.4)  # of the model picture
EDGE, BLUR = 2.0, 10.0  # model pixels
LEAST_SPEECH = 20
SURE_TICKS = 10  # with p > .8, for the strength of the raw maps


@torch.no_grad()
def ablation(model: Locutor, parts: torch.Tensor, valid, audio: torch.Tensor) -> torch.Tensor:
    """Loss of the logit at each tick when a channel is gone from the window: [T, C]."""
    face = model.embed(parts, valid, 1, audio.shape[0])
    z = model.judge(audio[None], face)[0]
    shares = model.face.shares(parts).transpose(0, 1)
    less = model.judge(audio[None].expand(len(shares), -1, -1), face - shares)
    return (z - less).T


def enlarged(heat: np.ndarray) -> np.ndarray:
    """[8, 8] of the lip picture or [64, 64] -> [112, 112] of the model picture, never negative."""
    out = np.zeros((g.MODEL_PX, g.MODEL_PX), np.float32)
    big = cv2.resize(heat.astype(np.float32), (g.LIP_SIDE, g.LIP_SIDE), interpolation=cv2.INTER_CUBIC)
    out[g.LIP_TOP:g.LIP_TOP + g.LIP_SIDE, g.LIP_LEFT:g.LIP_LEFT + g.LIP_SIDE] = np.maximum(big, 0)
    return out


def masks_of(heat: np.ndarray) -> list[np.ndarray]:
    """Soft masks of the highest 10, 20, 40 % of the model picture."""
    order, out = np.argsort(-heat.ravel(), kind="stable"), []
    for area in AREAS:
        mask = np.zeros(heat.size, np.float32)
        mask[order[:round(area * heat.size)]] = 1
        out.append(cv2.GaussianBlur(mask.reshape(heat.shape), (0, 0), EDGE))
    return out


class Clip:
    """One window of a track with its own sound, and its score when parts are blurred."""

    def __init__(self, model: Locutor, tracks: Tracks, track: dict, still: bool):
        self.model, start = model, 0
        if track["ticks"] > TICKS:
            starts = range(0, track["ticks"] - TICKS, 10)
            start = max(starts, key=lambda s: (tracks.cut_labels(track, s, TICKS)[0] > 0.6).sum())
        index = start + np.arange(-DELAY_TICKS, TICKS + DELAY_TICKS)
        valid = ((index >= 0) & (index < track["ticks"])).astype(np.float32)
        self.valid = torch.from_numpy(valid)[None]
        self.pictures = augment.model_pictures(tracks.cut_store(track, index)).astype(np.float32)
        self.audio = encode_sound(model, tracks.cut_sound(track, start, TICKS))
        self.blurred = np.stack([cv2.GaussianBlur(f, (0, 0), BLUR) for f in self.pictures])
        if still:
            self.blurred = np.broadcast_to(self.blurred.mean(0), self.blurred.shape)
        self.lips = model.face.cut_lips(torch.from_numpy(self.pictures)[None])
        with torch.no_grad():
            face, self.maps, self.gate, self.parts = model.encode_lips(self.lips, self.valid)
            self.z = model.judge(self.audio[None], face)[0]
        self.speaks = self.z > 0

    @torch.no_grad()
    def logit(self, keep: np.ndarray) -> float:
        """`keep` [112, 112]: 1 where the picture is sharp."""
        mixed = self.blurred + (self.pictures - self.blurred) * keep
        lips = self.model.face.cut_lips(torch.from_numpy(mixed)[None])
        face = self.model.encode_lips(lips, self.valid)[0]
        return float(self.model.judge(self.audio[None], face)[0][self.speaks].mean())

    def measure(self, heat: np.ndarray) -> dict:
        masks = masks_of(heat)
        deletion, insertion = [self.logit(1 - m) for m in masks], [self.logit(m) for m in masks]
        return {"deletion": deletion, "insertion": insertion,
                "gap": float(np.mean(insertion) - np.mean(deletion))}


def judge_track(model: Locutor, tracks: Tracks, track: dict, seed: int, still: bool,
                brief: bool) -> dict | None:
    clip = Clip(model, tracks, track, still)
    if clip.speaks.sum() < LEAST_SPEECH:
        return None
    on = clip.speaks
    effects = ablation(model, clip.parts, clip.valid, clip.audio)
    here = [x[on] for x in (clip.maps, clip.gate, effects)]
    peak, mean = rule.strength(clip.maps, clip.gate)[on], clip.parts.mean(-1)[on]
    numbers = {
        "gate x activation (highest cell)": spearman(peak.numpy(), here[2].numpy()),
        "gate x activation (mean cell)": spearman(mean.numpy(), here[2].numpy()),
        "gate": spearman(here[1].numpy(), here[2].numpy()),
        "gates below .1": (here[1] < 0.1).float().mean().numpy(),
        "channels kept": rule.above(peak).sum(1).numpy(),
        "z": clip.z[on].numpy(), "z all blurred": clip.logit(np.zeros((112, 112), np.float32))}
    out = {"id": track["id"], "numbers": {k: float(np.mean(v)) for k, v in numbers.items()}}
    one = {k: v.mean(0).numpy() for k, v in cams.rule_maps(*here).items()}
    if not brief:
        stacked = model.face.stack(clip.lips, clip.valid)[0]
        found = cams.gradient_maps(model, stacked, clip.audio, clip.valid, on.float())
        one |= {k: v.mean(0) for k, v in found.items()}
    heats = {k: enlarged(v) for k, v in one.items()}
    heats |= {"mouth box": cams.mouth_box(), "random blob": cams.random_blob(seed)}
    out["maps"] = {k: clip.measure(v) for k, v in heats.items()}
    out["lots"] = {k: [clip.measure(enlarged(h.mean(0).numpy())) for h in v]
                   for k, v in cams.permuted_maps(*here, seed).items()}
    sure = clip.z > np.log(4)
    if sure.sum() >= SURE_TICKS:
        raw = cams.rule_maps(clip.maps[sure], clip.gate[sure], effects[sure])
        out["p99"] = {k: float(np.percentile(raw[k], 99))
                      for k in ("paper", "gate-activation", "ablation")}
    return out


def interval(values: np.ndarray, rng) -> tuple[float, float]:
    draws = rng.choice(values, (2000, len(values))).mean(1)
    return float(np.percentile(draws, 5)), float(np.percentile(draws, 95))


CONTROLS = {"paper": ("paper, gates permuted",), "ablation": ("ablation, effects permuted",),
            "gate-activation": ("gate-activation, choice permuted", "gate-activation, gates permuted")}


def table(found: list[dict], rng) -> list[str]:
    """Rows of Markdown; with permuted controls a track counts by the mean of its lots."""
    rows = {k: [r["maps"][k] for r in found] for k in found[0]["maps"]}
    for k in found[0]["lots"]:
        rows[k] = [{f: np.mean([lot[f] for lot in r["lots"][k]], 0)
                    for f in ("deletion", "insertion", "gap")} for r in found]
    gap = {k: np.array([x["gap"] for x in v]) for k, v in rows.items()}
    lines = ["| map | deletion 10/20/40 % | insertion 10/20/40 % | gap | 90 % | above mouth box "
             "| gate-activation above it |", "|---|---|---|---|---|---|---|"]
    for k in sorted(rows, key=lambda k: -gap[k].mean()):
        d, i = (np.mean([x[f] for x in rows[k]], 0) for f in ("deletion", "insertion"))
        low, high = interval(gap[k], rng)
        lines.append(f"| {k} | {' / '.join(f'{x:.2f}' for x in d)} | "
                     f"{' / '.join(f'{x:.2f}' for x in i)} | {gap[k].mean():+.2f} | "
                     f"{low:+.2f} .. {high:+.2f} | {np.mean(gap[k] > gap['mouth box']):.2f} | "
                     f"{np.mean(gap['gate-activation'] > gap[k]):.2f} |")
    for k, controls in CONTROLS.items():
        for c in controls:
            wins = np.mean([r["maps"][k]["gap"] > lot["gap"] for r in found for lot in r["lots"][c]])
            lines.append(f"{k} above '{c}': {wins:.2f} of tracks and lots")
    return lines


def report(run: Path, data: Path, out: Path | None, limit: int, still: bool = False,
           brief: bool = False) -> None:
    torch.set_num_threads(1)
    model, _ = load_run(run)
    tracks, rng = Tracks(data), np.random.default_rng(0)
    chosen = [t for t in tracks.table if t["held_out"] and t["ticks"] >= TICKS][:limit or None]
    found = [r for i, t in enumerate(chosen)
             if (r := judge_track(model, tracks, t, i, still, brief))]
    lines = [f"{len(found)} of {len(chosen)} held-out tracks with speech called"]
    for k in found[0]["numbers"]:
        v = np.array([r["numbers"][k] for r in found])
        low, high = interval(v, rng)
        lines.append(f"{k:34} {v.mean():6.3f}  [{low:.3f}, {high:.3f}]")
    strong = [r["p99"] for r in found if "p99" in r]
    typical = {k: float(np.median([s[k] for s in strong])) for k in strong[0]} if strong else {}
    lines += [f"typical {json.dumps(typical)}", *table(found, rng)]
    print("\n".join(lines))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"tracks": found, "typical": typical}, indent=0))

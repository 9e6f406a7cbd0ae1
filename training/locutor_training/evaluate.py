"""Judges a run: on held-out tracks, or on labelled videos in the way the program streams.

A labelled face is scored with `past` ticks before and a stated number of ticks after each tick;
LOOKAHEAD of the whole model adds what the encoders read ahead. Groups are those of the project's
scorer (first part of the video's name). `rivals` applies the competition where the run has one.
"""

import csv
import json
from pathlib import Path

import numpy as np
import torch

from . import crops, geometry as g
from .cross_face import load_cross_face
from .data import Tracks
from .face import DELAY_TICKS
from .facts import smoothed
from .metrics import average_precision
from .model import Locutor, load_run

PAST_TICKS = 75
ENCODER_AHEAD = 3  # ticks that the encoders read past the tick they give (sound: 2 and 15 ms)
GROUPS = {"turn": ("sbsturn",), "both": ("sbsboth",), "dub": ("dub", "own"),
          "shift": ("shift", "own"), "mute": ("mute", "own"), "own": ("own",), "all": None}


@torch.no_grad()
def encode_face(model: Locutor, pictures: np.ndarray) -> torch.Tensor:
    """[T, 112, 112] -> [T, D], as the streaming encoder gives it over a whole track."""
    x = torch.from_numpy(pictures)[None].float()
    edge = x.new_zeros(1, 2 * DELAY_TICKS, g.LIP_PX, g.LIP_PX)
    out, *_ = model.face(
        torch.cat([x, x[:, -1:].expand(-1, DELAY_TICKS, -1, -1)], 1),
        torch.cat([torch.ones(1, x.shape[1]), torch.zeros(1, DELAY_TICKS)], 1),
        edge, torch.zeros(1, 2 * DELAY_TICKS))
    return out[0, DELAY_TICKS:]


@torch.no_grad()
def encode_audio(model: Locutor, sound: np.ndarray) -> torch.Tensor:
    from .mel import log_mel
    return model.audio(log_mel(torch.from_numpy(sound.astype(np.float32))[None]))[0]


@torch.no_grad()
def windowed(judge, audio: torch.Tensor, face: torch.Tensor, ahead: int, hop: int) -> np.ndarray:
    """Logits [T] where tick t sees PAST_TICKS before its hop and at most `ahead` + hop - 1 after."""
    out = np.zeros(len(face), np.float32)
    for start in range(0, len(face), hop):
        a, b = max(0, start - PAST_TICKS), min(len(face), start + hop + ahead)
        z = judge(audio[None, a:b], face[None, a:b])[0].numpy()
        out[start:start + hop] = z[start - a:start - a + hop]
    return out


def group_figures(results: list[dict], threshold: float = 0.5, smoothing: int = 1) -> dict:
    """By group average precision of the logits, and accuracy of the decision."""
    out = {}
    for name, kinds in GROUPS.items():
        chosen = [r for r in results if kinds is None or r["video"].split("__")[0] in kinds]
        if not chosen:
            continue
        z, y = (np.concatenate([r[k] for r in chosen]) for k in ("z", "truth"))
        says = np.concatenate([smoothed(r["z"], smoothing) > threshold for r in chosen])
        out[name] = (average_precision(z, y), float((says == y).mean()))
    return out


def bootstrap(results: list[dict], draws: int = 500) -> dict:
    """90 % interval of each group's average precision over draws of the pairs of people."""
    people = sorted({p for r in results for p in r["video"].split("__")[1:]})
    joint = {frozenset(r["video"].split("__")[1:]) for r in results if r["video"].count("__") == 2}
    pairs = [*joint, *(frozenset([p]) for p in people if not any(p in j for j in joint))]
    mine = [[r for r in results if set(r["video"].split("__")[1:]) <= pair] for pair in pairs]
    rng, out = np.random.default_rng(0), {}
    found = [group_figures([r for i in rng.integers(0, len(pairs), len(pairs)) for r in mine[i]])
             for _ in range(draws)]
    for name in GROUPS:
        values = [f[name][0] for f in found if name in f]
        out[name] = [float(np.nanpercentile(values, q)) for q in (5, 95)]
    return out


def rival_of(results: list[dict]) -> dict[str, np.ndarray]:
    """The largest logit of the other faces of the same video and frame, by entity."""
    out = {}
    for r in results:
        others = [o for o in results if o["video"] == r["video"] and o is not r]
        best = np.full(len(r["z"]), np.nan, np.float32)
        for o in others:
            for i, at in enumerate(r["index"]):
                j = np.nonzero(o["index"] == at)[0]
                if len(j) and not best[i] > o["z"][j[0]]:
                    best[i] = o["z"][j[0]]
        out[r["entity"]] = best
    return out


def write_predictions(path: Path, results: list[dict]) -> None:
    with open(path, "w", newline="") as f:
        w = csv.writer(f)
        w.writerow([*results[0]["rows"][0].keys(), "score"])
        for r in results:
            p = 1 / (1 + np.exp(-r["z"].astype(np.float64)))
            for row, score in zip(r["rows"], p):
                w.writerow([*row.values(), f"{score:.6f}"])


def on_videos(model: Locutor, faces: list[dict], ahead: int, hop: int, encoded: dict) -> list[dict]:
    results = []
    for f in faces:
        if f["entity"] not in encoded:
            n = len(f["index"])
            sound = f["sound"][f["index"][0] * g.SAMPLES_PER_TICK:]
            audio = encode_audio(model, sound)[:n]
            encoded[f["entity"]] = (audio, encode_face(model, f["pictures"])[:len(audio)])
        audio, face = encoded[f["entity"]]
        results.append({**f, "z": windowed(model.judge, audio, face, ahead, hop)})
    return results


def command(run: Path, data: Path | None, videos: Path | None, ahead: list[int], out: Path | None,
            cache: Path | None):
    torch.set_num_threads(1)
    model, saved = load_run(run)
    print(f"{run}: step {saved['step']}")
    if data:
        from . import heldout
        print("held out", {k: round(v, 3) for k, v in heldout.scores(model, Tracks(data)).items()})
    if not videos:
        return
    facts = json.loads(p.read_text()) if (p := run / "facts.json").is_file() else {}
    rule = facts.get("decision", {})
    decision = rule.get("threshold", 0.5), rule.get("smoothing_ticks", 1)
    print(f"average precision / accuracy at p > {decision[0]}, mean of {decision[1]} ticks")
    faces, encoded = crops.load(videos, cache or run / "crops"), {}
    cross_face = load_cross_face(run)
    for look in ahead:
        live = look <= 25
        results = on_videos(model, faces, max(0, look - ENCODER_AHEAD) if live else look,
                            1 if live else 25, encoded)
        variants = {"alone": results}
        if cross_face is not None:
            rivals = rival_of(results)
            variants["rivals"] = [{**r, "z": cross_face.apply(r["z"], rivals[r["entity"]])}
                                  for r in results]
        for name, chosen in variants.items():
            figures = group_figures(chosen, *decision)
            print(f"ahead {look:3d} {name:7}", " ".join(
                f"{k} {ap:.3f}/{acc:.3f}" for k, (ap, acc) in figures.items()), flush=True)
            ranges = bootstrap(chosen)
            print(" " * 18, " ".join(f"{k} {a:.2f}-{b:.2f}" for k, (a, b) in ranges.items()))
            if out:
                out.mkdir(parents=True, exist_ok=True)
                write_predictions(out / f"predictions_{look}_{name}.csv", chosen)
                (out / f"figures_{look}_{name}.json").write_text(json.dumps(figures))

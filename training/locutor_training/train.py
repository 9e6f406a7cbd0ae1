"""The training loop: resumable, one process, one thread by default.

Takes a config; leaves in `run.out` the checkpoint `last.pt` (weights, their running average,
optimiser, random state), `log.tsv` (losses and held-out figures) and `config.json`. Running the
same command again goes on where it stopped. The averaged weights are what is judged and exported.
Stops at `steps`, or leaves a checkpoint when `minutes` are over.
"""

import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch

from . import config, heldout, losses, places, rule, truthful
from .data import SOUNDS, Sampler, Tracks
from .mel import log_mel, other_voice
from .model import Locutor

SAVE_EVERY_S = 180
AVERAGE = 0.997


def done_at(step: int, spent_s: float, cfg: config.Run) -> float:
    """Share of the run that is over: of its steps or of its minutes, whichever is more."""
    return min(1.0, max(step / cfg.steps, spent_s / 60 / cfg.minutes))


def rate_at(step: int, done: float, cfg: config.Run) -> float:
    """Warm-up, then a cosine."""
    if step < cfg.warmup:
        return cfg.rate * (step + 1) / cfg.warmup
    return cfg.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def encode(model: Locutor, batch, hidden, cfg: config.Config, device):
    """Faces of the batch and behind them those partly blurred, in one call, so that batch
    normalisation sees both as one kind: embedding, map, gate, parts, valid."""
    lips, valid = batch.lips, batch.valid
    if hidden is not None:
        lips, valid = torch.cat([lips, hidden.lips]), torch.cat([valid, valid[hidden.face]])
    valid = valid.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=cfg.run.bf16):
        face, maps, gate, parts = model.encode_lips(lips.to(device), valid)
    return face.float(), maps.float(), gate.float(), parts.float(), valid


def pressures(cfg: config.Loss, gate, parts, parts_of: dict):
    """What keeps the gates low and the map dark.

    The map is darkened through the gates alone: were the features dark by themselves, any gates
    would give the same map, and the SE vector would choose nothing.
    """
    open_parts = (parts / gate[:, :, None].clamp_min(1e-4)).detach()
    total = 0.0
    for name, weight, value in (("gate", cfg.sparsity, lambda: gate.mean()),
                                ("dark", cfg.dark, lambda: (open_parts * gate[:, :, None]).mean()),
                                ("spread", cfg.spread, lambda: losses.spread_out(parts))):
        if weight:
            parts_of[name] = value()
            total = total + weight * parts_of[name]
    return total


def truths(model: Locutor, batch, hidden, coded, audio, cfg: config.Config, parts_of: dict):
    """The losses that make the map true. Rows are faces with their own voice."""
    face, maps, gate, parts, valid = coded
    ticks, half, total = batch.clear.shape[1], cfg.run.pairs, 0.0
    clear, target = batch.clear.to(face), batch.target[batch.own].to(face)
    weight = batch.weight[batch.own].to(face)
    here = slice(0, half * ticks)
    if cfg.loss.truth:
        n = cfg.loss.ablated_faces or half
        few = slice(0, n * ticks)
        given = (model, parts[few], maps[few], gate[few], valid[:n], audio[:n].detach(), clear[:n])
        lie, parts_of["truth"] = (
            truthful.ablated_truth(*given, cfg.loss.ablated) if cfg.loss.ablated else
            truthful.truth_of(*given))
        total = total + cfg.loss.truth * lie
    rows = []  # name of the loss, embedding, which face, how much of the verdict is to be left
    if hidden is not None:
        rows.append(("masked", face[len(batch.lips):], hidden.face, hidden.left.to(face)[:, None]))
    if cfg.loss.enough or cfg.loss.missing:
        kept = rule.above(rule.strength(maps, gate)).detach()
        there = slice(half * ticks, 2 * half * ticks)
        less = truthful.thinned(parts[here], kept[here], ticks)
        none = parts[there] * (1 - kept[there])[:, :, None]
        for name, x, which, left in (("enough", less, torch.arange(half), 1.0),
                                     ("missing", none, torch.arange(half, 2 * half), 0.0)):
            rows.append((name, model.embed(x, valid[which], half, ticks), which, left))
    if not rows:
        return total
    which = torch.cat([r[2] for r in rows])
    z = model.judge(audio[which], torch.cat([r[1] for r in rows]))
    for (name, _, which, left), part in zip(rows, z.split([len(r[1]) for r in rows])):
        parts_of[name] = losses.verdict(part, target[which] * left, weight[which])
        total = total + getattr(cfg.loss, name) * parts_of[name]
    return total


def weigh_others(face_of: torch.Tensor, sound_of: torch.Tensor, weight: float) -> torch.Tensor:
    """`weight` for rows in which another person's voice is heard alone, else 1: [rows]."""
    sound = sound_of % len(SOUNDS)
    other = ((sound < 2) & (sound != face_of % 2)) | (sound == SOUNDS.index("stranger"))
    return torch.where(other, weight, 1.0)


def losses_of(model: Locutor, batch, rng, cfg: config.Config, device,
              truth: bool = True) -> tuple[torch.Tensor, dict]:
    """The sum to descend and its parts, as numbers."""
    rows = other_voice(log_mel(batch.sounds), rng).to(device)
    hidden = None
    if cfg.run.masked and truth:
        hidden = truthful.draw(model, batch, cfg.run.masked, rng, cfg.loss.mass, cfg.loss.slope)
    coded = encode(model, batch, hidden, cfg, device)
    n, clear = len(batch.lips), batch.clear.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=cfg.run.bf16):
        audio = model.audio(rows)
    face, audio = coded[0][:n], audio.float()
    face_of, sound_of = batch.face_of.to(device), batch.sound_of.to(device)
    z = model.judge(audio[sound_of], face[face_of])
    weight = batch.weight.to(device) * weigh_others(face_of, sound_of, cfg.loss.other_weight)[:, None]
    parts_of = {"verdict": losses.verdict(z, batch.target.to(device), weight)}
    own_audio = audio[sound_of[batch.own]]
    within, between = losses.contrast(
        model.head.sync_face(face)[0], model.head.sync_audio(own_audio), clear,
        model.head.temper.exp())
    parts_of["nce"], parts_of["clips"] = within, between
    total = parts_of["verdict"] + cfg.loss.nce * within + cfg.loss.nce_clips * between
    plain = slice(0, n * clear.shape[1])
    total = total + pressures(cfg.loss, coded[2][plain], coded[3][plain], parts_of)
    if truth:
        total = total + truths(model, batch, hidden, coded, own_audio, cfg, parts_of)
    return total, {k: float(v.detach()) for k, v in parts_of.items()}


def start(cfg: config.Config, out: Path, device):
    """Model, average, optimiser and step: fresh, from other weights, or resumed."""
    torch.manual_seed(cfg.run.seed)
    model = Locutor(cfg.model).to(device)
    average = copy.deepcopy(model)
    learned = [p for p in model.parameters() if p.requires_grad]
    decay = [p for p in learned if p.dim() > 1]
    rest = [p for p in learned if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decay, "weight_decay": cfg.run.weight_decay},
         {"params": rest, "weight_decay": 0.0}], lr=cfg.run.rate)
    step, spent, rng = 0, 0.0, np.random.default_rng(cfg.run.seed)
    if (out / "last.pt").is_file():
        saved = torch.load(out / "last.pt", map_location=device, weights_only=False)
        model.load_state_dict(saved["raw"])
        average.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        torch.set_rng_state(saved["torch_rng"].cpu())
        rng.bit_generator.state = saved["rng"]
        step, spent = saved["step"], saved["spent_s"]
    elif cfg.run.init:
        package = cfg.run.init.endswith("weights.pt")
        saved = torch.load(cfg.run.init, map_location=device, weights_only=package)
        state = {**saved["model"]}
        if cfg.model.local and "face.blob" in state:
            state["face.blob"] = places.blobs(cfg.model.map)
        if cfg.model.local and "face.window" not in state:
            state = places.adopt(state, model.state_dict())
        model.load_state_dict(state)
        average.load_state_dict(state)
    return model, average, optimiser, step, spent, rng


@torch.no_grad()
def follow(average: Locutor, model: Locutor, step: int) -> None:
    keep = min(AVERAGE, (1 + step) / (10 + step))
    for a, b in zip(average.state_dict().values(), model.state_dict().values()):
        if a.dtype.is_floating_point:
            a.lerp_(b, 1 - keep)
        else:
            a.copy_(b)


def save(out: Path, cfg, model, average, optimiser, step, spent, rng) -> None:
    torch.save({"config": config.to_dict(cfg), "model": average.state_dict(),
                "raw": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step,
                "spent_s": spent,
                "torch_rng": torch.get_rng_state(), "rng": rng.bit_generator.state}, out / "tmp.pt")
    (out / "tmp.pt").replace(out / "last.pt")


def write_log(out: Path, step: int, minutes: float, values: dict) -> None:
    line = f"{step}\t{minutes:.1f}\t" + "\t".join(f"{k}={v:.4f}" for k, v in values.items())
    print(line, flush=True)
    with open(out / "log.tsv", "a") as f:
        f.write(line + "\n")


def train(cfg: config.Config) -> None:
    if cfg.run.device == "cpu":
        torch.set_num_threads(1)
    device, out = torch.device(cfg.run.device), Path(cfg.run.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config.to_dict(cfg), indent=1))
    model, average, optimiser, step, spent, rng = start(cfg, out, device)
    tracks = Tracks(Path(cfg.run.data), Path(cfg.run.skew) if cfg.run.skew else None)
    sampler = Sampler(tracks, cfg.run.pairs, cfg.run.ticks, False, cfg.loss.shift_ticks_min)
    began, saved_at, mean = time.time() - spent, time.time(), {}
    while step < (cfg.run.stop or cfg.run.steps) and spent < cfg.run.minutes * 60:
        done = done_at(step, spent, cfg.run)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, done, cfg.run)
        model.train()
        total, values = losses_of(model, sampler.draw(rng), rng, cfg, device,
                                   done >= cfg.loss.truth_after)
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), cfg.run.clip)
        if torch.isfinite(total):
            optimiser.step()
        follow(average, model, step)
        step, spent = step + 1, time.time() - began
        for k, v in values.items():
            mean[k] = v if k not in mean else 0.95 * mean[k] + 0.05 * v
        if step % 20 == 0:
            write_log(out, step, spent / 60, {"rate": optimiser.param_groups[0]["lr"], **mean})
        if step % cfg.run.dev_every == 0 or step in (cfg.run.stop, cfg.run.steps):
            write_log(out, step, spent / 60,
                      {f"dev_{k}": v for k, v in heldout.scores(average, tracks).items()})
        if time.time() - saved_at > SAVE_EVERY_S:
            save(out, cfg, model, average, optimiser, step, spent, rng)
            saved_at = time.time()
    save(out, cfg, model, average, optimiser, step, spent, rng)

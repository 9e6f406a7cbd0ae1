"""Trains from random weights; goes on from the last checkpoint of the same folder."""

import dataclasses
import json
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from . import compose, config, contract, losses, material, model, targets


class Batches(torch.utils.data.Dataset):
    """Batch `step` of a run: the same for the same seed, whenever it is asked for."""

    def __init__(self, stuff, scene, seed, steps, start=0):
        self.stuff, self.scene, self.seed, self.steps, self.start = stuff, scene, seed, steps, start

    def __len__(self):
        return self.steps - self.start

    def __getitem__(self, index):
        cv2.setNumThreads(1)
        step, scene = self.start + index, self.scene
        if step >= scene.calm_from:
            scene = dataclasses.replace(scene, camera=scene.calm_camera, least_face_px=scene.calm_least_face_px)
        rng = np.random.default_rng([self.seed, step])
        weights = np.array(scene.shape_weights) / sum(scene.shape_weights)
        width, height, number = scene.shapes[rng.choice(len(weights), p=weights)]
        pictures, wanted = [], []
        for _ in range(number):
            picture, faces = compose.compose(rng, self.stuff, scene, width, height)
            pictures.append(picture)
            wanted.append(targets.targets(faces, width, height))
        return torch.from_numpy(np.stack(pictures)[:, None]), torch.from_numpy(np.stack(wanted))


def rate_at(progress, step, run):
    """Rises over the first steps, then falls along a cosine."""
    return run.rate * min(1.0, (step + 1) / run.warmup) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, progress)))


def average(kept, net, decay):
    """Moves the averaged weights towards those of the network."""
    with torch.no_grad():
        for old, new in zip(kept.state_dict().values(), net.state_dict().values()):
            if old.dtype.is_floating_point:
                old.lerp_(new, 1 - decay)
            else:
                old.copy_(new)


class State:
    """Everything that a checkpoint holds."""

    def __init__(self, c):
        self.config = c
        torch.manual_seed(c.run.seed)
        self.net = model.Faces(c.model).to(memory_format=torch.channels_last)
        if c.run.init:
            self.net.load_state_dict(trained(c.run.init).state_dict())
        self.kept = model.Faces(c.model).requires_grad_(False)
        self.kept.load_state_dict(self.net.state_dict())
        decayed = [p for p in self.net.parameters() if p.ndim > 1]
        plain = [p for p in self.net.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": c.run.weight_decay},
             {"params": plain, "weight_decay": 0.0}], lr=c.run.rate)
        self.step, self.seconds = 0, 0.0
        self.path = Path(c.run.out) / "last.pt"

    def save(self):
        state = {"net": self.net.state_dict(), "kept": self.kept.state_dict(), "step": self.step,
                 "optimiser": self.optimiser.state_dict(), "seconds": self.seconds,
                 "config": config.as_dict(self.config)}
        part = self.path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.path)

    def resume(self):
        if self.path.exists():
            state = torch.load(self.path, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.kept.load_state_dict(state["kept"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds = state["step"], state["seconds"]

    def learn(self, pictures, wanted):
        run = self.config.run
        progress = max(self.step / run.steps, self.seconds / (60 * run.minutes))
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(progress, self.step, run)
        grid = torch.from_numpy(contract.cells(pictures.shape[3], pictures.shape[2]))
        grey = pictures.float().to(memory_format=torch.channels_last)
        total, parts = losses.loss(self.net(grey), wanted, grid, self.config.loss)
        self.optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), run.clip)
        self.optimiser.step()
        self.step += 1
        # Short at first, so that the random start is soon forgotten.
        average(self.kept, self.net, min(run.average, 1 - 1 / (1 + self.step / 4)))
        return parts, progress


def train(c):
    torch.set_num_threads(c.run.threads)
    out = Path(c.run.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config.as_dict(c), indent=1))
    stuff, _ = material.load(c.run.data, c.run.holdout, c.scene.turned)
    state = State(c)
    state.resume()
    batches = Batches(stuff, c.scene, c.run.seed, c.run.steps, state.step)
    loader = torch.utils.data.DataLoader(
        batches, batch_size=None, num_workers=c.run.workers,
        prefetch_factor=8 if c.run.workers else None)
    log = open(out / "log.jsonl", "a")
    sums, count, before = {}, 0, time.monotonic()
    for pictures, wanted in loader:
        parts, progress = state.learn(pictures, wanted)
        state.seconds += time.monotonic() - before
        before = time.monotonic()
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value
        count += 1
        ended = state.step >= c.run.steps or progress >= 1
        if count == 50 or ended:
            row = {"step": state.step, "minutes": round(state.seconds / 60, 2)}
            row |= {name: round(value / count, 4) for name, value in sums.items()}
            print(json.dumps(row), file=log, flush=True)
            sums, count = {}, 0
        if state.step % c.run.save_every == 0 or ended:
            state.save()
        if ended:
            break


def trained(folder):
    """The network of a run, with its averaged weights."""
    state = torch.load(Path(folder) / "last.pt", weights_only=True)
    values = state["config"]["model"]
    net = model.Faces(config.fill(config.Model(), values, "model"))
    net.load_state_dict(state["kept"])
    return net.eval()

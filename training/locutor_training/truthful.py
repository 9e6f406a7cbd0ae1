"""The part of training that makes the evidence map true.

Takes the model and a batch; gives faces whose pictures are partly blurred as the model's own map
says (the verdict is to follow the share of the map that stays sharp), and faces of which only the
channels that the rule keeps are left. The maps are those of the running model as it would show them.
"""

from dataclasses import dataclass

import numpy as np
import torch

from . import losses, masking, rule


@dataclass
class Masked:
    lips: torch.Tensor  # uint8 [m, T+4, 64, 64]
    face: torch.Tensor  # [m] which face of the batch
    left: torch.Tensor  # [m] how much of the verdict should be left, 0..1


@torch.no_grad()
def show(model, lips: torch.Tensor, valid: torch.Tensor, clear: torch.Tensor) -> np.ndarray:
    """The rule's map of each face [m, 8, 8]: mean over the ticks that surely speak."""
    training = model.training
    model.eval()
    _, maps, gate, _ = model.encode_lips(lips, valid)
    model.train(training)
    ticks = clear.shape[1]
    heat = rule.gate_activation(maps.float(), gate.float()).unflatten(0, (-1, ticks))
    weight = torch.where(clear.sum(1, keepdim=True) > 0, clear, torch.ones_like(clear))
    return (heat * weight[..., None, None]).sum(1).numpy()


def draw(model, batch, count: int, rng, power: float, slope: float) -> Masked:
    """`count` faces of the batch, mostly such as speak, a kind of mask by lot for each."""
    speaking = batch.clear.sum(1).numpy()
    odds = speaking + 1.0
    face = rng.choice(len(odds), min(count, len(odds)), replace=False, p=odds / odds.sum())
    which = torch.from_numpy(face)
    heats = show(model, batch.lips[which], batch.valid[which], batch.clear[which])
    lips, left = zip(*(masking.masked(batch.lips[f].numpy(), heat, rng, power, slope)
                       for f, heat in zip(face, heats)))
    return Masked(torch.from_numpy(np.stack(lips)), which, torch.tensor(left).float())


def thinned(parts: torch.Tensor, kept: torch.Tensor, ticks: int) -> torch.Tensor:
    """Parts [n T, C, 16] with only the channels that the rule keeps, and a few more by lot."""
    n = kept.shape[0] // ticks
    few = torch.rand(n, 1, 1) * 0.3 * (torch.rand(n, 1, 1) < 0.5)
    extra = (torch.rand(n, 1, kept.shape[1]) < few).float().expand(-1, ticks, -1).flatten(0, 1)
    return parts * torch.maximum(kept, extra)[:, :, None]


def truth_of(model, parts, maps, gate, valid, audio, clear) -> tuple[torch.Tensor, torch.Tensor]:
    """The truth loss of own-voice windows: gradient x part stands for the ablation effect.

    Differentiated twice: features and head give way as well as the gates, since no gate can
    follow effects whose sign changes from tick to tick.
    """
    n, ticks = clear.shape
    z = model.judge(audio, model.embed(parts, valid, n, ticks))
    grad, = torch.autograd.grad((z * clear).sum(), parts, create_graph=True)
    effect = (grad * parts).sum(-1)
    return losses.truthful(rule.strength(maps, gate), effect, clear.flatten())


def some_channels(strength: torch.Tensor, count: int) -> torch.Tensor:
    """[n, C] -> [n, count]: a quarter of them the strongest, the rest by lot."""
    strong = strength.argsort(1, descending=True)
    few = count // 4
    lots = torch.rand_like(strength[:, few:]).argsort(1)[:, :count - few]
    return torch.cat([strong[:, :few], strong[:, few:].gather(1, lots)], 1)


def root(x: torch.Tensor) -> torch.Tensor:
    """Signed square root: the many small effects count beside the few large ones."""
    return x.sign() * ((x.abs() + 1e-3).sqrt() - 1e-3**0.5)


def ablated_truth(model, parts, maps, gate, valid, audio, clear, count: int):
    """As `truth_of`, with what `truth` measures: some channels are taken out of the whole window."""
    n, ticks = clear.shape
    strength = rule.strength(maps, gate).unflatten(0, (n, ticks))
    which = some_channels(strength.mean(1).detach(), count)
    face = model.embed(parts, valid, n, ticks)
    here = (face.abs().sum(-1) > 0).to(face)[:, None, :, None]
    chosen = parts.unflatten(0, (n, ticks)).gather(
        2, which[:, None, :, None].expand(-1, ticks, -1, parts.shape[-1]))
    shares = torch.einsum("ntkp,nkpd->nktd", chosen, model.face.weights()[which]) * here
    rows = torch.cat([face[:, None], face[:, None] - shares], 1).flatten(0, 1)
    training = model.head.training
    model.head.eval()  # dropout would drown small effects
    z = model.judge(audio.repeat_interleave(count + 1, 0), rows).unflatten(0, (n, count + 1))
    model.head.train(training)
    effect = (z[:, :1] - z[:, 1:]).transpose(1, 2).flatten(0, 1)
    seen = strength.gather(2, which[:, None].expand(-1, ticks, -1)).flatten(0, 1)
    return losses.truthful(root(seen), root(effect), clear.flatten())

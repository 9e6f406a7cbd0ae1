"""Maps to be judged: the program's rules, their controls, and gradient methods.

Takes what the face encoder gave over a window (maps F [T, C, 8, 8], gates [T, C]) and what its
channels are worth (ablation effects); gives maps [T', 8, 8] of the ticks asked for. The gradient
methods are those of the `grad-cam` package, run on the window as a batch of pictures, with the
gated map as target layer; taken before the package stretches each picture to 0..1, since a window
gets one map, and also after (`stretched`), as the package is mostly used.
"""

import numpy as np
import torch
from torch import nn

from . import geometry as g
from . import rule

LOTS = 3  # permutations a window
MOUTH = (56.0, 68.0)  # column and row in the model picture


class Window(nn.Module):
    """Stacked pictures of a window [T, 5, 64, 64] -> logit of each tick [T, 1]."""

    def __init__(self, model, audio: torch.Tensor, valid: torch.Tensor):
        super().__init__()
        self.model, self.audio, self.valid = model, audio, valid
        self.gated = nn.Identity()

    def forward(self, stacked: torch.Tensor) -> torch.Tensor:
        maps, gate = self.model.face.encode(stacked)
        scaled = self.gated((maps * gate[:, :, None, None]))
        parts = self.model.face.parts(scaled, torch.ones_like(gate))
        face = self.model.embed(parts, self.valid, 1, len(self.audio))
        return self.model.judge(self.audio[None], face)[0][:, None]


def gradient_maps(model, stacked, audio, valid, speaks: torch.Tensor) -> dict[str, np.ndarray]:
    """By method the map of each speaking tick."""
    import pytorch_grad_cam as package

    window, out, on = Window(model, audio, valid), {}, speaks.numpy() > 0
    for name in ("GradCAM", "GradCAMPlusPlus", "HiResCAM", "LayerCAM", "EigenCAM"):
        with getattr(package, name)(model=window, target_layers=[window.gated]) as cam:
            asked = [lambda z, k=k: z[0] * k for k in (speaks / speaks.sum()).tolist()]
            big = cam(input_tensor=stacked.requires_grad_(True), targets=asked)
            kept = cam.activations_and_grads
            grads = kept.gradients[0].numpy() if kept.gradients else None
            raw = cam.get_cam_image(stacked, window.gated, asked, kept.activations[0].numpy(),
                                    grads, False)
        out[name] = np.maximum(raw, 0)[on]
        out[f"{name}, stretched"] = big[on]
    return out


def rule_maps(maps, gate, effects) -> dict[str, torch.Tensor]:
    return {"gate-activation": rule.gate_activation(maps, gate), "paper": rule.paper(maps, gate),
            "ablation": rule.ablation(maps, effects),
            "mean of all channels, gated": (maps * gate[:, :, None, None]).mean(1),
            "mean of all channels": maps.mean(1)}


def permuted_maps(maps, gate, effects, seed: int) -> dict[str, list[torch.Tensor]]:
    """The rules over channels drawn by lot, one lot a window: LOTS maps each."""
    out: dict[str, list] = {}
    for lot in range(LOTS):
        order = torch.from_numpy(np.random.default_rng((seed, lot)).permutation(maps.shape[1]))
        for name, heat in (
                ("gate-activation, choice permuted", rule.gate_activation(maps, gate, order)),
                ("gate-activation, gates permuted", rule.gate_activation(maps, gate[:, order])),
                ("paper, gates permuted", rule.paper(maps, gate, order)),
                ("ablation, effects permuted", rule.ablation(maps, effects[:, order]))):
            out.setdefault(name, []).append(heat)
    return out


def mouth_box() -> np.ndarray:
    """The program's: boxes of 8 : 5 about the mouth of a frontal face, on the model picture."""
    at = np.arange(g.MODEL_PX) + 0.5
    apart = np.maximum(np.abs(at - MOUTH[0])[None] / 8.0, np.abs(at - MOUTH[1])[:, None] / 5.0)
    return (1.0 - apart / g.MODEL_PX).astype(np.float32)


def random_blob(seed: int) -> np.ndarray:
    import cv2
    noise = np.random.default_rng(seed).random((g.MODEL_PX, g.MODEL_PX), np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 12.0)

"""The whole model: face encoder, audio encoder, temporal head."""

from pathlib import Path

import torch
from torch import nn

from . import config
from .audio import AudioEncoder
from .face import DELAY_TICKS, FaceEncoder
from .head import Head


class Locutor(nn.Module):
    def __init__(self, cfg: config.Model):
        super().__init__()
        self.cfg = cfg
        self.face = FaceEncoder(cfg)
        self.audio = AudioEncoder(cfg)
        self.head = Head(cfg)

    def encode_lips(self, lips: torch.Tensor, valid: torch.Tensor):
        """Lip pictures [N, T+4, 64, 64], bytes or floats -> embedding [N, T, D], map, gate, parts, for training."""
        n, ticks = lips.shape[0], lips.shape[1] - 2 * DELAY_TICKS
        if lips.dtype == torch.uint8:
            kind = torch.bfloat16 if torch.is_autocast_enabled(lips.device.type) else torch.float32
            stacked = self.face.stack_bytes(lips, valid, kind)
        else:
            stacked = self.face.stack(lips, valid)
        maps, gate = self.face.encode(stacked.flatten(0, 1))
        parts = self.face.parts(maps.float(), gate.float())
        if self.training and self.cfg.channel_dropout:
            keep = torch.rand(n, 1, parts.shape[1], 1, device=parts.device)
            keep = (keep >= self.cfg.channel_dropout).float() / (1 - self.cfg.channel_dropout)
            parts = parts * keep.expand(-1, ticks, -1, -1).flatten(0, 1)
        return self.embed(parts, valid, n, ticks), maps, gate, parts

    def embed(self, parts, valid, n, ticks):
        keep = (valid[:, DELAY_TICKS:DELAY_TICKS + ticks] > 0.5).float()
        return self.face.embed(parts).unflatten(0, (n, ticks)) * keep[:, :, None]

    def judge(self, audio: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
        """Logit [N, T] of a window on its own."""
        return self.head(audio, face, self.head.fresh(audio.shape[0], audio))[0]


def load_run(run: Path) -> tuple[Locutor, dict]:
    """The model of a training run (`last.pt`) or of a package (`weights.pt`), ready to judge."""
    path = run / "last.pt"
    if not path.is_file():
        path = run / "weights.pt"
    saved = torch.load(path, map_location="cpu", weights_only=path.name == "weights.pt")
    model = Locutor(config.from_dict(saved["config"]).model)
    model.load_state_dict(saved["model"])
    return model.eval(), saved

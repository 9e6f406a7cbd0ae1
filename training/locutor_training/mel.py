"""Log-mel rows, number for number those of python_speech_features' `logfbank`.

Takes sound at 16 kHz in int16 scale, gives rows of 40 log energies, 100 a second, 4 a tick:
25 ms rectangular windows, 10 ms step, pre-emphasis 0.97, 512-point FFT, power / 512.
Row r covers samples 160 r .. 160 r + 400, so the last row of a tick reaches 15 ms past it.
Batched in torch, since a training step asks for some fifty sounds at once.
"""

import numpy as np
import torch

from .geometry import MEL_BANDS, ROWS_PER_TICK, SAMPLES_PER_TICK, SOUND_HZ

WINDOW = 400
STEP = 160
FFT = 512
TAIL = WINDOW - STEP  # samples past the last tick that its last row reads
EPS = float(np.finfo(float).eps)


def _filterbank() -> np.ndarray:
    """Triangles of the reference, with its integer bins: [MEL_BANDS, FFT/2+1]."""
    def mel(hz):
        return 2595 * np.log10(1 + hz / 700.0)

    points = np.linspace(mel(0), mel(SOUND_HZ / 2), MEL_BANDS + 2)
    bins = np.floor((FFT + 1) * (700 * (10 ** (points / 2595.0) - 1)) / SOUND_HZ)
    bank = np.zeros([MEL_BANDS, FFT // 2 + 1])
    for j in range(MEL_BANDS):
        for i in range(int(bins[j]), int(bins[j + 1])):
            bank[j, i] = (i - bins[j]) / (bins[j + 1] - bins[j])
        for i in range(int(bins[j + 1]), int(bins[j + 2])):
            bank[j, i] = (bins[j + 2] - i) / (bins[j + 2] - bins[j + 1])
    return bank


_BANK = torch.from_numpy(_filterbank().T.astype(np.float32))


def log_mel(sound: torch.Tensor) -> torch.Tensor:
    """[B, 640 T + TAIL or 640 T] sound (float, int16 scale) -> [B, 4 T, 40] rows."""
    ticks = sound.shape[1] // SAMPLES_PER_TICK
    rows = ticks * ROWS_PER_TICK
    need = (rows - 1) * STEP + WINDOW
    if sound.shape[1] < need:
        sound = torch.nn.functional.pad(sound, (0, need - sound.shape[1]))
    sound = sound[:, :need]
    flat = torch.cat([sound[:, :1], sound[:, 1:] - 0.97 * sound[:, :-1]], 1)
    frames = flat.unfold(1, WINDOW, STEP)
    spec = torch.fft.rfft(frames, n=FFT)
    power = (spec.real**2 + spec.imag**2) / FFT
    return torch.log((power @ _BANK).clamp_min(EPS))


def other_voice(rows: torch.Tensor, rng: np.random.Generator, share: float = 0.7) -> torch.Tensor:
    """Shifts each sound's bands as a longer or shorter vocal tract would, and blanks a few.

    Keeps training from knowing people by their voices; time is untouched.
    """
    n, bands = rows.shape[0], rows.shape[2]
    factor = np.where(rng.random(n) < share, rng.uniform(0.84, 1.19, n), 1.0)
    at = torch.from_numpy(np.clip(np.arange(bands)[None] * factor[:, None], 0, bands - 1)).float()
    low = at.floor().long().clamp_max(bands - 2)
    part = (at - low)[:, None]
    low = low[:, None].expand(-1, rows.shape[1], -1)
    out = rows.gather(2, low) * (1 - part) + rows.gather(2, low + 1) * part
    for i in np.nonzero(rng.random(n) < 0.3)[0]:
        first, width = int(rng.integers(0, bands - 2)), int(rng.integers(1, 7))
        out[i, :, first:first + width] = out[i].mean()
    return out

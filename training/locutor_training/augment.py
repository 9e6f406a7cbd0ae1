"""What cameras and rooms do to pictures and sound, drawn at random.

Takes store pictures or int16-scale sound and a numpy generator; gives lip pictures or sound. The
geometry jitter is one affine map a window plus a slow drift, never independent frames: flicker
would pass for motion. None of it moves the picture against the sound in time; `data` does that on
purpose where a label allows it.
"""

import cv2
import numpy as np
from scipy.fft import next_fast_len
from scipy.signal import oaconvolve

from . import geometry as g

cv2.setNumThreads(1)


def lip_map(scale=1.0, dx=0.0, dy=0.0, angle=0.0, flip=False) -> np.ndarray:
    """Affine map store -> lip picture (2x3), for cv2.warpAffine (pixel centres at integers)."""
    left, top, side = g.lip_in_store()
    cx, cy = left + side / 2 + dx, top + side / 2 + dy
    k = g.LIP_PX / (side * scale)
    c, s = np.cos(angle) * k, np.sin(angle) * k
    m = np.array([[c, s], [-s, c]])
    if flip:
        m[0] = -m[0]
    half = g.LIP_PX / 2
    offset = np.array([half, half]) - m @ np.array([cx, cy])
    # from pixel edges to pixel centres: x_edge = x_centre + .5 on both sides
    offset = offset + m @ np.array([0.5, 0.5]) - 0.5
    return np.hstack([m, offset[:, None]])


def plain_lips(store: np.ndarray) -> np.ndarray:
    """[T, 112, 112] store -> [T, 64, 64] lip pictures, no jitter."""
    m = lip_map()
    return np.stack([cv2.warpAffine(f, m, (g.LIP_PX, g.LIP_PX), flags=cv2.INTER_LINEAR,
                                    borderMode=cv2.BORDER_REPLICATE) for f in store])


def model_pictures(store: np.ndarray) -> np.ndarray:
    """[T, 112, 112] store -> [T, 112, 112] model pictures, as the program cuts them."""
    first, side = (int(v) for v in g.MODEL_IN_TRACK)
    left, top = first - g.STORE_LEFT, first - g.STORE_TOP
    return np.stack([cv2.resize(f[top:top + side, left:left + side], (g.MODEL_PX, g.MODEL_PX))
                     for f in store])


def _light(rng) -> np.ndarray:
    """A look-up table: gamma, contrast, brightness."""
    x = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.25))
    x = (x - 0.5) * np.exp(rng.normal(0, 0.2)) + 0.5 + rng.normal(0, 0.06)
    if rng.random() < 0.12:
        x = x * rng.uniform(0.15, 0.5)  # low light
    return np.clip(x * 255, 0, 255).astype(np.uint8)


def lips(store: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[T, 112, 112] -> [T, 64, 64] lip pictures as another camera might have shown them."""
    n = len(store)
    scale, angle = np.exp(rng.normal(0, 0.09)), rng.normal(0, 0.05)
    dx, dy, flip = rng.normal(0, 2.5), rng.normal(0, 2.5), rng.random() < 0.5
    phase, drift = rng.uniform(0, 6.28, 3), rng.exponential(0.5, 3)
    rate = rng.uniform(0.02, 0.25, 3)
    table = _light(rng)
    small = int(rng.integers(10, 40)) if rng.random() < 0.35 else 0
    blur = rng.uniform(0.4, 1.4) if rng.random() < 0.15 else 0.0
    quality = int(rng.integers(12, 60)) if rng.random() < 0.2 else 0
    noise = rng.uniform(1, 10) if rng.random() < 0.3 else 0.0
    stutter = rng.uniform(0.05, 0.3) if rng.random() < 0.1 else 0.0
    out = np.empty((n, g.LIP_PX, g.LIP_PX), np.uint8)
    for t in range(n):
        if stutter and t and rng.random() < stutter:
            out[t] = out[t - 1]
            continue
        sway = drift * np.sin(phase + rate * t)
        m = lip_map(scale * (1 + 0.01 * sway[2]), dx + sway[0], dy + sway[1], angle, flip)
        f = cv2.warpAffine(store[t], m, (g.LIP_PX, g.LIP_PX), flags=cv2.INTER_LINEAR,
                           borderMode=cv2.BORDER_REPLICATE)
        f = cv2.LUT(f, table)
        if small:
            f = cv2.resize(f, (small, small), interpolation=cv2.INTER_AREA)
        if quality:
            f = cv2.imdecode(cv2.imencode(".jpg", f, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)
        if small:
            f = cv2.resize(f, (g.LIP_PX, g.LIP_PX), interpolation=cv2.INTER_LINEAR)
        if blur:
            f = cv2.GaussianBlur(f, (0, 0), blur)
        out[t] = f
    if noise:
        grain = rng.normal(0, noise, (16, g.LIP_PX, g.LIP_PX)).astype(np.int16)
        which = rng.integers(0, 16, n)
        out = np.clip(out.astype(np.int16) + grain[which], 0, 255).astype(np.uint8)
    return out


def level(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2) + 1e-2))


def noise(n: int, rng) -> np.ndarray:
    """Unit noise with a random slope of its spectrum."""
    fast = next_fast_len(n, real=True)
    spec = np.fft.rfft(rng.standard_normal(fast, np.float32))
    f = np.maximum(np.fft.rfftfreq(fast, 1 / g.SOUND_HZ), 40.0)
    x = np.fft.irfft(spec * f ** -rng.uniform(0, 1.2), fast)[:n]
    return x / level(x)


def room(x: np.ndarray, rng) -> np.ndarray:
    """A decaying tail of noise after the direct sound."""
    length = int(rng.uniform(0.05, 0.35) * g.SOUND_HZ)
    t = np.arange(length) / length
    tail = rng.normal(size=length) * np.exp(-6.9 * t)
    tail *= rng.uniform(0.2, 0.8) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    return oaconvolve(x, tail)[:len(x)]


def sound(x: np.ndarray, rng, mild: bool = False) -> np.ndarray:
    """Room, noise, gain; `mild` keeps the sound clear, for the contrastive pairs."""
    x = x.astype(np.float32)
    if rng.random() < (0.15 if mild else 0.3):
        x = room(x, rng)
    if rng.random() < (0.25 if mild else 0.45):
        snr = rng.uniform(12, 30) if mild else rng.uniform(3, 28)
        x = x + noise(len(x), rng) * level(x) * 10 ** (-snr / 20)
    if rng.random() < 0.2:  # a duller or thinner microphone
        a = rng.uniform(-0.6, 0.6)
        x = np.concatenate([x[:1], x[1:] - a * x[:-1]])
    x = x * 10 ** (rng.uniform(-12, 7) / 20)
    return np.clip(np.round(x), -32768, 32767).astype(np.float32)

"""Pieces that are easy to get wrong and quiet when they are."""

import numpy as np
import pytest
import torch

from locutor_training import augment, config
from locutor_training import geometry as g
from locutor_training.face import DELAY_TICKS
from locutor_training.mel import log_mel
from locutor_training.metrics import average_precision, spearman
from locutor_training.model import Locutor


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Locutor(config.Model()).eval()


def test_log_mel_equals_the_reference():
    reference = pytest.importorskip("python_speech_features")
    x = np.random.default_rng(0).normal(0, 1000, 640 * 20).astype(np.float32)
    want = reference.logfbank(x, 16000, winlen=0.025, winstep=0.01, nfilt=40, nfft=512)
    got = log_mel(torch.from_numpy(x)[None])[0].numpy()
    assert np.abs(got[:78] - want[:78]).max() < 1e-3


def test_the_band_is_the_diagonal(model):
    ticks, k = 7, model.cfg.offsets
    full = torch.arange(ticks * (ticks + 2 * k)).float().reshape(1, ticks, -1)
    band = model.head.band(full)[0]
    for t in range(ticks):
        assert torch.equal(band[t], full[0, t, t:t + 2 * k + 1])


def test_streamed_one_tick_at_a_time_gives_the_whole(model):
    frames, valid = torch.rand(1, 12, 112, 112) * 255, torch.ones(1, 12)
    valid[0, 5] = 0
    state = (torch.zeros(1, 4, g.LIP_PX, g.LIP_PX), torch.zeros(1, 4))
    with torch.no_grad():
        whole, _, _, *end, shares = model.face(frames, valid, *state)
        parts = []
        for t in range(12):
            e, _, _, *state, _ = model.face(frames[:, t:t + 1], valid[:, t:t + 1], *state)
            parts.append(e)
    assert (torch.cat(parts, 1) - whole).abs().max() < 1e-4
    assert torch.equal(end[0], state[0])
    assert whole[0, 5 + DELAY_TICKS].abs().max() == 0  # the missing picture has no embedding
    assert shares[0, 5 + DELAY_TICKS].abs().max() == 0
    told = (shares.sum(2) + model.face.bias)[0, 8]
    assert (told - whole[0, 8]).abs().max() < 1e-5


def test_bytes_and_floats_encode_alike(model):
    lips = torch.randint(0, 256, (1, 12, g.LIP_PX, g.LIP_PX), dtype=torch.uint8)
    valid = torch.ones(1, 12)
    valid[0, :2] = 0
    with torch.no_grad():
        a, b = model.encode_lips(lips, valid)[0], model.encode_lips(lips.float(), valid)[0]
    assert (a - b).abs().max() < 1e-3


def test_a_channels_share_is_what_leaves_with_it(model):
    lips, valid = torch.rand(1, 8, g.LIP_PX, g.LIP_PX) * 255, torch.ones(1, 8)
    with torch.no_grad():
        face, _, _, parts = model.encode_lips(lips, valid)
        share = model.face.shares(parts)[:, 3]
        gone = parts.clone()
        gone[:, 3] = 0
        assert (face[0] - share - model.face.embed(gone)).abs().max() < 1e-4


def test_lip_map_matches_slicing_the_model_picture():
    """A smooth track picture: cut by the training map, and by the program's way (resize, slice)."""
    import cv2
    y, x = np.mgrid[:g.TRACK_PX, :g.TRACK_PX]
    track = (127 + 60 * np.sin(x / 9) + 50 * np.cos(y / 7)).astype(np.uint8)
    store = track[g.STORE_TOP:g.STORE_TOP + g.STORE_PX, g.STORE_LEFT:g.STORE_LEFT + g.STORE_PX]
    mine = augment.plain_lips(store[None])[0].astype(int)
    picture = cv2.resize(track[40:120, 40:120], (112, 112))
    cut = torch.from_numpy(picture[None, None, 16:112, 8:104]).float()
    theirs = torch.nn.functional.interpolate(cut, size=(64, 64), mode="bilinear")[0, 0].numpy()
    assert np.abs(mine - theirs)[:-2, :].max() <= 4


def test_average_precision_of_known_rankings():
    assert average_precision(np.array([3, 2, 1.0]), np.array([1, 0, 1])) == pytest.approx(
        0.5 + 0.5 * 2 / 3)
    assert average_precision(np.zeros(4), np.array([1, 0, 0, 0])) == pytest.approx(0.25)


def test_spearman_of_reversed_is_minus_one():
    assert spearman(np.arange(5.0), -np.arange(5.0)) == pytest.approx(-1.0)


def test_unknown_key_is_refused():
    with pytest.raises(ValueError, match="run.nonsense"):
        config.from_dict({"run": {"nonsense": 1}})

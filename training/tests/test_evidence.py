"""The evidence map: where channels see, which are kept, and what is blurred in training."""

import numpy as np
import pytest
import torch

from locutor_training import config, losses, masking, places, rule, truth
from locutor_training import geometry as g
from locutor_training.cross_face import PAST_TICKS, CrossFace
from locutor_training.model import Locutor


@pytest.fixture(scope="module")
def local():
    torch.manual_seed(0)
    return Locutor(config.Model(local=True)).eval()


def test_every_cell_is_some_channels_place():
    blob = places.blobs(64)
    assert blob.amax(0).min() > 0.5
    assert (blob > 0.05).float().mean() < 0.5  # and no channel sees everything
    assert torch.equal(blob.amax((1, 2)), torch.ones(64))


def test_a_channel_is_dark_outside_its_window(local):
    maps, gate = local.face.encode(torch.randn(3, 5, g.LIP_PX, g.LIP_PX))
    far = places.blobs(64) < 0.01
    assert maps[:, far].abs().max() < 0.05 * maps.max()
    assert (maps >= 0).all() and gate.shape == (3, 64)


def test_each_channels_projection_has_one_size(local):
    norm = local.face.weights().flatten(1).norm(dim=1)
    assert (norm - local.face.scale).abs().max() < 1e-5
    assert not local.face.scale.requires_grad


def test_old_weights_are_carried_over():
    torch.manual_seed(1)
    old, new = Locutor(config.Model()).eval(), Locutor(config.Model(local=True)).eval()
    with torch.no_grad():
        old.face.trunk[-1][1].weight.copy_(torch.linspace(-1, 2, 64))
    state = places.adopt(old.state_dict(), new.state_dict())
    new.load_state_dict(state)
    assert torch.equal(new.head.score.weight, old.head.score.weight)
    order = torch.from_numpy(places.assign(old.face.project.detach(), new.face.blob))
    assert sorted(order.tolist()) == list(range(64))
    x = torch.randn(2, 5, g.LIP_PX, g.LIP_PX)
    with torch.no_grad():
        gamma = old.face.trunk[-1][1].weight[order].abs().clamp_min(1e-3)
        want = old.face.trunk(x)[:, order] / gamma[:, None, None]
        got = new.face.trunk(x)
    sure = gamma > 0.1
    assert (want - got)[:, sure].abs().max() < 1e-3


def test_the_rule_keeps_what_stands_out():
    gate = torch.full((1, 10), 0.4)
    maps = torch.full((1, 10, 1, 1), 0.5)
    gate[0, 3], maps[0, 3] = 0.9, 0.01
    gate[0, 7], maps[0, 7] = 0.5, 8.0
    assert rule.paper(maps, gate)[0, 0, 0] == pytest.approx(0.9 * 0.01)
    assert rule.gate_activation(maps, gate)[0, 0, 0] == pytest.approx(4.0)
    order = torch.arange(9, -1, -1)
    assert rule.paper(maps, gate, order)[0, 0, 0] == pytest.approx(0.9 * 0.5)
    assert rule.gate_activation(maps, gate, order)[0, 0, 0] == pytest.approx(0.4 * 0.5)


def test_equal_weights_keep_no_channel():
    assert rule.above(torch.full((2, 64), 0.3)).sum() == 0


def test_ablation_counts_logits():
    maps = torch.tensor([4.0, 2.0, 10.0, 0.0, 1.0, 1.0]).reshape(1, 3, 1, 2)
    effects = torch.tensor([[0.5, 2.0, -3.0]])
    assert rule.ablation(maps, effects).flatten().tolist() == [2.5, 0.25]


def test_masks_have_the_asked_area():
    heat = np.zeros((8, 8), np.float32)
    heat[3:5, 2:6] = 1
    for area in (0.12, 0.4):
        assert masking.best(heat, area).mean() == pytest.approx(area, abs=0.02)
    masks = truth.masks_of(truth.enlarged(heat))
    assert [m.mean() for m in masks] == pytest.approx(truth.AREAS, abs=0.01)


def test_a_masked_face_is_believed_by_what_is_left_of_the_map():
    rng = np.random.default_rng(0)
    lips = rng.integers(0, 256, (6, g.LIP_PX, g.LIP_PX), dtype=np.uint8)
    y, x = np.mgrid[:8, :8]
    heat = np.exp(-((y - 5.5) ** 2 + (x - 3.5) ** 2) / 8).astype(np.float32)
    keep = masking.best(heat, 0.3)
    base = masking.substrate(lips, False)
    assert base.std() < 0.3 * lips.std()
    still = masking.substrate(lips, True)
    assert np.array_equal(still[0], still[5])
    mixed, left = masking.masked(lips, heat, rng)
    assert mixed.dtype == np.uint8 and mixed.shape == lips.shape and 0 <= left <= 1
    whole = np.ones_like(keep)
    assert masking.believed(heat, whole, 2, 8) > 0.95 > masking.believed(heat, keep, 1, 8) > 0.5
    assert masking.believed(heat, 1 - keep, 1, 8) < 0.5
    assert masking.believed(heat, keep, 2, 8) > masking.believed(heat, keep, 1, 8)
    assert masking.believed(heat, 0 * whole, 1, 8) < 0.05


def test_competition_sees_the_past_only_and_leaves_the_lonely_alone():
    torch.manual_seed(0)
    net, z, rival = CrossFace().eval(), torch.randn(1, 120), torch.randn(1, 120)
    here = torch.ones(1, 120)
    with torch.no_grad():
        whole = net(z, rival, here)
        early = net(z[:, :70], rival[:, :70], here[:, :70])
        tail = net(z[:, 70 - PAST_TICKS:71], rival[:, 70 - PAST_TICKS:71], here[:, :PAST_TICKS + 1])
        alone = net(z, rival, torch.zeros(1, 120))
    assert (whole[:, :70] - early).abs().max() < 1e-5
    assert (whole[:, 70] - tail[:, -1]).abs().max() < 1e-5
    assert torch.equal(alone, z)


def test_a_gate_that_says_what_counts_is_truthful():
    x = torch.rand(4, 16)
    loss, r = losses.truthful(x, 3 * x + 1, torch.ones(4))
    assert float(loss) == pytest.approx(0, abs=1e-4) and float(r) == pytest.approx(1, abs=1e-4)

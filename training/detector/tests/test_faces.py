"""What must hold whatever the weights: the contract, the geometry of composed faces, the targets."""

import hashlib
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from locutor_faces import (compose, config, contract, evaluate, export, losses, material, model, paste,
                           prepare, targets, train)

PACKAGE = Path(__file__).parents[3] / "models" / "locutor-faces"


def small():
    return model.Faces(config.Model(stem=4, low=4, mid=8, deep=8, neck=8, blocks=(1, 1, 1, 1))).eval()


def face(x1, y1, x2, y2):
    w, h = x2 - x1, y2 - y1
    at = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
    return np.array([x1, y1, x2, y2, *(v for x, y in at for v in (x1 + x * w, y1 + y * h))], np.float32)


def stuff(seed=0):
    rng = np.random.default_rng(seed)
    crops = rng.integers(0, 256, (3, 160, 160)).astype(np.uint8)
    one = face(35, 2, 125, 114)
    faces = np.stack([np.concatenate([one[:4], [0.9], one[4:]])] * 3).astype(np.float32)
    return material.Material(crops, faces, [rng.integers(0, 256, (300, 400)).astype(np.uint8)])


@pytest.mark.parametrize("box", [(40, 30, 60, 55), (100, 60, 160, 130), (20, 10, 150, 180), (3, 3, 12, 13)])
def test_targets_decode_to_the_face_they_were_made_of(box):
    given = face(*box)
    table = targets.targets(given[None], 320, 192)
    grid = contract.cells(320, 192)
    core = table[:, 0] == 1
    assert core.any() and (table[core, 1] == 1).all()
    col, row, stride = grid
    middle = np.stack([(given[0] + given[2]) / 2 / stride - col, (given[1] + given[3]) / 2 / stride - row], 1)
    size = np.log(np.stack([(given[2] - given[0]) / stride, (given[3] - given[1]) / stride], 1))
    points = given[4:].reshape(5, 2)[None] / stride[:, None, None] - np.stack([col, row], 1)[:, None]
    faces = contract.decode(core.astype(float), np.ones(len(core)), np.concatenate([middle, size], 1),
                            points.reshape(-1, 10), grid, 0.5, 0.3)
    assert len(faces) == 1
    np.testing.assert_allclose(np.delete(faces[0], 4), given, atol=1e-2)


def test_a_small_face_before_a_large_one_keeps_its_cells():
    large, little = face(0, 0, 80, 80), face(34, 34, 46, 46)
    for pair in ([large, little], [little, large]):
        table = targets.targets(np.stack(pair), 96, 96)
        assert (table[table[:, 0] == 1][:, 4] == 46).any()


def test_a_perfect_answer_costs_least():
    given, grid = face(40, 30, 70, 66), contract.cells(128, 96)
    table = torch.from_numpy(targets.targets(given[None], 128, 96))[None]
    col, row, stride = grid
    raw = np.zeros((1, len(col), 16), np.float32)
    raw[..., :2] = -9
    raw[0, table[0, :, 0] == 1, :1] = 9
    raw[0, table[0, :, 1] == 1, 1] = 9
    raw[0, :, 2:6] = np.stack([55 / stride - col, 48 / stride - row, np.log(30 / stride), np.log(36 / stride)], 1)
    raw[0, :, 6:] = (given[4:].reshape(1, 5, 2) / stride[:, None, None] - np.stack([col, row], 1)[:, None]).reshape(-1, 10)
    c = config.Loss()
    best, parts = losses.loss(torch.from_numpy(raw), table, torch.from_numpy(grid), c)
    assert best < 0.01 and parts["iou"] > 0.999
    for column in (0, 1, 2, 3, 4, 5, 6, 15):
        worse = raw.copy()
        worse[..., column] += 0.5 if column > 1 else 10
        assert losses.loss(torch.from_numpy(worse), table, torch.from_numpy(grid), c)[0] > best + 0.01


@pytest.mark.parametrize("mirror", [False, True])
def test_a_moved_face_lies_where_its_pixels_lie(mirror):
    piece = np.zeros((230, 160), np.float32)
    box = np.array([35.0, 72.0, 125.0, 184.0])
    crop_face = np.concatenate([box, [0.9], face(*box)[4:]]).astype(np.float32)
    eye = crop_face[5:7]
    piece[int(eye[1]) - 2 : int(eye[1]) + 3, int(eye[0]) - 2 : int(eye[0]) + 3] = 255
    canvas, keep = np.zeros((200, 300), np.float32), np.ones((200, 300), np.float32)
    matrix = paste.affine(box, (120, 90), 100, 0.3, 1.05, mirror)
    paste.lay(canvas, piece, np.ones_like(piece), matrix, keep)
    moved = compose.move(crop_face, matrix, 0.3, mirror)
    y, x = np.mgrid[:200, :300]
    seen = np.array([(x * canvas).sum(), (y * canvas).sum()]) / canvas.sum()
    # The first landmark is the eye at the left of the picture before and after mirroring.
    np.testing.assert_allclose(moved[4 + 2 * mirror :][:2], seen, atol=1.0)
    assert abs((moved[0] + moved[2]) / 2 - 120) < 1e-3


@pytest.mark.parametrize("push", [(0.5, -0.3), (-0.6, 0.6), (0.0, 0.4)])
def test_landmarks_go_with_a_turned_head(push):
    piece = np.zeros((230, 160), np.float32)
    box = (35.0, 72.0, 125.0, 184.0)
    given = np.concatenate([box, [0.9], face(*box)[4:]]).astype(np.float32)
    cv2.circle(piece, (int(given[9]), int(given[10])), 3, 255, -1)
    turned, moved = compose.turn_head(piece, given, push)
    y, x = np.mgrid[:230, :160]
    seen = np.array([(x * turned).sum(), (y * turned).sum()]) / turned.sum()
    np.testing.assert_allclose(moved[9:11], seen, atol=1.0)
    assert (moved[:5] == given[:5]).all() and not np.allclose(moved[9:11], given[9:11])


def test_shrinking_moves_nothing():
    piece = np.zeros((160, 160), np.float32)
    piece[60:100, 40:80] = 255
    box = np.array([40.0, 60.0, 80.0, 100.0])
    canvas = np.zeros((64, 64), np.float32)
    paste.lay(canvas, piece, np.ones_like(piece), paste.affine(box, (30, 20), 10, 0.0, 1.0, False), np.ones_like(canvas))
    y, x = np.mgrid[:64, :64] + 0.5
    assert abs((x * canvas).sum() / canvas.sum() - 30) < 0.6
    assert abs((y * canvas).sum() / canvas.sum() - 20) < 0.6


def test_what_is_laid_later_spares_what_is_kept():
    canvas, keep = np.zeros((40, 40), np.float32), np.ones((40, 40), np.float32)
    keep[:20] = 0
    paste.lay(canvas, np.full((50, 50), 255.0, np.float32), np.ones((50, 50), np.float32),
              np.float32([[1, 0, 0], [0, 1, 0]]), keep)
    assert (canvas[:20] == 0).all() and (canvas[20:] == 255).all()


def test_batches_are_the_same_each_time_and_differ_by_step():
    scene = config.Scene(shapes=((64, 96, 2),), shape_weights=(1.0,))
    first, again = (train.Batches(stuff(), scene, 5, 9) for _ in range(2))
    later = train.Batches(stuff(), scene, 5, 9, start=3)
    for a, b in zip(first[4], again[4]):
        assert torch.equal(a, b)
    assert torch.equal(first[4][0], later[1][0])
    assert not torch.equal(first[4][0], first[5][0])


def test_sources_are_split_whole_and_alike_in_every_run():
    sources = np.repeat(np.arange(1000, dtype=np.uint32) * 7919, 3)
    kept = material.held_out(sources, 0.1)
    assert (kept.reshape(-1, 3).all(1) | ~kept.reshape(-1, 3).any(1)).all()
    assert 0.05 < kept.mean() < 0.15
    assert (kept == material.held_out(sources, 0.1)).all()


def test_forbidden_licences_are_left_out():
    assert not prepare.usable({"licence": "CC-BY-NC-SA"})
    assert not prepare.usable({"licence": "custom:some agreement"})
    assert prepare.usable({"licence": "MIT"}) and prepare.usable({"licence": "none"})


def test_upper_edges_have_the_mean_that_the_crops_geometry_tells():
    faces = np.tile(np.arange(15, dtype=np.float32), (4, 1))
    faces[:, 1] = [2, 4, 6, 8]
    out = prepare.level_tops(faces)
    assert out[:, 1].tolist() == [-3, -1, 1, 3]
    assert (np.delete(out, 1, 1) == np.delete(faces, 1, 1)).all()


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="no such setting"):
        config.load(None, ["run.setps=3"])
    assert config.load(None, ["run.steps=3"]).run.steps == 3


def test_the_graph_says_what_the_network_says_at_any_shape(tmp_path):
    net = small()
    assert export.difference(export.write_graph(net, tmp_path / "g.onnx"), tmp_path / "g.onnx") < 1e-4
    outputs = contract.Detector(tmp_path / "g.onnx").session.get_outputs()
    assert [o.shape[2] for o in outputs] == [1, 1, 4, 10] * 3


def test_only_brightness_counts(tmp_path):
    wrapped = model.Export(small()).eval()
    grey = torch.rand(1, 1, 64, 64) * 255
    coloured = torch.cat([grey + 58.7, grey - 11.4, grey], 1)  # luma weights: .114 and .587 cancel
    with torch.no_grad():
        for a, b in zip(wrapped(grey.expand(-1, 3, -1, -1)), wrapped(coloured)):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(material, "load", lambda *_: (stuff(), stuff(1)))
    changes = ["run.steps=4", f"run.out={tmp_path}", "run.workers=0", "run.save_every=2", "model.mid=8", "model.deep=8"]
    c = config.load(None, changes)
    c.scene.shapes, c.scene.shape_weights = ((64, 64, 2),), (1.0,)
    train.train(c)
    before = train.State(c)
    before.resume()
    assert before.step == 4
    c.run.steps = 6
    train.train(c)
    before.resume()
    assert before.step == 6
    assert sum(p.numel() for p in train.trained(tmp_path).parameters()) > 0


def test_reduced_pictures_have_sides_of_32_and_zeros_at_the_end():
    values, scale = contract.reduce(np.full((360, 640, 3), 200, np.uint8), 320)
    assert values.shape == (1, 3, 192, 320) and scale == 0.5
    assert (values[0, :, 180:] == 0).all() and (values[0, :, :180] == 200).all()


def test_a_constant_scale_and_offset_of_another_program_is_found():
    truth = np.array([[10, 10, 50, 60], [100, 20, 130, 60]], np.float32)
    wrong = np.concatenate([evaluate.corrected(truth, np.array([0.1, -0.05, 1.2, 0.9])), np.ones((2, 1))], 1)
    fit = evaluate.fit_boxes([(wrong, truth)])
    assert contract.iou(evaluate.corrected(wrong, fit)[:, :4], truth).diagonal().min() > 0.99


def test_each_detection_finds_one_face():
    tally = evaluate.Tally()
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10]], np.float32)
    tally.add(boxes[:1], boxes)
    tally.add(boxes, boxes[:1])
    figures = tally.summary()
    assert figures["recall"] == round(2 / 3, 4) and figures["precision"] == round(2 / 3, 4)


@pytest.mark.skipif(not PACKAGE.exists(), reason="no package yet")
def test_the_shipped_package_keeps_the_contract():
    manifest = tomllib.loads((PACKAGE / "model.toml").read_text())
    for name, wanted in manifest["files"].items():
        assert hashlib.sha256((PACKAGE / name).read_bytes()).hexdigest() == wanted
    detector = contract.Detector(PACKAGE / manifest["detector"]["file"])
    noise = np.random.default_rng(0).integers(0, 256, (180, 320, 3)).astype(np.uint8)
    assert len(detector(noise, 320)) == 0
    assert len(detector(np.full((180, 320, 3), 128, np.uint8), 320)) == 0

"""What the network is taught: is this a face, how good is my box, where are box and landmarks."""

import torch
from torch.nn import functional


def boxes(raw, grid):
    """Middle and size in pixels, [..., 4], of raw outputs [..., 4]."""
    col, row, stride = grid
    cx, cy = (raw[..., 0] + col) * stride, (raw[..., 1] + row) * stride
    size = torch.exp(raw[..., 2:4].clamp(-3, 5)) * stride[:, None]
    return torch.stack([cx, cy, size[..., 0], size[..., 1]], -1)


def overlap(a, b):
    """IoU and EIoU-like distance of boxes given by middle and size."""
    low = torch.maximum(a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2)
    high = torch.minimum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2)
    inner = (high - low).clamp(min=0).prod(-1)
    iou = inner / (a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - inner + 1e-6)
    # Offsets and ratios by the true size: no bias of either sign is cheaper.
    offset = ((a[..., :2] - b[..., :2]) / b[..., 2:]).square().sum(-1)
    ratio = torch.log(a[..., 2:] / b[..., 2:]).abs().sum(-1)
    return iou, offset, ratio


def loss(raw, target, grid, c):
    """Sum and its parts. raw [B, N, 16], target [B, N, 16], grid [3, N]."""
    cls, near = target[..., 0], target[..., 1] > 0
    count = near.sum().clamp(min=1)
    faces = (cls == 1).sum().clamp(min=1)
    p = raw[..., 0].sigmoid()
    wanted = (cls == 1).float()
    each = functional.binary_cross_entropy_with_logits(raw[..., 0], wanted, reduction="none")
    each = each * (p - wanted).abs() ** c.gamma * (cls >= 0)
    parts = {"cls": each.sum() / faces}
    found = boxes(raw[..., 2:6], grid)[near]
    true = target[..., 2:6][near]
    true = torch.cat([(true[:, :2] + true[:, 2:]) / 2, true[:, 2:] - true[:, :2]], 1)
    iou, offset, ratio = overlap(found, true)
    parts["box"] = (1 - iou + offset.clamp(max=4) + 0.3 * ratio).sum() / count
    quality = torch.zeros_like(cls)
    quality[near] = iou.detach()
    q = raw[..., 1].sigmoid()
    each = functional.binary_cross_entropy_with_logits(raw[..., 1], quality, reduction="none")
    each = each * (q - quality).abs() ** c.gamma * ((cls >= 0) | near)
    parts["obj"] = 2 * each.sum() / count
    col, row, stride = grid
    points = raw[..., 6:].unflatten(-1, (5, 2)) + torch.stack([col, row], -1)[None, :, None]
    points = (points * stride[None, :, None, None])[near]
    off = (points - target[..., 6:].unflatten(-1, (5, 2))[near]) / true[:, None, 2:]
    parts["kps"] = functional.smooth_l1_loss(off * 10, torch.zeros_like(off), reduction="sum") / (10 * count)
    total = sum(getattr(c, name) * value for name, value in parts.items())
    shown = {name: float(value.detach()) for name, value in parts.items()}
    shown["iou"] = float(iou.detach().sum() / count)
    return total, shown

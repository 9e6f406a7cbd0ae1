"""Writes a model package: the graph, its manifest, and proof that the graph says what PyTorch says."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch

from . import contract, model

MANIFEST = '''kind = "face-detector"

[package]
name = "{name}"
licence = "MIT OR Apache-2.0"
origin = "trained by this project from random weights; training/detector tells how"
notes = "{notes}"

[files]
"{file}" = "{sum}"

[detector]
family = "yunet"
file = "{file}"
input = "input"
strides = [8, 16, 32]
score_threshold = {threshold}
nms_iou = {overlap}
'''
NOTES = ("Finds frontal and near-frontal faces from some 20 pixels on; looks at brightness only. "
         "Takes pictures whose sides are multiples of 32.")
FILE = "faces.onnx"
WIDTHS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}  # numbers a cell


def write_graph(net, path):
    """The network as ONNX, batch normalisation folded in, free in batch, height and width."""
    wrapped = model.Export(net).eval()
    example = torch.rand(2, 3, 96, 128) * 255
    axes = {"input": {0: "B", 2: "H", 3: "W"}} | {n: {0: "B", 1: "cells"} for n in contract.OUTPUTS}
    torch.onnx.export(wrapped, (example,), str(path), input_names=["input"], dynamo=False,
                      output_names=contract.OUTPUTS, dynamic_axes=axes, opset_version=17)
    graph = onnx.load(str(path))
    for output in graph.graph.output:  # the exporter leaves the widths open; the program asks for them
        output.type.tensor_type.shape.dim[2].dim_value = WIDTHS[output.name.split("_")[0]]
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, str(path))
    return wrapped


def difference(wrapped, path):
    """Largest difference of any output between the graph and PyTorch, over several shapes."""
    detector = contract.Detector(path)
    rng, worst = np.random.default_rng(0), 0.0
    for batch, height, width in ((1, 192, 320), (3, 64, 32), (2, 320, 192), (1, 640, 640)):
        values = rng.uniform(0, 255, (batch, 3, height, width)).astype(np.float32)
        with torch.no_grad():
            wanted = wrapped(torch.from_numpy(values))
        given = detector.session.run(contract.OUTPUTS, {"input": values})
        worst = max(worst, *(float(np.abs(w.numpy() - g).max()) for w, g in zip(wanted, given)))
    return worst


def export(net, folder, name="locutor-faces", threshold=0.6, overlap=0.3):
    """Writes the package into `folder`; gives the difference between graph and PyTorch."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    worst = difference(write_graph(net, folder / FILE), folder / FILE)
    if worst > 1e-3:
        raise RuntimeError(f"the graph differs from PyTorch by {worst:.2g}")
    digest = hashlib.sha256((folder / FILE).read_bytes()).hexdigest()
    text = MANIFEST.format(name=name, notes=NOTES, file=FILE, sum=digest, threshold=threshold, overlap=overlap)
    (folder / "model.toml").write_text(text)
    return worst

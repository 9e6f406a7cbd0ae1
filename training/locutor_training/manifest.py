"""Writes `model.toml`: what the program must know to run the package.

Takes the model and the facts that were measured on it (`facts.json` of the run: decision and
explain tables, written by the `facts` command); promises the program's manifest format with the
sha256 of every graph.
"""

import hashlib
import json
from pathlib import Path

from . import geometry as g
from .audio import REACH_TICKS
from .cross_face import PAST_TICKS as CROSS_FACE_PAST
from .face import CELLS, DELAY_TICKS
from .model import Locutor

PAST_TICKS = 75
LIVE_AHEAD, FILE_AHEAD = 9, 50
LICENCE = "MIT OR Apache-2.0"
ORIGIN = "trained by this project from random weights; training/ tells how"
NOTES = "See README.md for data, figures and limits."


def table(name: str, values: dict) -> list[str]:
    """A TOML table; strings, numbers, lists and inline tables only."""
    return ["", f"[{name}]", *(f"{_key(k)} = {_value(v)}" for k, v in values.items())]


def _key(k: str) -> str:
    return k if k.replace("_", "").replace("-", "").isalnum() else json.dumps(k)


def _value(v) -> str:
    if isinstance(v, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(x)}" for k, x in v.items()) + " }"
    return json.dumps(v, ensure_ascii=False)


def _face(model: Locutor) -> list[str]:
    c, past = model.cfg, 2 * DELAY_TICKS
    area = {"left": g.LIP_LEFT, "top": g.LIP_TOP, "width": g.LIP_SIDE, "height": g.LIP_SIDE}
    lines = table("face", {
        "file": "face.onnx", "frames": "frames", "valid": "valid", "delay_ticks": DELAY_TICKS,
        "gate": "gate", "contributions": "shares",
        "embedding": {"name": "embedding", "width": c.embedding},
        "map": {"name": "map", "channels": c.map, "height": CELLS, "width": CELLS, "area_px": area}})
    for name, shape in (("frames", [past, g.LIP_PX, g.LIP_PX]), ("valid", [past])):
        state = {"input": f"state_{name}", "output": f"next_state_{name}", "shape": shape}
        lines += ["", "[[face.states]]", *table("", state)[2:]]
    return lines


def write(model: Locutor, has_cross_face: bool, facts: dict, out: Path) -> None:
    c = model.cfg
    files = ["face.onnx", "audio.onnx", "head.onnx"] + ["cross_face.onnx"] * has_cross_face
    sums = {f: hashlib.sha256((out / f).read_bytes()).hexdigest() for f in files}
    lines = ['kind = "speaker-streaming"']
    lines += table("package", {"name": facts["name"], "licence": LICENCE, "origin": ORIGIN,
                               "notes": facts.get("notes", NOTES)})
    lines += table("files", sums)
    lines += table("features", {
        "crop": "light-asd-112-grey", "crop_size_px": g.MODEL_PX,
        "ticks_per_second": g.PICTURE_HZ, "audio": f"log-mel-{g.MEL_BANDS}"})
    lines += _face(model)
    lines += table("audio", {"file": "audio.onnx", "rows": "rows", "reach_ticks": REACH_TICKS,
                             "embedding": {"name": "embedding", "width": c.embedding}})
    plain = c.embedding - c.sync
    lines += table("head", {
        "file": "head.onnx", "audio": "audio", "face": "face", "past_ticks": PAST_TICKS,
        "forward_state": {"name": "forward_state", "width": c.gru},
        "forward_states": "forward_states", "score": "score",
        "gate": {"name": "gate", "channels": 2 * plain, "layout": "audio-face"}})
    if has_cross_face:
        lines += table("cross_face", {
            "file": "cross_face.onnx", "score": "score", "rival": "rival", "present": "present",
            "out": "score_out", "past_ticks": CROSS_FACE_PAST})
    lines += table("decision", facts["decision"])
    explain = facts["explain"]
    lines += table("explain", {"default_mode": "gate-activation", "why": explain["why"]})
    lines += table("explain.typical", explain["typical"])
    lines += table("lookahead_ticks", {"file": FILE_AHEAD, "live": LIVE_AHEAD})
    (out / "model.toml").write_text("\n".join(lines) + "\n")

"""Settings of a run: a TOML file over these defaults. An unknown key is an error."""

import dataclasses
import tomllib
from pathlib import Path


@dataclasses.dataclass
class Model:
    stem: int = 16  # channels at 1/2
    low: int = 32  # at 1/4
    mid: int = 48  # at 1/8
    deep: int = 80  # at 1/16 and 1/32
    neck: int = 48  # of all three levels after the top-down path
    blocks: tuple = (1, 2, 3, 3)  # residual blocks at 1/4, 1/8, 1/16, 1/32


@dataclasses.dataclass
class Scene:
    """How pictures are composed; see compose.py."""

    shapes: tuple = ((256, 256, 16), (320, 192, 16), (192, 320, 16), (512, 448, 5), (640, 576, 3))
    shape_weights: tuple = (0.42, 0.28, 0.1, 0.1, 0.1)  # (width, height, pictures a batch)
    least_face_px: float = 9.0  # longer side
    most_face: float = 0.8  # of the canvas's shorter side
    empty: float = 0.12  # share of pictures without a face
    filling: float = 0.2  # share of pictures that one crop fills
    panels: float = 0.15  # share of pictures made of two panels
    decoys: float = 1.5  # mean number of pasted things that are no face
    turned: float = 3.0  # heads turned aside are drawn up to so many times more often
    turned_whole: float = 0.0  # share of them that keep what the track shows around them
    camera: float = 1.0  # how often blur, noise, dim light and compression spoil a picture
    calm_from: int = 1_000_000_000  # from this step on the two that follow hold instead
    calm_camera: float = 0.6
    calm_least_face_px: float = 11.0


@dataclasses.dataclass
class Loss:
    cls: float = 1.0
    obj: float = 1.0
    box: float = 2.0
    kps: float = 0.5
    gamma: float = 2.0


@dataclasses.dataclass
class Run:
    seed: int = 0
    data: str = "data"
    out: str = "runs/base"
    init: str = ""  # run whose averaged weights to start from; empty: random weights
    steps: int = 3000
    minutes: float = 60.0  # where they pass first, the rate falls to nothing by then
    rate: float = 4e-3
    weight_decay: float = 1e-2
    clip: float = 5.0
    warmup: int = 60
    average: float = 0.998  # decay of the averaged weights
    workers: int = 1
    threads: int = 1
    save_every: int = 200
    holdout: float = 0.1  # share of sources kept for validation


@dataclasses.dataclass
class Config:
    model: Model = dataclasses.field(default_factory=Model)
    scene: Scene = dataclasses.field(default_factory=Scene)
    loss: Loss = dataclasses.field(default_factory=Loss)
    run: Run = dataclasses.field(default_factory=Run)


def fill(section, values, where):
    """Puts `values` into the dataclass `section`; refuses names that it does not have."""
    known = {field.name for field in dataclasses.fields(section)}
    for key, value in values.items():
        if key not in known:
            raise ValueError(f"{where}.{key}: there is no such setting; known: {sorted(known)}")
        old = getattr(section, key)
        if isinstance(old, tuple):
            value = tuple(tuple(v) if isinstance(v, list) else v for v in value)
        setattr(section, key, type(old)(value))
    return section


def load(path=None, changes=()):
    """The settings of the file at `path`, then `changes` such as "run.steps=10"."""
    config = Config()
    values = tomllib.loads(Path(path).read_text()) if path else {}
    for change in changes:
        name, _, text = change.partition("=")
        section, _, key = name.partition(".")
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text
        values.setdefault(section, {})[key] = value
    for section, entries in values.items():
        if not hasattr(config, section):
            raise ValueError(f"[{section}]: there is no such section")
        fill(getattr(config, section), entries, section)
    return config


def as_dict(config):
    return dataclasses.asdict(config)

"""Settings of a run: a TOML file over these defaults. An unknown key is an error."""

import dataclasses
import tomllib
from pathlib import Path


@dataclasses.dataclass
class Model:
    stem: int = 16
    mid: int = 32
    map: int = 64
    reduction: int = 4  # of the SE blocks
    se: bool = True
    embedding: int = 128
    sync: int = 64  # first part of the embedding: compared with the sound; the rest goes plain
    offsets: int = 10  # ticks each way at which lips and sound are compared
    spans: tuple = (1, 5, 13, 25, 51)  # ticks over which agreement is averaged
    hidden: int = 96
    gru: int = 64
    dropout: float = 0.2
    channel_dropout: float = 0.0  # of face channels, for a whole window
    local: bool = False  # each channel of the face's map sees one place only


@dataclasses.dataclass
class Loss:
    nce: float = 1.0
    nce_clips: float = 0.5
    sparsity: float = 0.0
    truth: float = 0.0
    ablated: int = 0  # channels a face that the truth loss takes out; 0: by gradients instead
    ablated_faces: int = 0  # faces a step that it looks at; 0: half of them
    spread: float = 0.0  # pressure towards few cells and channels
    truth_after: float = 0.4  # share of the run before truth and spread set in
    dark: float = 0.0  # pressure on every cell of the gated map: only what pays is lit
    masked: float = 0.0  # partly blurred faces: judged by how much of the map stays sharp
    mass: float = 1.0  # the map counts to this power then,
    slope: float = 8.0  # and the verdict turns this sharply at half of its mass
    enough: float = 0.0  # the channels that the rule keeps, alone: judged as before
    missing: float = 0.0  # all but the channels that the rule keeps: not speaking
    shift_ticks_min: int = 5
    other_weight: float = 1.0  # of rows that hear another person alone


@dataclasses.dataclass
class Run:
    seed: int = 0
    data: str = ""
    out: str = ""
    init: str = ""  # weights to start from (fine-tuning); empty: random start
    skew: str = ""  # table of the `skew` command
    minutes: float = 40.0
    steps: int = 1400  # the cosine's length
    stop: int = 0  # stop at this step, short of the cosine's end
    pairs: int = 8  # pairs of faces a step
    masked: int = 0  # faces a step that are encoded once more, partly blurred
    ticks: int = 80
    rate: float = 2e-3
    weight_decay: float = 1e-2
    clip: float = 2.0
    warmup: int = 40
    bf16: bool = False
    device: str = "cpu"
    dev_every: int = 200


@dataclasses.dataclass
class Config:
    model: Model = dataclasses.field(default_factory=Model)
    loss: Loss = dataclasses.field(default_factory=Loss)
    run: Run = dataclasses.field(default_factory=Run)


def from_dict(tree: dict) -> Config:
    cfg = Config()
    for section, values in tree.items():
        target = getattr(cfg, section, None)
        if target is None:
            raise ValueError(f"unknown section [{section}]")
        for key, value in values.items():
            if not hasattr(target, key):
                raise ValueError(f"unknown key {section}.{key}")
            setattr(target, key, tuple(value) if isinstance(value, list) else value)
    return cfg


def load(path: str | Path, overrides: list[str] = ()) -> Config:
    """The file at `path`, then `section.key=value` overrides (TOML values)."""
    tree = tomllib.loads(Path(path).read_text())
    for item in overrides:
        name, _, value = item.partition("=")
        section, _, key = name.partition(".")
        try:
            parsed = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            parsed = value
        tree.setdefault(section, {})[key] = parsed
    return from_dict(tree)


def to_dict(cfg: Config) -> dict:
    return dataclasses.asdict(cfg)

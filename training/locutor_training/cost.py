"""Times packages of the program's format beside each other: ms a face and tick, one thread.

Takes package folders; each graph of each is called in turn, round after round, so that whatever
else the machine does meets all of them alike; the best of the rounds counts (and the median is
shown). Live: five new pictures a call, the head over its past, five ticks and its lookahead; file:
twenty-five. The sound is one stream's, so it is told apart.
"""

import time
import tomllib
from pathlib import Path

import numpy as np

from .export import session

HOPS = {"live": 5, "file": 25}


def face_call(package: Path, made: dict, hop: int):
    run, face = session(package / made["face"]["file"]), made["face"]
    rng = np.random.default_rng(0)
    feed = {face["frames"]: rng.random((1, hop, 112, 112), np.float32) * 255,
            face["valid"]: np.ones((1, hop), np.float32)}
    feed |= {s["input"]: np.zeros((1, *s["shape"]), np.float32) for s in face["states"]}
    names = [face["embedding"]["name"], face["map"]["name"], face["gate"],
             *(s["output"] for s in face["states"])]
    return lambda: run.run(names, feed)


def audio_call(package: Path, made: dict, hop: int):
    run, audio = session(package / made["audio"]["file"]), made["audio"]
    bands = int(made["features"]["audio"].rsplit("-", 1)[1])
    ticks = hop + 2 * audio["reach_ticks"]
    rows = np.random.default_rng(0).random((1, 4 * ticks, bands), np.float32)
    return lambda: run.run([audio["embedding"]["name"]], {audio["rows"]: rows})


def head_call(package: Path, made: dict, hop: int, ahead: int):
    run, head = session(package / made["head"]["file"]), made["head"]
    ticks, width = head.get("past_ticks", 0) + hop + ahead, made["face"]["embedding"]["width"]
    x = np.random.default_rng(0).standard_normal((1, ticks, width)).astype(np.float32)
    state = np.zeros((1, head["forward_state"]["width"]), np.float32)
    feed = {head["audio"]: x, head["face"]: x, "forward_state": state}
    return lambda: run.run([head["score"]], feed)


def compare(packages: list[Path], rounds: int = 40) -> None:
    calls = {}
    for package in packages:
        made = tomllib.loads((package / "model.toml").read_text())
        for setting, hop in HOPS.items():
            ahead = made["lookahead_ticks"][setting]
            for part, call in (("face", face_call(package, made, hop)),
                               ("audio", audio_call(package, made, hop)),
                               ("head", head_call(package, made, hop, ahead))):
                calls[package, setting, part] = call, hop
    spent: dict = {k: [] for k in calls}
    for _ in range(rounds):
        for k, (call, hop) in calls.items():
            began = time.process_time()
            call()
            spent[k].append((time.process_time() - began) * 1e3 / hop)
    totals = {}
    for k, v in spent.items():
        package, setting, part = k
        print(f"{package.name} {setting} {part}: {min(v):.3f} ms (median {np.median(v):.3f})")
        totals.setdefault((package, setting), []).append(np.array([min(v), np.median(v)]))
    for (package, setting), parts in totals.items():
        whole = sum(parts)
        base = sum(totals[packages[0], setting])
        print(f"{package.name} {setting}: {whole[0]:.3f} ms (median {whole[1]:.3f}), "
              f"1/{base[0] / whole[0]:.1f} (1/{base[1] / whole[1]:.1f}) of {packages[0].name}")

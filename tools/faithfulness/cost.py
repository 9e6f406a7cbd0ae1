"""Times what an explain mode costs: the face encoder, the head, and the head once a channel.

One CPU thread; windows as the program runs them on a file (hop 25, lookahead 50) and live (hop 5,
lookahead 12 by default). Best and median of repeats, in ms a face and picture.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from package import HOP, LOOKAHEAD, Package


def times(run, repeats: int, ticks: int) -> str:
    """Best and median ms a tick of `run`, which covers `ticks`."""
    run()
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        found.append((time.perf_counter() - began) * 1e3 / ticks)
    return f"{min(found):.3f} (median {np.median(found):.3f})"


def window(package: Package, hop: int, ahead: int, repeats: int) -> str:
    """The head as every mode runs it (whole, deaf, blind), and what ablation adds."""
    draw = np.random.default_rng(0)
    shape = (hop + ahead, package.width)
    audio, face = (draw.random(shape, np.float32) for _ in range(2))
    fresh = np.zeros((3, package.state_width), np.float32)
    three = [np.repeat(x[None], 3, 0) for x in (audio, face)]
    z = package.judge(*three, fresh)[0][0]
    plain = times(lambda: package.judge(*three, fresh), repeats, hop)
    every = times(lambda: package.effects(audio, face, fresh[0], z), repeats, hop)
    return f"hop {hop}, lookahead {ahead}: head {plain}, ablation {every}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, required=True, help="a speaker package's folder")
    parser.add_argument("--live", type=int, nargs=2, default=(5, 12), metavar=("HOP", "AHEAD"))
    parser.add_argument("--repeats", type=int, default=20)
    given = parser.parse_args()
    package = Package(given.package)
    frames = np.random.default_rng(0).random((50, 112, 112), np.float32) * 255
    spent = len(frames) + package.face["delay_ticks"]
    encoded = times(lambda: package.encode(frames, maps=True), given.repeats, spent)
    print(f"{package.name}: face encoder {encoded} ms a face and picture")
    print("  file,", window(package, HOP, LOOKAHEAD, given.repeats))
    print("  live,", window(package, *given.live, given.repeats))


if __name__ == "__main__":
    main()

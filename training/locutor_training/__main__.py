"""The command line: one command for each step of the way from tracks to a package."""

import argparse
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="locutor_training", description=__doc__)
    sub = top.add_subparsers(dest="command", required=True)
    p = sub.add_parser("prepare", help="decode tracks into flat files")
    p.add_argument("--tracks", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--held-share", type=float, default=0.1)
    p = sub.add_parser("train", help="train; run again with the same --out to resume")
    p.add_argument("--config", type=Path, required=True)
    p.add_argument("--set", action="append", default=[], metavar="section.key=value")
    on_run = {}
    for name, text in (("skew", "estimate the A/V offset of every track"),
                       ("calibrate", "move the logits so that p is calibrated on held-out tracks"),
                       ("cross_face", "train the competition between faces, base frozen"),
                       ("evaluate", "average precision on held-out tracks or on labelled videos"),
                       ("truth", "does the SE vector say what moved the decision"),
                       ("facts", "choose threshold and smoothing, note the maps' strength"),
                       ("export", "write a model package")):
        p = on_run[name] = sub.add_parser(name, help=text)
        p.add_argument("--run", type=Path, required=True, help="folder of a training run")
        p.add_argument("--data", type=Path)
        p.add_argument("--out", type=Path)
    on_run["cross_face"].add_argument("--minutes", type=float, default=4.0)
    p = on_run["truth"]
    p.add_argument("--limit", type=int, default=0, help="tracks at most")
    p.add_argument("--still", action="store_true", help="remove movement, not detail alone")
    p.add_argument("--brief", action="store_true", help="no gradient methods")
    on_run["facts"].add_argument("--truth", type=Path, help="what `truth --out` wrote")
    p = on_run["evaluate"]
    p.add_argument("--videos", type=Path, help="folder with labels.csv and <video_id>.mp4")
    p.add_argument("--crops", type=Path, help="where to keep the cropped faces")
    p.add_argument("--ahead", type=int, nargs="*", default=[50])
    p = sub.add_parser("cost", help="time packages beside the first of them")
    p.add_argument("packages", type=Path, nargs="+")
    return top


def main() -> None:
    a = parser().parse_args()
    from . import (cross_face, config, cost, evaluate, export, facts, prepare, skew, train,
                   truth)
    {"prepare": lambda: prepare.prepare(a.tracks, a.out, a.held_share),
     "train": lambda: train.train(config.load(a.config, a.set)),
     "skew": lambda: skew.estimate(a.run, a.data, a.out),
     "calibrate": lambda: facts.calibrate(a.run, a.data),
     "cross_face": lambda: cross_face.train_cross_face(a.run, a.data, a.minutes),
     "evaluate": lambda: evaluate.command(a.run, a.data, a.videos, a.ahead, a.out, a.crops),
     "truth": lambda: truth.report(a.run, a.data, a.out, a.limit, a.still, a.brief),
     "facts": lambda: facts.write(a.run, a.data, a.truth),
     "export": lambda: export.export(a.run, a.out),
     "cost": lambda: cost.compare(a.packages)}[a.command]()


if __name__ == "__main__":
    main()

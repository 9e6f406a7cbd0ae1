"""The command line: one command for each step of the way from tracks to a package."""

import argparse
from pathlib import Path


def main() -> None:
    top = argparse.ArgumentParser(prog="locutor_training", description=__doc__)
    sub = top.add_subparsers(dest="command", required=True)
    p = sub.add_parser("prepare", help="decode tracks into flat files")
    p.add_argument("--tracks", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--held-share", type=float, default=0.1)
    p = sub.add_parser("train", help="train; run again with the same --out to resume")
    p.add_argument("--config", type=Path, required=True)
    p.add_argument("--set", action="append", default=[], metavar="section.key=value")
    for name, text in (("skew", "estimate the A/V offset of every track"),
                       ("compete", "train the competition between faces, base frozen"),
                       ("evaluate", "average precision on held-out tracks or on labelled videos"),
                       ("truth", "does the SE vector say what moved the decision"),
                       ("facts", "choose threshold and smoothing, note the maps' strength"),
                       ("export", "write a model package")):
        p = sub.add_parser(name, help=text)
        p.add_argument("--run", type=Path, required=True, help="folder of a training run")
        p.add_argument("--data", type=Path)
        p.add_argument("--out", type=Path)
        p.add_argument("--minutes", type=float, default=5.0)
        p.add_argument("--limit", type=int, default=0)
        if name == "truth":
            p.add_argument("--still", action="store_true", help="remove movement, not detail alone")
            p.add_argument("--brief", action="store_true", help="no gradient methods")
        if name == "facts":
            p.add_argument("--truth", type=Path, help="what `truth --out` wrote")
        if name == "evaluate":
            p.add_argument("--videos", type=Path, help="folder with labels.csv and <video_id>.mp4")
            p.add_argument("--crops", type=Path, help="where to keep the cropped faces")
            p.add_argument("--ahead", type=int, nargs="*", default=[50])
    p = sub.add_parser("cost", help="time packages beside the first of them")
    p.add_argument("packages", type=Path, nargs="+")
    a = top.parse_args()
    if a.command == "prepare":
        from .prepare import prepare
        prepare(a.tracks, a.out, a.held_share)
    elif a.command == "train":
        from . import config, train
        train.train(config.load(a.config, a.set))
    elif a.command == "skew":
        from .skew import estimate
        estimate(a.run, a.data, a.out)
    elif a.command == "compete":
        from .compete import train_compete
        train_compete(a.run, a.data, a.minutes)
    elif a.command == "evaluate":
        from . import evaluate
        evaluate.command(a.run, a.data, a.videos, a.ahead, a.out, a.crops)
    elif a.command == "truth":
        from .truth import report
        report(a.run, a.data, a.out, a.limit, a.still, a.brief)
    elif a.command == "facts":
        from .facts import write
        write(a.run, a.data, a.truth)
    elif a.command == "cost":
        from .cost import compare
        compare(a.packages)
    elif a.command == "export":
        from .export import export
        export(a.run, a.out)


if __name__ == "__main__":
    main()

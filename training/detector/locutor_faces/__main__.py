"""python -m locutor_faces COMMAND: prepare, train, evaluate, frames, export."""

import argparse
import json
from pathlib import Path

import cv2


def parser():
    top = argparse.ArgumentParser(prog="locutor_faces", description="Train, judge and export the face detector.")
    commands = top.add_subparsers(dest="command", required=True)
    p = commands.add_parser("prepare", help="make the training material")
    p.add_argument("--tracks", required=True, help="folder of face tracks: manifest.tsv, video/")
    p.add_argument("--teacher", required=True, help="a YuNet file (free picture size)")
    p.add_argument("--photos", nargs="+", default=[], help="folders of photographs; those with faces are left out")
    p.add_argument("--out", default="data")
    p.add_argument("--per-track", type=int, default=10)
    p = commands.add_parser("train", help="train from random weights, or go on")
    p.add_argument("--config", default="configs/base.toml")
    p.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", dest="changes")
    for name in ("evaluate", "frames"):
        p = commands.add_parser(name)
        p.add_argument("--composites", help="folder of labels.csv and its videos")
        p.add_argument("--clips", nargs="*", default=[], help="videos that the teacher labels")
        p.add_argument("--every-labelled", type=int, default=10, help="frames from one picture to the next")
        p.add_argument("--every", type=int, default=5)
        p.add_argument("--data", help="what prepare wrote: judge composed pictures of held-out sources too")
        p.add_argument("--long-side", type=int, default=320)
        p.add_argument("--out")
        if name == "evaluate":
            p.add_argument("--teacher", required=True)
            p.add_argument("--model", nargs="+", required=True, metavar="NAME=FILE[@THRESHOLD]")
            p.add_argument("--boxes", nargs="*", default=[], metavar="NAME=FILE.csv", help="another program's boxes")
    p = commands.add_parser("export", help="write the model package")
    p.add_argument("--run", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--threshold", type=float, default=0.6)
    return top


def named(text):
    name, _, rest = text.partition("=")
    file, _, threshold = rest.partition("@")
    return name, (file, float(threshold)) if threshold else (file,)


def judge(a):
    from . import evaluate

    given = evaluate.pictures(a.composites, a.clips, a.every_labelled, a.every, a.data)
    if a.command == "frames":
        return evaluate.write_frames(given, a.out, a.long_side)
    others = [text.split("=", 1) for text in a.boxes]
    figures = evaluate.evaluate(dict(map(named, a.model)), a.teacher, given, a.long_side, others)
    print(evaluate.table(figures))
    if a.out:
        Path(a.out).write_text(json.dumps(figures, indent=1))


def main():
    a = parser().parse_args()
    cv2.setNumThreads(1)
    if a.command == "prepare":
        from .prepare import prepare

        prepare(a.tracks, a.teacher, a.photos, a.out, a.per_track)
    elif a.command == "train":
        from . import config, train

        train.train(config.load(a.config, a.changes))
    elif a.command == "export":
        from . import export, train

        worst = export.export(train.trained(a.run), a.out, threshold=a.threshold)
        print(f"{a.out}: the graph differs from PyTorch by {worst:.1e} at most")
    else:
        judge(a)


if __name__ == "__main__":
    main()

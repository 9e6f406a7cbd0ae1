"""The clips that curves are measured on, made with ffmpeg from one that is given.

A clip that is there already is taken as it is: delete the folder to make all anew.
"""

import subprocess
from pathlib import Path

TILE = (320, 180)
GRID = 4
WALL = (TILE[0] * GRID, TILE[1] * GRID)

_PICTURES = "-c:v libx264 -preset veryfast -crf 20 -g 50 -pix_fmt yuv420p".split()
_SOUND = "-c:a aac -b:a 96k -ar 48000".split()


def _ffmpeg(output: Path, *arguments: str) -> Path:
    if not output.exists():
        half_made = output.with_suffix(".part.mp4")
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, str(half_made)]
        subprocess.run(command, check=True)
        half_made.rename(output)
    return output


def faces(clip: Path, folder: Path, count: int, face: str, seconds: int) -> Path:
    """A wall of 16 tiles, `count` of them with a face; the others are the same tile with its blocks
    dealt out anew: about as much to decode and encode, and nobody in it."""
    tiles = GRID * GRID
    names = [f"t{i}" for i in range(tiles)]
    tile = f"[0:v]fps=25,crop={face},scale={TILE[0]}:{TILE[1]}"
    chains = [f"{tile},split={tiles}" + "".join(f"[s{i}]" for i in range(tiles))]
    for i, name in enumerate(names):
        nobody = "shufflepixels=mode=block:width=64:height=60:seed=7"
        chains.append(f"[s{i}]{'null' if i < count else nobody}[{name}]")
    places = [f"{i % GRID * TILE[0]}_{i // GRID * TILE[1]}" for i in range(tiles)]
    inputs = "".join(f"[{name}]" for name in names)
    chains.append(f"{inputs}xstack=inputs={tiles}:layout={'|'.join(places)}[v]")
    return _ffmpeg(
        folder / f"faces-{count}.mp4",
        *("-stream_loop", "-1", "-i", str(clip), "-t", str(seconds)),
        *("-filter_complex", ";".join(chains), "-map", "[v]", "-map", "0:a:0"),
        *_PICTURES,
        *_SOUND,
    )


def size(clip: Path, folder: Path, height: int, seconds: int) -> Path:
    """The clip at a height of so many pixels, 16:9."""
    width = height * 16 // 9 // 2 * 2
    return _ffmpeg(
        folder / f"size-{height}.mp4",
        *("-stream_loop", "-1", "-i", str(clip), "-t", str(seconds)),
        *(
            "-vf",
            f"scale={width}:{height}:flags=bicubic,setsar=1",
            "-map",
            "0:v:0",
            "-map",
            "0:a:0",
        ),
        *_PICTURES,
        *_SOUND,
    )


def length(clip: Path, folder: Path, seconds: int) -> Path:
    """The clip over and over, nothing encoded anew."""
    return _ffmpeg(
        folder / f"length-{clip.stem}-{seconds}.mp4",
        *("-stream_loop", "-1", "-i", str(clip), "-t", str(seconds)),
        *("-map", "0:v:0", "-map", "0:a:0", "-c", "copy"),
    )

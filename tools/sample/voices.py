"""Speech for the sample: what is said when, the audio of it, and the lips that go with it.

Takes a seed and a length in seconds; gives turns, the mixed audio and, for any
instant, the mouth shape of every person. Speech comes from espeak-ng through its C
library, because only that tells when each phoneme begins: lips that are driven by
phonemes close on p, b and m and round on oo, which loudness alone cannot know.
Loudness only scales how far the jaw goes down.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

#: Sample rate of the mixed audio, Hz.
RATE = 44100

_SENTENCES = (
    "Good morning! Shall we open the moon base meeting?",
    "Yes, my people have been building a model of the dome.",
    "Wonderful. How many more months do we need?",
    "Maybe five, if nobody borrows our big blue pump.",
    "Fair enough. But we pay for every pound we move.",
    "Then my team had better pack all the bags at home.",
    "Above all we want our budget to work by May.",
    "People always want a good map of the moon.",
)
_NARRATION = "Please remember, this meeting is being recorded."

#: Voices by person: espeak-ng voice, words per minute, pitch (0..99), left-right place.
_VOICES = (
    ("en-us+f2", 176, 58, -0.35),
    ("en-gb-x-rp+m3", 172, 38, 0.35),
    ("en-us+m1", 165, 45, -0.2),
    ("en-gb-scotland+f4", 160, 62, 0.2),
)
_NARRATOR = ("en-us+m7", 176, 30, 0.0)

#: Mouth shapes by phoneme letter: jaw 0..1, width -1..1.
_VOWELS = {
    "a": (0.95, 0.25), "A": (1.0, -0.1), "V": (0.82, 0.1), "0": (0.85, -0.4), "O": (0.80, -0.6),
    "o": (0.62, -0.85), "U": (0.40, -0.85), "u": (0.32, -1.0), "3": (0.52, -0.35), "@": (0.50, 0.0),
    "E": (0.66, 0.55), "e": (0.62, 0.6), "I": (0.42, 0.75), "i": (0.36, 1.0),
}  # fmt: skip
_CONSONANTS = {
    "w": (0.14, -1.0), "r": (0.20, -0.5), "S": (0.18, -0.6), "Z": (0.18, -0.6), "j": (0.20, 0.6),
    "k": (0.28, 0.0), "g": (0.28, 0.0), "N": (0.26, 0.0), "h": (0.38, 0.0), "l": (0.26, 0.2),
    "f": (0.05, 0.1), "v": (0.05, 0.1), "p": (0.0, 0.0), "b": (0.0, 0.0), "m": (0.0, 0.0),
}  # fmt: skip
_OTHER_CONSONANT = (0.16, 0.3)
_LIPS_SHUT = frozenset("pbm")
_STEP_S = 0.005


@dataclass(frozen=True, eq=False)
class Turn:
    """One utterance in place: ``person`` is -1 for the voice of nobody in the frame."""

    person: int
    start_s: float
    audio: np.ndarray  # float32, RATE, mono
    shape: np.ndarray  # [time, 3] jaw, width, press every 5 ms from start_s
    pan: float

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.audio) / RATE

    def cut(self, end_s: float) -> Turn:
        """The same turn, broken off at ``end_s``."""
        kept = max(end_s - self.start_s, 0.05)
        audio, shape = self.audio[: int(kept * RATE)], self.shape[: int(kept / _STEP_S)]
        return replace(self, audio=audio, shape=shape)


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int), ("unique", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_ms", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Id),
    ]  # fmt: skip


class Synthesiser:
    """espeak-ng by its C library, synchronous, with phoneme events."""

    _PHONEME_EVENT, _SYNCHRONOUS, _UTF8, _RATE_PARAMETER, _PITCH_PARAMETER = 7, 2, 1, 1, 3

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libespeak-ng.so.1")
        except OSError as error:
            raise SystemExit(f"espeak-ng is missing: apt install espeak-ng ({error})") from error
        self.rate = self._library.espeak_Initialize(self._SYNCHRONOUS, 0, None, 1)
        if self.rate <= 0:
            raise SystemExit("espeak-ng cannot start: apt install espeak-ng-data")
        self._blocks: list[np.ndarray] = []
        self._phonemes: list[tuple[float, str]] = []
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self._callback = kind(self._take)  # kept: C holds only a pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples, count: int, events) -> int:  # noqa: ANN001 (ctypes pointers)
        if samples and count > 0:
            self._blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type:
            if events[index].type == self._PHONEME_EVENT:
                name = events[index].id.string.decode("ascii", "replace")
                self._phonemes.append((events[index].audio_ms / 1000, name))
            index += 1
        return 0

    def say(
        self, text: str, voice: str, words_per_minute: int, pitch: int
    ) -> tuple[np.ndarray, list[tuple[float, str]]]:
        """Audio (float32, own rate, -1..1) and (start in seconds, phoneme) pairs."""
        self._blocks, self._phonemes = [], []
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SystemExit(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(self._RATE_PARAMETER, words_per_minute, 0)
        self._library.espeak_SetParameter(self._PITCH_PARAMETER, pitch, 0)
        blob = text.encode()
        self._library.espeak_Synth(blob, len(blob) + 1, 0, 1, 0, self._UTF8, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(self._blocks).astype(np.float32) / 32768, self._phonemes


def _resample(audio: np.ndarray, rate: int) -> np.ndarray:
    """Band-limited resampling to RATE of a short audio, through its spectrum."""
    count = round(len(audio) * RATE / rate)
    padded = np.concatenate([audio, np.zeros(rate // 10, np.float32)])
    long = round(len(padded) * RATE / rate)
    spectrum = np.fft.rfft(padded)
    wide = np.zeros(long // 2 + 1, complex)
    keep = min(len(spectrum), len(wide))
    wide[:keep] = spectrum[:keep]
    return (np.fft.irfft(wide, long)[:count] * (long / len(padded))).astype(np.float32)


def loudness(audio: np.ndarray, window_s: float = 0.03) -> np.ndarray:
    """Short-time RMS every 5 ms."""
    hop, half = int(RATE * _STEP_S), int(RATE * window_s / 2)
    total = np.concatenate([[0.0], np.cumsum(audio.astype(np.float64) ** 2)])
    centre = np.arange(0, len(audio), hop)
    low, high = np.clip(centre - half, 0, len(audio)), np.clip(centre + half, 0, len(audio))
    return np.sqrt((total[high] - total[low]) / np.maximum(high - low, 1))


def _smooth(track: np.ndarray, sigma_s: float) -> np.ndarray:
    """Gaussian smoothing along time of a track sampled every 5 ms."""
    radius = int(4 * sigma_s / _STEP_S)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) * _STEP_S / sigma_s) ** 2)
    padded = np.pad(track, (radius, radius), mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def _mouth_shape(phonemes: list[tuple[float, str]], audio: np.ndarray) -> np.ndarray:
    """[time, 3] jaw, width, press every 5 ms, with co-articulation and the lips' lead."""
    level = loudness(audio)
    jaw, width, press = (np.zeros(len(level)) for _ in range(3))
    ends = [start for start, _ in phonemes[1:]] + [len(audio) / RATE]
    for (start, name), end in zip(phonemes, ends):
        first, last = int(start / _STEP_S), int(end / _STEP_S)
        vowels = [letter for letter in name if letter in _VOWELS]
        if name.startswith("_") or not name:
            shapes = [(0.0, 0.0)]
        elif vowels:
            shapes = [_VOWELS[letter] for letter in vowels]
        else:
            shapes = [_CONSONANTS.get(name[0], _OTHER_CONSONANT)]
        edges = np.linspace(first, last, len(shapes) + 1).astype(int)
        for (down, wide), low, high in zip(shapes, edges, edges[1:]):
            jaw[low:high], width[low:high] = down, wide
        if name[:1] in _LIPS_SHUT:
            press[first:last] = 1
        elif name[:1] in "fv" and name:
            press[first:last] = 0.4
    loud = np.clip((level / (np.percentile(level, 90) + 1e-9)) ** 0.4, 0.55, 1.15)
    shut = np.clip(_smooth((press > 0.9).astype(float), 0.016) * 1.5, 0, 1)
    jaw = np.clip(1.12 * _smooth(jaw * loud, 0.030), 0, 1.1) * (1 - shut)
    shape = np.stack([jaw, _smooth(width, 0.04), _smooth(press, 0.016)], axis=1)
    # The lips are under way before the audio is heard.
    lead = int(0.035 / _STEP_S)
    return np.concatenate([shape[lead:], np.repeat(shape[-1:], lead, axis=0)])


class _Stage:
    """Puts utterances one after the other."""

    def __init__(self, synthesiser: Synthesiser) -> None:
        self._synthesiser = synthesiser

    def turn(self, person: int, text: str, start_s: float) -> Turn:
        voice, speed, pitch, pan = _NARRATOR if person < 0 else _VOICES[person % len(_VOICES)]
        raw, phonemes = self._synthesiser.say(text, voice, speed, pitch)
        audio = _resample(raw, self._synthesiser.rate)
        level = loudness(audio)
        heard = np.flatnonzero(level > 0.02 * level.max())
        first, last = heard[0] * _STEP_S, min((heard[-1] + 8) * _STEP_S, len(audio) / RATE)
        audio = audio[int(first * RATE) : int(last * RATE)]
        phonemes = [(max(start - first, 0.0), name) for start, name in phonemes if start < last]
        audio = audio * (0.075 / np.sqrt(np.mean(audio**2)))
        return Turn(person, start_s, audio, _mouth_shape(phonemes, audio), pan)


def conversation(seconds: float, people: int, seed: int) -> list[Turn]:
    """Turns that fill ``seconds``: a pause for all in the middle, then a voice from off."""
    random = np.random.default_rng(seed)
    stage = _Stage(Synthesiser())
    turns: list[Turn] = []
    now, spoken, narrated = 0.5, 0, False
    while True:
        middle = not narrated and now > 0.45 * seconds
        if middle:
            now += 0.9
            turn = stage.turn(-1, _NARRATION, now)
        else:
            turn = stage.turn(spoken % people, _SENTENCES[spoken % len(_SENTENCES)], now)
        if turn.end_s > seconds - 0.3:
            # A clip shorter than its first sentence gets what fits of it.
            return turns or [turn.cut(seconds - 0.3)]
        turns.append(turn)
        narrated, spoken = narrated or middle, spoken + (not middle)
        now = turn.end_s + random.uniform(0.35, 0.5)


def mix(turns: list[Turn], seconds: float, seed: int) -> np.ndarray:
    """The audio of the room: [samples, 2] int16 at RATE."""
    random = np.random.default_rng(seed + 1)
    count = round(seconds * RATE)
    room = np.zeros((count + RATE, 2))
    for turn in turns:
        at = round(turn.start_s * RATE)
        # Two early reflections: a dry synthetic voice does not sit in any room.
        for delay_s, gain in ((0.0, 1.0), (0.011, 0.16), (0.023, 0.09)):
            low = at + round(delay_s * RATE)
            for channel, side in enumerate((-1, 1)):
                room[low : low + len(turn.audio), channel] += (
                    turn.audio * gain * (1 + side * turn.pan) / 1.2
                )
    room += random.normal(0, 0.0006, room.shape)  # a quiet room, never digital silence
    return (np.clip(room[:count], -0.98, 0.98) * 32767).astype(np.int16)


def mouth_at(turns: list[Turn], person: int, time_s: float) -> tuple[float, float, float]:
    """Jaw, width and press of ``person`` at ``time_s``; all zero when silent."""
    for turn in turns:
        if turn.person == person and turn.start_s - 0.2 < time_s < turn.end_s + 0.2:
            position = (time_s - turn.start_s) / _STEP_S
            grid = np.arange(len(turn.shape))
            values = [
                np.interp(position, grid, turn.shape[:, k], left=0, right=0) for k in range(3)
            ]
            return values[0], values[1], values[2]
    return 0.0, 0.0, 0.0


@cache
def _spans(turn: Turn) -> list[tuple[float, float]]:
    """When the turn is heard, by its own clean audio; pauses under 0.3 s are bridged."""
    level = loudness(turn.audio)
    heard = np.flatnonzero(level > 0.05 * level.max()) * _STEP_S + turn.start_s
    breaks = np.flatnonzero(np.diff(heard) > 0.3)
    starts = np.concatenate([heard[:1], heard[breaks + 1]])
    ends = np.concatenate([heard[breaks], heard[-1:]])
    return list(zip(starts.tolist(), ends.tolist()))


def speaks_at(turns: list[Turn], person: int, time_s: float) -> bool:
    """The truth: whether ``person`` is heard speaking at ``time_s``."""
    own = (turn for turn in turns if turn.person == person)
    return any(start <= time_s <= end for turn in own for start, end in _spans(turn))

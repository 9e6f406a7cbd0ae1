"""Where the model looks, in three pictures of one face.

The *track* picture is 160x160: the whole 2.8 half-boxes of the Light-ASD geometry. The *model*
picture is the 112x112 that the program cuts: the central 80x80 of the track, resized. The *lip*
picture is a 96x96 part of it that the network slices out and resizes to 64x64, about the track's
own resolution.
The *store* is the part of the track picture that training keeps on disk: the lip part with room
to jitter. All maps here are affine, pixel centres at +0.5.
"""

TRACK_PX = 160
MODEL_PX = 112
MODEL_IN_TRACK = (40.0, 80.0)  # first pixel and side of the model picture within the track picture

LIP_PX = 64  # what the convolutions see
LIP_SIDE = 96  # the same, in pixels of the model picture
LIP_TOP = 16  # first row of the lip picture within the model picture
LIP_LEFT = 8  # first column

STORE_PX = 112
STORE_LEFT = 24  # within the track picture
STORE_TOP = 30

PICTURE_HZ = 25
SOUND_HZ = 16_000
SAMPLES_PER_TICK = SOUND_HZ // PICTURE_HZ
ROWS_PER_TICK = 4
MEL_BANDS = 40


def lip_in_store() -> tuple[float, float, float]:
    """Left, top and side (store pixels) of the lip picture, without jitter."""
    first, side = MODEL_IN_TRACK
    scale = side / MODEL_PX
    left = first + LIP_LEFT * scale - STORE_LEFT
    top = first + LIP_TOP * scale - STORE_TOP
    return left, top, LIP_SIDE * scale

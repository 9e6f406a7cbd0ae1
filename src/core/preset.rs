//! Words for encoding speed against size, as x264 has them; other encoders' settings follow them.

/// x264's presets from the fastest to the slowest; the other encoders are set by the same words.
pub(crate) const PRESETS: [&str; 10] = [
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
];

//! Presets of encoding speed against size, by x264's names. Other encoders map them to their own.

/// x264's presets from the fastest to the slowest.
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

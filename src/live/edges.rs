//! The edges of a live stream: their names and how much each may hold, in one place for the wiring
//! and for `locutor check`.

use crate::core::edge::Capacity;
use crate::stages::score::budget::Schedule;

/// Bytes of a 1920×1080 picture: what memory is counted with before a source is known.
pub const HD_PICTURE_BYTES: usize = 1920 * 1080 * 3 / 2;

/// Frames for the detector; the oldest goes when another comes.
pub const TO_DETECT: Capacity = Capacity { items: 3, bytes: usize::MAX };
/// Frames and sound for the scorer; who tracks waits, sound that finds no room is left out.
pub const TO_SCORE: Capacity = Capacity { items: 64, bytes: 48 << 20 };
/// Evidence for showing; the oldest goes.
pub const EVIDENCE: Capacity = Capacity { items: 512, bytes: 64 << 20 };
/// Sound for people; the oldest goes.
pub const SOUND: Capacity = Capacity { items: 1_024, bytes: 16 << 20 };

/// Pictures that wait until they are due; the oldest goes. Twice what the delay holds.
pub fn to_show(schedule: &Schedule) -> Capacity {
    Capacity { items: schedule.frames_held.unwrap_or(64).max(16) * 2, bytes: 512 << 20 }
}

/// All edges by name, with the bytes that each holds at worst with HD pictures.
pub fn all(schedule: &Schedule) -> Vec<(&'static str, usize, usize)> {
    let pictures = |c: Capacity| c.items.saturating_mul(HD_PICTURE_BYTES).min(c.bytes);
    let show = to_show(schedule);
    vec![
        ("source→detect", TO_DETECT.items, pictures(TO_DETECT)),
        ("track→score", TO_SCORE.items, pictures(TO_SCORE)),
        ("source→show", show.items, pictures(show)),
        ("source→sound", SOUND.items, SOUND.bytes),
        ("score→show", EVIDENCE.items, EVIDENCE.bytes),
    ]
}

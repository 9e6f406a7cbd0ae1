//! An MPEG-1 program stream whose packs are far apart, as old encoders wrote them.

/// The code before a pack, and before padding.
const PACK: [u8; 4] = [0, 0, 1, 0xba];
/// Padding as long as a pack's header.
const PADDING: [u8; 12] = [0, 0, 1, 0xbe, 0, 6, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff];

/// Turns all packs' headers into padding but those at least `seconds` apart.
pub fn thin_out(stream: &mut [u8], seconds: f64) -> usize {
    let (mut last, mut kept) = (None::<f64>, 0);
    for at in 0..stream.len().saturating_sub(PADDING.len()) {
        if stream[at..at + 4] != PACK {
            continue;
        }
        let time = clock(&stream[at + 4..at + 9]);
        if last.is_some_and(|last| time - last < seconds) {
            stream[at..at + PADDING.len()].copy_from_slice(&PADDING);
        } else {
            (last, kept) = (Some(time), kept + 1);
        }
    }
    kept
}

/// An MPEG-1 clock reference in seconds.
fn clock(bytes: &[u8]) -> f64 {
    let bits = |byte: usize, from: u32, shift: u32| u64::from(bytes[byte] >> from) << shift;
    let ticks = (bits(0, 1, 30) & 7 << 30)
        | bits(1, 0, 22)
        | bits(2, 1, 15)
        | bits(3, 0, 7)
        | bits(4, 1, 0);
    ticks as f64 / 90_000.0
}

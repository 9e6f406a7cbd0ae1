//! By how many frames a stream's decoder is behind, as the stream's header states it.
//!
//! Knows the two codecs with reordered frames that are met in AVI. Anything that makes no sense gives
//! `None`.

/// Start codes of MPEG-4's video object layer.
const OBJECT_LAYER: std::ops::RangeInclusive<u8> = 0x20..=0x2f;
/// H.264 profiles with a chroma format in their parameter set.
const HIGH_PROFILES: [u32; 13] = [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244];

/// Bits of a header, most significant first; zeros behind its end.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    /// The bits of `bytes`.
    const fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits as a number, up to 32.
    fn take(&mut self, count: u32) -> u32 {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        value
    }

    /// The next bit.
    fn flag(&mut self) -> bool {
        self.take(1) == 1
    }

    /// The next number in Exp-Golomb coding.
    fn golomb(&mut self) -> u32 {
        let zeros = (0..32).take_while(|_| !self.ended() && !self.flag()).count() as u32;
        (1_u32.checked_shl(zeros).unwrap_or(0).wrapping_sub(1)).wrapping_add(self.take(zeros))
    }

    /// Leaves out `count` of them.
    fn skip_golomb(&mut self, count: u32) {
        for _ in 0..count {
            self.golomb();
        }
    }

    /// The same with a sign.
    fn signed_golomb(&mut self) -> i64 {
        let code = i64::from(self.golomb());
        if code % 2 == 0 { -(code / 2) } else { code / 2 + 1 }
    }

    const fn ended(&self) -> bool {
        self.at >= self.bytes.len() * 8
    }
}

/// What follows the first start code that `matches` in `bytes`, from the code's last byte on.
fn after_start_code(bytes: &[u8], matches: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let at = bytes.windows(4).position(|w| w[..3] == [0, 0, 1] && matches(w[3]))?;
    bytes.get(at + 3..)
}

/// MPEG-4 part 2: one frame, unless the stream says that none is reordered.
pub(super) fn mpeg4_frames(bytes: &[u8]) -> Option<u32> {
    let layer = after_start_code(bytes, |code| OBJECT_LAYER.contains(&code))?;
    let mut bits = Bits::new(layer.iter().copied().skip(1).take(16).collect());
    bits.take(1);
    let object_type = bits.take(8);
    if bits.flag() {
        bits.take(7);
    }
    // The shape of a pixel, in words of its own where it is 15.
    if bits.take(4) == 15 {
        bits.take(16);
    }
    let low_delay = if bits.flag() {
        bits.take(2);
        bits.flag()
    } else {
        // Simple and advanced simple.
        matches!(object_type, 1 | 17)
    };
    Some(u32::from(!low_delay))
}

/// H.264 with start codes: the reordered frames that its first parameter set states, none where it
/// does not say.
pub(super) fn h264_frames(bytes: &[u8]) -> Option<u32> {
    let set = after_start_code(bytes, |code| code & 0x1f == 7)?;
    let mut bits = Bits::new(without_emulation(set.get(1..)?));
    let profile = bits.take(8);
    bits.take(16);
    bits.golomb();
    if HIGH_PROFILES.contains(&profile) {
        skip_chroma(&mut bits);
    }
    bits.golomb();
    let order_type = bits.golomb();
    match order_type {
        0 => {
            bits.golomb();
        }
        1 => {
            bits.take(1);
            bits.skip_golomb(2);
            let count = bits.golomb().min(255);
            bits.skip_golomb(count);
        }
        _ => {}
    }
    bits.golomb();
    bits.take(1);
    bits.skip_golomb(2);
    if !bits.flag() {
        bits.take(1);
    }
    bits.take(1);
    if bits.flag() {
        bits.skip_golomb(4);
    }
    let stated = if bits.flag() { usability(&mut bits) } else { None };
    (!bits.ended()).then(|| stated.unwrap_or(0).min(16))
}

/// A parameter set without the bytes that keep it from looking like a start code.
fn without_emulation(set: &[u8]) -> Vec<u8> {
    let (mut bytes, mut zeros) = (Vec::new(), 0);
    for byte in set.iter().copied().take(256) {
        if byte == 3 && zeros >= 2 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        bytes.push(byte);
    }
    bytes
}

fn skip_chroma(bits: &mut Bits) {
    if bits.golomb() == 3 {
        bits.take(1);
    }
    bits.skip_golomb(2);
    bits.take(1);
    if !bits.flag() {
        return;
    }
    for list in 0..8 {
        let length = if list < 6 { 16 } else { 64 };
        let mut next = 8;
        if !bits.flag() {
            continue;
        }
        for _ in 0..length {
            next = (next + bits.signed_golomb()).rem_euclid(256);
            if next == 0 {
                break;
            }
        }
    }
}

/// The reordered frames in the set's usability information, if that says.
fn usability(bits: &mut Bits) -> Option<u32> {
    if bits.flag() && bits.take(8) == 255 {
        bits.take(32);
    }
    if bits.flag() {
        bits.take(1);
    }
    if bits.flag() {
        bits.take(4);
        if bits.flag() {
            bits.take(24);
        }
    }
    if bits.flag() {
        bits.skip_golomb(2);
    }
    if bits.flag() {
        bits.take(32);
        bits.take(32);
        bits.take(1);
    }
    let buffering =
        [bits.flag().then(|| skip_buffering(bits)), bits.flag().then(|| skip_buffering(bits))];
    if buffering.iter().any(Option::is_some) {
        bits.take(1);
    }
    bits.take(1);
    if !bits.flag() {
        return None;
    }
    bits.take(1);
    bits.skip_golomb(4);
    Some(bits.golomb())
}

fn skip_buffering(bits: &mut Bits) {
    let count = bits.golomb().min(31);
    bits.take(8);
    for _ in 0..=count {
        bits.skip_golomb(2);
        bits.take(1);
    }
    bits.take(20);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The beginning of a stream by x264: high profile, two reordered frames.
    const X264: [u8; 39] = [
        0, 0, 0, 1, 0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x3d, 0xb0, 0x11, 0, 0, 3, 3,
        0xe9, 0, 0, 0xea, 0x60, 0x0f, 0x16, 0x2d, 0x96, 0, 0, 0, 1, 0x68, 0xeb, 0xe3, 0xcb, 0x22,
        0xc0, 0,
    ];
    /// The beginning of a stream by FFmpeg: advanced simple profile with reordered frames.
    const MPEG4: [u8; 30] = [
        0, 0, 1, 0xb0, 0xf1, 0, 0, 1, 0xb5, 0xa9, 0x13, 0, 0, 1, 0, 0, 0, 1, 0x20, 0x08, 0xd4,
        0x8d, 0x0b, 0xa9, 0x85, 0x14, 0x04, 0x3c, 0x14, 0x10,
    ];

    #[test]
    fn headers_state_how_many_frames_are_reordered() {
        assert_eq!(h264_frames(&X264), Some(2));
        assert_eq!(mpeg4_frames(&MPEG4), Some(1));
        assert_eq!(h264_frames(&MPEG4), None);
        assert_eq!(mpeg4_frames(&X264), None);
        assert_eq!(h264_frames(&[]), None);
    }

    proptest! {
        #[test]
        fn invalid_headers_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let bytes = [&[0, 0, 1, 0x67, 100][..], &bytes, &[0, 0, 1, 0x20], &bytes].concat();
            prop_assert!(h264_frames(&bytes).is_none_or(|frames| frames <= 16));
            prop_assert!(mpeg4_frames(&bytes).is_none_or(|frames| frames <= 1));
        }
    }
}

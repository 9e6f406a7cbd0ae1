//! Draws a frame's number into it, so that a client can identify the frame.

use std::sync::atomic::{AtomicUsize, Ordering};

use gst::prelude::*;
use gstreamer as gst;

/// Side of a square in pixels: a macroblock, which survives encoding.
const SIDE: usize = 16;
/// Bits of a number.
const BITS: usize = 12;
/// Luma of black and white.
const LUMA: [u8; 2] = [16, 235];

/// Numbers the I420 frames on `pad`; at multiples of eight pixels they have no padding.
pub(super) fn draw(pad: &gst::Pad, width: usize, height: usize) {
    let count = AtomicUsize::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer_mut()
            && let Ok(mut map) = buffer.make_mut().map_writable()
        {
            stamp(map.as_mut_slice(), width, height, count.fetch_add(1, Ordering::Relaxed));
        }
        gst::PadProbeReturn::Ok
    });
}

fn stamp(luma: &mut [u8], width: usize, height: usize, index: usize) {
    let bits = (0..BITS).rev().map(|bit| index >> bit & 1);
    for (n, bit) in [0, 1].into_iter().chain(bits).enumerate() {
        for row in luma[(height - SIDE) * width..height * width].chunks_mut(width) {
            row[n * SIDE..(n + 1) * SIDE].fill(LUMA[bit]);
        }
    }
}

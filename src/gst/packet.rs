//! An encoded frame or a stretch of encoded audio on its way to the sinks of a live stream.

use gstreamer as gst;

use crate::core::queue::ByteSize;
use crate::core::time::Pts;

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// One H.264 access unit, as a byte stream with its parameter sets before every keyframe.
    Video {
        /// Whether decoding can start here.
        keyframe: bool,
    },
    /// One AAC frame, raw.
    Audio,
}

/// An access unit, shared by all sinks.
#[derive(Clone, Debug)]
pub struct Packet {
    /// What it is.
    pub kind: PacketKind,
    /// When it is shown or heard, on the stream's clock: nanoseconds since the stream started,
    /// strictly increasing for each kind, over all epochs of the source.
    pub at: Pts,
    /// The bytes; its PTS (and DTS) are on the stream's clock.
    pub buffer: gst::Buffer,
    /// Its format. Changes only before a keyframe, e.g. when the frame's size does.
    pub caps: gst::Caps,
}

impl ByteSize for Packet {
    fn byte_size(&self) -> usize {
        size_of::<Self>() + self.buffer.size()
    }
}

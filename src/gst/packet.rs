//! An encoded video or audio packet on its way to the sinks of a live stream.

use gstreamer as gst;

use crate::core::queue::ByteSize;
use crate::core::time::Pts;

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketKind {
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
pub(crate) struct Packet {
    /// Video or audio.
    pub kind: PacketKind,
    /// Presentation time on the stream's clock: nanoseconds since the stream started. Strictly
    /// increasing for each kind, over all epochs of the source.
    pub at: Pts,
    /// The bytes; its PTS (and DTS) are on the stream's clock.
    pub buffer: gst::Buffer,
    /// Its format. Changes only before a keyframe, e.g. with the frame size.
    pub caps: gst::Caps,
}

impl ByteSize for Packet {
    fn byte_size(&self) -> usize {
        size_of::<Self>() + self.buffer.size()
    }
}

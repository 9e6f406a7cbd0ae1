//! The codecs of output files and streams, and their encoder elements.

/// A video codec that a container can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoCodec {
    /// H.264, for mp4, mov and mkv.
    H264,
    /// VP9, for webm.
    Vp9,
}

impl VideoCodec {
    /// Encoders for this codec, best first. Software comes first: a file is encoded once and kept,
    /// and x264 has the better quality at the same size.
    pub const fn encoders(self) -> &'static [&'static str] {
        match self {
            Self::H264 => {
                &["x264enc", "nvh264enc", "vah264enc", "vaapih264enc", "v4l2h264enc", "openh264enc"]
            }
            Self::Vp9 => &["vp9enc"],
        }
    }
}

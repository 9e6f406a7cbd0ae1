//! Source: a recording or a camera in, decoded frames and audio out.
//!
//! Takes a path and gives three readers, each read by its own thread: decoded frames (I420 or NV12,
//! upright), audio for the model (16 kHz, mono), and the encoded audio for the sink. Nothing is
//! dropped: each reader buffers a few items, and a slow consumer slows the demuxer. All times are
//! running times of one clock.
//!
//! Times may be missing or not monotonic; the sync stage corrects them.

#[cfg(feature = "gst")]
pub mod gst;
pub(crate) mod live;

use std::path::PathBuf;
use std::sync::Arc;

use crate::core::exit::Exit;
use crate::core::frame::Image;
use crate::core::queue::ByteSize;
use crate::core::time::{Pts, Rate, Span};

/// The format of a source's streams.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceShape {
    /// The video.
    pub video: VideoShape,
    /// The audio, if any.
    pub audio: Option<AudioShape>,
    /// The duration that the container states.
    pub duration: Option<Span>,
}

/// The format of a source's frames, after rotation to upright.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoShape {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second; `None` where the rate varies or is unknown.
    pub rate: Option<Rate>,
    /// Bytes of one decoded frame.
    pub frame_bytes: usize,
}

/// The format of the selected audio track.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioShape {
    /// The codec as GStreamer names it, e.g. `audio/mpeg`.
    pub codec: String,
    /// The track's number, from 1.
    pub track: u32,
    /// Number of audio tracks in the source.
    pub tracks: u32,
}

/// A decoded frame from the source; its time is not checked yet.
pub struct RawFrame {
    /// Running time, if the source states it.
    pub pts: Option<Pts>,
    /// Display duration, if the source states it.
    pub duration: Option<Span>,
    /// The frame.
    pub image: Arc<dyn Image>,
    /// Whether the decoder marked it as damaged.
    pub damaged: bool,
}

/// A block of audio for the model: 16 kHz, mono.
#[derive(Clone, Debug)]
pub struct AudioBlock {
    /// Time of its first sample, if the source states it.
    pub pts: Option<Pts>,
    /// The samples.
    pub samples: Vec<i16>,
}

impl ByteSize for AudioBlock {
    fn byte_size(&self) -> usize {
        size_of_val(self.samples.as_slice())
    }
}

/// Errors of a source, each with its exit code.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// The file does not exist.
    #[error("{}: no such file; check the path", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// No permission to read the file.
    #[error("{}: no permission to read it; check its owner and mode with: ls -l", path.display())]
    NoPermission {
        /// The file.
        path: PathBuf,
    },
    /// The path is not a file.
    #[error("{}: not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is empty.
    #[error("{}: the file is empty (0 bytes)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read, for another reason.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The content is not a known container.
    #[error("{}: not a media file that GStreamer knows ({reason})", path.display())]
    NotMedia {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// The container is known, but damaged before the first frame.
    #[error(
        "{}: the file is damaged or truncated, nothing in it can be read ({reason})",
        path.display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// The file has audio but no video.
    #[error("{}: has audio but no video, so no face can be found in it", path.display())]
    NoFrame {
        /// The file.
        path: PathBuf,
    },
    /// The requested audio track does not exist.
    #[error("{}: has {tracks} audio track(s), so --audio-track {requested} does not exist", path.display())]
    NoSuchTrack {
        /// The file.
        path: PathBuf,
        /// The requested number, from 1.
        requested: u32,
        /// Number of audio tracks.
        tracks: u32,
    },
    /// A required plugin is not installed.
    #[error(
        "{}: GStreamer lacks a plugin for: {what}; most are in: apt-get install \
         gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav",
        path.display()
    )]
    MissingPlugin {
        /// The file.
        path: PathBuf,
        /// What is missing, as GStreamer names it.
        what: String,
    },
    /// GStreamer itself failed.
    #[error("{0}")]
    Library(String),
}

impl SourceError {
    /// The exit code this error ends the program with.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NotFound { .. } => Exit::NoInput,
            Self::NoPermission { .. } => Exit::NoPermission,
            Self::NotAFile { .. }
            | Self::Empty { .. }
            | Self::NotMedia { .. }
            | Self::Broken { .. }
            | Self::NoFrame { .. } => Exit::BadData,
            Self::Unreadable { .. } => Exit::InputOutput,
            Self::NoSuchTrack { .. } => Exit::Usage,
            Self::MissingPlugin { .. } | Self::Library(_) => Exit::Unavailable,
        }
    }
}

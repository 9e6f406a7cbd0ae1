//! Source: a recording or a camera in, decoded frames and audio out.
//!
//! Takes a path; gives three readers that are drained by a thread each: frames as they are
//! (I420 or NV12, upright), audio as the model wants it (16 kHz, one channel), and the audio as it
//! was stored, for the sink. Nothing is dropped: each reader holds a few buffers, and a slow
//! consumer slows the demuxer. All times are running times of one clock.
//!
//! Not promised: that times are monotonic or present; the sync stage sees to that.

pub mod feed;
#[cfg(feature = "gst")]
pub mod gst;
pub mod live;

use std::path::PathBuf;
use std::sync::Arc;

use crate::core::exit::Exit;
use crate::core::frame::Image;
use crate::core::queue::ByteSize;
use crate::core::time::{Pts, Rate, Span};

/// What a source turned out to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceShape {
    /// Its frames.
    pub video: VideoShape,
    /// Its audio, where it has any.
    pub audio: Option<AudioShape>,
    /// How long it says it is.
    pub duration: Option<Span>,
}

/// What a source's frames are like, after turning upright.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoShape {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Frames a second; `None` where the rate varies or is not known.
    pub rate: Option<Rate>,
    /// Bytes of one decoded frame.
    pub frame_bytes: usize,
}

/// What a source's chosen audio track is like.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioShape {
    /// The stored form in the library's words, e.g. `audio/mpeg`.
    pub codec: String,
    /// Which track it is, counted from 1.
    pub track: u32,
    /// How many tracks the source has.
    pub tracks: u32,
}

/// A decoded frame as the source gives it: nothing about its time is checked yet.
pub struct RawFrame {
    /// Running time; `None` where the source does not say.
    pub pts: Option<Pts>,
    /// How long it is shown, where the source says so.
    pub duration: Option<Span>,
    /// The frame.
    pub image: Arc<dyn Image>,
    /// Whether the decoder says that parts of it are damaged.
    pub damaged: bool,
}

/// A stretch of audio for the model: 16 kHz, one channel.
#[derive(Clone, Debug)]
pub struct AudioBlock {
    /// When its first sample is heard; `None` where the source does not say.
    pub pts: Option<Pts>,
    /// The samples.
    pub samples: Vec<i16>,
}

impl ByteSize for AudioBlock {
    fn byte_size(&self) -> usize {
        size_of_val(self.samples.as_slice())
    }
}

/// What went wrong with a source, each with its own exit code.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// There is no such file.
    #[error("{}: no such file; check the path", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file may not be read.
    #[error("{}: no permission to read it; check its owner and mode with: ls -l", path.display())]
    NoPermission {
        /// The file.
        path: PathBuf,
    },
    /// The path names something else than a file.
    #[error("{}: not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{}: the file is empty (0 bytes)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read for another reason.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The content is no known container.
    #[error("{}: not a media file that GStreamer knows ({reason})", path.display())]
    NotMedia {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// The container is known but broken before the first frame.
    #[error(
        "{}: the file is damaged or cut short, nothing in it can be read ({reason})",
        path.display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// The file has audio but no frame.
    #[error("{}: has audio but no frame; a face cannot be found in it", path.display())]
    NoFrame {
        /// The file.
        path: PathBuf,
    },
    /// No audio track has the number that was asked for.
    #[error("{}: has {tracks} audio track(s), so --audio-track {requested} does not exist", path.display())]
    NoSuchTrack {
        /// The file.
        path: PathBuf,
        /// The number asked for, from 1.
        requested: u32,
        /// How many there are.
        tracks: u32,
    },
    /// A plugin that the file needs is not installed.
    #[error(
        "{}: GStreamer lacks a plugin for: {what}; most are in: apt-get install \
         gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav",
        path.display()
    )]
    MissingPlugin {
        /// The file.
        path: PathBuf,
        /// What is missing, in the library's words.
        what: String,
    },
    /// The library itself cannot be used.
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

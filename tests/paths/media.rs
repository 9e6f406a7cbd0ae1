//! Media made by `gst-launch-1.0`: a white ball that the tiny detector takes for a face, on black.
//!
//! The ball wanders in a small field in the middle, about a pixel a frame: slowly enough for one
//! person to stay one person.

use std::path::Path;
use std::process::Command;

/// A recording to be made.
#[derive(Clone, Copy)]
pub struct Media {
    pub size: (u32, u32),
    /// Frames a second, as a fraction.
    pub fps: (u32, u32),
    pub frames: u32,
    /// The elements that encode the frame.
    pub image: &'static str,
    /// Every audio track: caps and the elements that encode it.
    pub audio: &'static [(&'static str, &'static str)],
    pub muxer: &'static str,
}

/// H.264, made quickly.
pub const H264: &str = "x264enc speed-preset=ultrafast key-int-max=25 ! h264parse";
/// The caps of 16 kHz mono.
pub const MONO_16K: &str = "audio/x-raw,rate=16000,channels=1";
/// AAC as most recordings have it.
pub const AAC: &str = "avenc_aac ! aacparse";

/// What most tests take: two seconds, 320×240, 25 fps, AAC at 44.1 kHz, mp4.
pub const PLAIN: Media = Media {
    size: (320, 240),
    fps: (25, 1),
    frames: 50,
    image: H264,
    audio: &[("audio/x-raw,rate=44100,channels=2", AAC)],
    muxer: "mp4mux",
};

impl Media {
    /// Makes it at `path`.
    pub fn make(&self, path: &Path) {
        let ((width, height), (num, den)) = (self.size, self.fps);
        // Fiftieths of a second, as many as the frames last.
        let fiftieths = (self.frames * den * 50).div_ceil(num);
        let mut line = format!(
            "videotestsrc pattern=ball num-buffers={} ! \
             video/x-raw,format=I420,width=112,height=96,framerate={num}/{den} ! \
             videobox autocrop=true ! video/x-raw,width={width},height={height} ! {} ! \
             queue max-size-bytes=0 ! mux. {} name=mux ! filesink location={}",
            self.frames,
            self.image,
            self.muxer,
            path.display(),
        );
        for (caps, encoder) in self.audio {
            let rate: u32 =
                caps.split("rate=").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
            line += &format!(
                " audiotestsrc num-buffers={fiftieths} samplesperbuffer={} volume=0.3 ! {caps} ! \
                 audioconvert ! {encoder} ! queue max-size-bytes=0 ! mux.",
                rate / 50,
            );
        }
        launch(&line);
    }
}

/// Runs `gst-launch-1.0` on `line` to its end.
pub fn launch(line: &str) {
    let output = Command::new("gst-launch-1.0").arg("-q").args(line.split_whitespace()).output();
    let output = output.expect("gst-launch-1.0 is in the package gstreamer1.0-tools");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gst-launch-1.0 {line}: {complaint}");
}

//! Counts what a media file holds, by decoding all of it through the program's own source.
//!
//! The source is the one that also feeds the stages: what it gets wrong in a recording and again in
//! its film shows in `ffprobe` only.

use std::path::Path;

use locutor::stages::source::gst::Recording;

/// What was found. Times in seconds.
#[derive(Debug)]
pub struct Probe {
    pub frames: usize,
    pub width: u32,
    pub height: u32,
    /// When the first frame is shown.
    pub first: f64,
    /// When the last frame is shown.
    pub last: f64,
    /// How long the last frame is shown, where the file says so.
    pub last_span: Option<f64>,
    pub audio: Option<Audio>,
    /// What the source complained about on the way.
    pub damage: Vec<String>,
}

/// The chosen audio track.
#[derive(Debug)]
pub struct Audio {
    pub codec: String,
    pub tracks: u32,
    pub end: f64,
}

impl Probe {
    /// The mean time between two frames.
    pub fn frame_seconds(&self) -> f64 {
        (self.last - self.first) / (self.frames.max(2) - 1) as f64
    }

    /// From the first frame to the end of the last.
    pub fn length(&self) -> f64 {
        self.last - self.first + self.last_span.unwrap_or(self.frame_seconds())
    }
}

/// Decodes all of `path`, with audio track `track`.
pub fn probe(path: &Path, track: u32) -> Probe {
    let recording = Recording::open(path, track).unwrap_or_else(|e| panic!("{e}"));
    let shape = recording.shape().clone();
    recording.play().unwrap();
    let named = |name: &str| std::thread::Builder::new().name(name.into());
    std::thread::scope(|scope| {
        let audio = recording.audio().map(|blocks| {
            let heard = move || {
                let mut end = 0.0_f64;
                for block in blocks {
                    let Some(pts) = block.pts else { continue };
                    end = end.max(pts.seconds() + block.samples.len() as f64 / 16_000.0);
                }
                end
            };
            named("probe audio").spawn_scoped(scope, heard).unwrap()
        });
        if let Some(packets) = recording.packets() {
            named("probe packets").spawn_scoped(scope, move || packets.for_each(drop)).unwrap();
        }
        let (mut times, mut last_span) = (Vec::new(), None);
        for raw in recording.frames() {
            times.push(raw.pts.expect("a frame has a time").seconds());
            last_span = raw.duration.map(|s| s.seconds());
        }
        let audio = audio.map(|heard| heard.join().unwrap()).zip(shape.audio);
        Probe {
            frames: times.len(),
            width: shape.video.width,
            height: shape.video.height,
            first: times.first().copied().unwrap_or_default(),
            last: times.iter().copied().fold(0.0, f64::max),
            last_span,
            audio: audio.map(|(end, shape)| Audio {
                codec: shape.codec,
                tracks: shape.tracks,
                end,
            }),
            damage: recording.damage(),
        }
    })
}

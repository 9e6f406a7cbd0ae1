//! The output side of a live stream: pictures drawn on and encoded, sound beside them, both handed to
//! all sinks.
//!
//! An encoder takes pictures of one size; it is made anew when the size changes (a camera that was
//! set up anew, or the first picture after a slate), and when it fails. The sound's line has no hole
//! ([`Continuous`]) and is late by as much as the pictures.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::core::edge::Receiver;
use crate::core::evidence::FrameEvidence;
use crate::core::picture::Frame;
use crate::core::time::{Pts, Span};
use crate::gst::live_encoder::Encoder;
use crate::gst::packet::{Kind, Packet};
use crate::gst::picture::RawFormat;
use crate::live::stream::Shared;
use crate::stages::overlay::Painter;
use crate::stages::overlay::gst::Blender;
use crate::stages::overlay::slate::SlateWriter;
use crate::stages::source::SoundBlock;
use crate::stages::sync::continuous::{Continuous, Stretch};

use super::meters::{dropped, of};

/// A slate's size until the source has shown its own.
const SLATE_SIZE: (u32, u32) = (1280, 720);
/// After a failure the encoder is not tried again before this.
const TRY_EVERY: Duration = Duration::from_secs(2);
/// Sound that has not come by so much after it was due is silence.
const SOUND_PATIENCE: Span = Span::from_ms(80);
/// Sound that may wait until it is due: half a minute, beyond which the oldest goes.
const BLOCKS_WAITING: usize = 3_000;

/// See the module.
pub(super) struct Studio {
    shared: Arc<Shared>,
    blender: Blender,
    slates: SlateWriter,
    encoder: Option<Encoder>,
    format: RawFormat,
    not_before: Option<Instant>,
    last_picture: Option<Pts>,
    /// When a slate was last made a key picture.
    slate_key: Option<Pts>,
    line: Continuous,
    waiting: VecDeque<SoundBlock>,
    left_out: u64,
    encoded: Arc<AtomicU64>,
    wants_key: Arc<AtomicBool>,
}

impl Studio {
    /// A studio that has shown nothing yet. `wants_key` is raised by sinks that begin now.
    pub(super) fn new(shared: &Arc<Shared>, wants_key: Arc<AtomicBool>) -> Self {
        Self {
            blender: Blender::new(Painter::new(shared.camera.style)),
            shared: Arc::clone(shared),
            slates: SlateWriter::default(),
            encoder: None,
            format: RawFormat::plain(SLATE_SIZE, None),
            not_before: None,
            last_picture: None,
            slate_key: None,
            line: Continuous::default(),
            waiting: VecDeque::new(),
            left_out: 0,
            encoded: Arc::default(),
            wants_key,
        }
    }

    /// Draws `evidence` on `frame` and encodes it.
    pub(super) fn picture(&mut self, frame: Frame, evidence: &FrameEvidence) {
        let (at, span) = (frame.id.pts, frame.span);
        let Some(format) = RawFormat::of(&frame) else { return };
        match self.blender.draw(frame, evidence) {
            Ok(buffer) => self.encode(format, buffer, at, span),
            Err(e) => tracing::warn!("{e}"),
        }
    }

    /// Encodes a slate that says `lines`.
    pub(super) fn slate(&mut self, lines: &[String], at: Pts) {
        let format = self.format.clone();
        let Some(sprite) = self.slates.write(lines, format.size()) else { return };
        // Slates are few, and the encoder counts pictures: key pictures come by time here.
        let every = Span::from_seconds(self.shared.camera.encoder.key_every.as_secs_f64());
        if self.slate_key.is_none_or(|last| at - last >= every) {
            self.slate_key = Some(at);
            self.wants_key.store(true, Ordering::Relaxed);
        }
        match self.blender.on_black(format.info(), &[sprite]) {
            Ok(buffer) => self.encode(format, buffer, at, None),
            Err(e) => tracing::warn!("{e}"),
        }
    }

    fn encode(
        &mut self,
        format: RawFormat,
        buffer: crate::gst::picture::RawBuffer,
        at: Pts,
        span: Option<Span>,
    ) {
        // Slates and pictures meet at both ends of an outage.
        if self.last_picture.is_some_and(|last| at <= last) {
            return;
        }
        let fits = self.format.fits(&format);
        let failed = self.encoder.as_ref().and_then(Encoder::failure);
        if let Some(why) = &failed {
            tracing::warn!("the encoder failed: {why}");
            self.shared.trouble("encoder", Some(why.clone()));
        }
        if !fits || failed.is_some() {
            self.encoder = None;
            self.format = format;
        }
        if self.encoder.is_none() {
            self.start();
        }
        let Some(encoder) = &self.encoder else {
            self.left_out += 1;
            return;
        };
        if self.wants_key.swap(false, Ordering::Relaxed) {
            encoder.ask_for_key();
        }
        if encoder.picture(buffer, at, span) {
            self.last_picture = Some(at);
        } else {
            self.left_out += 1;
        }
    }

    fn start(&mut self) {
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.not_before = Some(Instant::now() + TRY_EVERY);
        let (fan_out, encoded) = (self.shared.fan_out.clone(), Arc::clone(&self.encoded));
        let (clock, latency) = (self.shared.clock, self.shared.latency.clone());
        let take = move |packet: Packet| {
            if matches!(packet.kind, Kind::Picture { .. }) {
                latency.add("encode", clock.now() - packet.at);
                encoded.fetch_add(1, Ordering::Relaxed);
            }
            fan_out.offer(&packet);
        };
        let wishes = &self.shared.camera.encoder;
        let rate = self.format.rate();
        let caps = self.format.caps();
        match Encoder::start(wishes, self.shared.encoder, &caps, rate, Arc::new(take)) {
            Ok(encoder) => {
                self.encoder = Some(encoder);
                self.shared.trouble("encoder", None);
            }
            Err(e) => self.shared.trouble("encoder", Some(e.to_string())),
        }
    }

    /// Takes the sound that has come and encodes what is due: everything before `until`.
    pub(super) fn sound(&mut self, from: &Receiver<SoundBlock>, until: Pts) {
        while let Ok(block) = from.try_recv() {
            if self.waiting.len() >= BLOCKS_WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(block);
        }
        // Sound goes with pictures: before the first one there is nothing to go with.
        if self.encoder.is_none() {
            self.line = Continuous::default();
            self.waiting.retain(|block| block.pts.is_some_and(|at| at >= until));
            return;
        }
        while self.waiting.front().is_some_and(|b| b.pts.is_none_or(|at| at < until)) {
            let Some(block) = self.waiting.pop_front() else { break };
            let at = block.pts.unwrap_or(until);
            let stretches = self.line.push(at, &block.samples);
            stretches.into_iter().for_each(|s| self.play(s));
        }
        let silence = self.line.silence_until(until - SOUND_PATIENCE);
        silence.into_iter().for_each(|s| self.play(s));
    }

    fn play(&self, stretch: Stretch) {
        let Stretch { at, samples } = stretch;
        // Before the stream's zero there is nothing, and encoders take no negative times.
        if at >= Pts::ZERO
            && let Some(encoder) = &self.encoder
            && !encoder.sound(&samples, at)
        {
            tracing::debug!("the sound's encoder is behind");
        }
    }

    /// Once a second: what was encoded and left out.
    pub(super) fn account(&mut self) {
        let (meters, name) = (&self.shared.meters, &self.shared.camera.name);
        let encoded = self.encoded.swap(0, Ordering::Relaxed);
        meters.frames.get_or_create(&of(name, "encode")).inc_by(encoded);
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            dropped(meters, name, "encode", "behind", left_out);
        }
    }

    /// Ends what is being encoded.
    pub(super) fn finish(self) {
        if let Some(encoder) = self.encoder {
            encoder.finish(Duration::from_secs(3));
        }
    }
}

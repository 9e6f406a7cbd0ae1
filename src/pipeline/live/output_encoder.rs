//! Draws on a live stream's frames and encodes them and the audio for all sinks.
//!
//! An encoder takes frames of one size. It is replaced when the size changes (a reconfigured camera,
//! or the first frame after a slate), and when it fails. The audio has no gaps ([`GaplessAudio`]) and
//! the same delay as the frames.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::context::{Output, Reporter, StreamContext};
use crate::core::evidence::FrameEvidence;
use crate::core::frame::Frame;
use crate::core::queue::Receiver;
use crate::core::time::{Pts, Span};
use crate::gst::image::RawFormat;
use crate::gst::packet::{Packet, PacketKind};
use crate::stages::overlay::Painter;
use crate::stages::overlay::gst::Blender;
use crate::stages::overlay::slate::SlateWriter;
use crate::stages::sink::live::gst::encoder::Encoder;
use crate::stages::sink::settings::EncoderSettings;
use crate::stages::source::AudioBlock;
use crate::stages::sync::gapless_audio::{AudioSegment, GaplessAudio};

use crate::telemetry::metrics::{count_dropped, stage_labels};

/// The size of slates until the source's frame size is known.
const SLATE_SIZE: (u32, u32) = (1280, 720);
/// The wait before a failed encoder is started again.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// Audio that is later than this is replaced by silence.
const AUDIO_TIMEOUT: Span = Span::from_ms(80);
/// Maximum number of audio blocks that wait until they are due: half a minute. Beyond it the oldest
/// is dropped.
const MAX_WAITING_BLOCKS: usize = 3_000;

/// See the module.
pub(super) struct OutputEncoder {
    reporter: Arc<Reporter>,
    output: Output,
    settings: EncoderSettings,
    blender: Blender,
    slates: SlateWriter,
    encoder: Option<Encoder>,
    format: RawFormat,
    retry_at: Option<Instant>,
    last_frame: Option<Pts>,
    /// When a slate was last made a keyframe.
    last_slate_keyframe: Option<Pts>,
    gapless_audio: GaplessAudio,
    waiting: VecDeque<AudioBlock>,
    dropped: u64,
    encoded: Arc<AtomicU64>,
}

impl OutputEncoder {
    /// An encoder that is started with the first frame.
    pub(super) fn new(context: &StreamContext, output: Output) -> Self {
        Self {
            blender: Blender::new(Painter::new(context.settings.style)),
            reporter: Arc::clone(&context.reporter),
            output,
            settings: context.settings.encoder.clone(),
            slates: SlateWriter::default(),
            encoder: None,
            format: RawFormat::i420(SLATE_SIZE, None),
            retry_at: None,
            last_frame: None,
            last_slate_keyframe: None,
            gapless_audio: GaplessAudio::default(),
            waiting: VecDeque::new(),
            dropped: 0,
            encoded: Arc::default(),
        }
    }

    /// Draws `evidence` on `frame` and encodes it.
    pub(super) fn encode_frame(&mut self, frame: Frame, evidence: &FrameEvidence) {
        let (at, duration) = (frame.id.pts, frame.duration);
        let Some(format) = RawFormat::of(&frame) else { return };
        match self.blender.draw(frame, evidence) {
            Ok(buffer) => self.encode(format, buffer, at, duration),
            Err(e) => tracing::warn!("{e}"),
        }
    }

    /// Encodes a slate with the text `lines`.
    pub(super) fn encode_slate(&mut self, lines: &[String], at: Pts) {
        let format = self.format.clone();
        let Some(sprite) = self.slates.write(lines, format.size()) else { return };
        // The encoder's keyframe interval counts frames, and slates are few: request keyframes by
        // time.
        let interval = Span::from_seconds(self.settings.keyframe_interval.as_secs_f64());
        if self.last_slate_keyframe.is_none_or(|last| at - last >= interval) {
            self.last_slate_keyframe = Some(at);
            self.output.keyframe_requested.store(true, Ordering::Relaxed);
        }
        match self.blender.draw_on_black(format.info(), &[sprite]) {
            Ok(buffer) => self.encode(format, buffer, at, None),
            Err(e) => tracing::warn!("{e}"),
        }
    }

    fn encode(
        &mut self,
        format: RawFormat,
        buffer: crate::gst::image::RawBuffer,
        at: Pts,
        duration: Option<Span>,
    ) {
        // Slates and frames may overlap at both ends of an outage.
        if self.last_frame.is_some_and(|last| at <= last) {
            return;
        }
        let is_compatible = self.format.is_compatible(&format);
        let failed = self.encoder.as_ref().and_then(Encoder::failure);
        if let Some(why) = &failed {
            tracing::warn!("the encoder failed: {why}");
            self.reporter.report_error("encoder", Some(why.clone()));
        }
        if !is_compatible || failed.is_some() {
            self.encoder = None;
            self.format = format;
        }
        if self.encoder.is_none() {
            self.start();
        }
        let Some(encoder) = &self.encoder else {
            self.dropped += 1;
            return;
        };
        if self.output.keyframe_requested.swap(false, Ordering::Relaxed) {
            encoder.request_keyframe();
        }
        if encoder.image(buffer, at, duration) {
            self.last_frame = Some(at);
        } else {
            self.dropped += 1;
        }
    }

    fn start(&mut self) {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
        let (fan_out, encoded) = (self.output.fan_out.clone(), Arc::clone(&self.encoded));
        let (clock, latency) = (self.reporter.clock, self.reporter.latency.clone());
        let take = move |packet: Packet| {
            if matches!(packet.kind, PacketKind::Video { .. }) {
                latency.add("encode", clock.now() - packet.at);
                encoded.fetch_add(1, Ordering::Relaxed);
            }
            fan_out.offer(&packet);
        };
        let rate = self.format.rate();
        let caps = self.format.caps();
        match Encoder::start(&self.settings, self.output.encoder, &caps, rate, Arc::new(take)) {
            Ok(encoder) => {
                self.encoder = Some(encoder);
                self.reporter.report_error("encoder", None);
            }
            Err(e) => self.reporter.report_error("encoder", Some(e.to_string())),
        }
    }

    /// Receives the audio that has arrived and encodes what is due: everything before `until`.
    pub(super) fn encode_audio(&mut self, from: &Receiver<AudioBlock>, until: Pts) {
        while let Ok(block) = from.try_recv() {
            if self.waiting.len() >= MAX_WAITING_BLOCKS {
                self.waiting.pop_front();
            }
            self.waiting.push_back(block);
        }
        // Audio before the first frame is dropped.
        if self.encoder.is_none() {
            self.gapless_audio = GaplessAudio::default();
            self.waiting.retain(|block| block.pts.is_some_and(|at| at >= until));
            return;
        }
        while self.waiting.front().is_some_and(|b| b.pts.is_none_or(|at| at < until)) {
            let Some(block) = self.waiting.pop_front() else { break };
            let at = block.pts.unwrap_or(until);
            let segments = self.gapless_audio.push(at, &block.samples);
            segments.into_iter().for_each(|s| self.encode_segment(s));
        }
        let silence = self.gapless_audio.fill_silence_until(until - AUDIO_TIMEOUT);
        silence.into_iter().for_each(|s| self.encode_segment(s));
    }

    fn encode_segment(&self, segment: AudioSegment) {
        let AudioSegment { at, samples } = segment;
        // Encoders take no negative times.
        if at >= Pts::ZERO
            && let Some(encoder) = &self.encoder
            && !encoder.audio(&samples, at)
        {
            tracing::debug!("the audio encoder is behind");
        }
    }

    /// Once a second: counts what was encoded and dropped.
    pub(super) fn record_metrics(&mut self) {
        let (metrics, name) = (&self.reporter.metrics, &self.reporter.name);
        let encoded = self.encoded.swap(0, Ordering::Relaxed);
        metrics.frames.get_or_create(&stage_labels(name, "encode")).inc_by(encoded);
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            count_dropped(metrics, name, "encode", "behind", dropped);
        }
    }

    /// Ends the encoder and flushes it.
    pub(super) fn finish(self) {
        if let Some(encoder) = self.encoder {
            encoder.finish(Duration::from_secs(3));
        }
    }
}

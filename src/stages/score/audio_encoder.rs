//! Audio encoder: feature rows become one embedding per tick, once per stream, whatever the
//! number of faces.
//!
//! The encoder gets real audio on both sides of every tick, except at the true ends of an audio
//! segment. No window spans a gap, so a gap never passes for silence.

use std::collections::VecDeque;

use super::window::Window;
use crate::core::evidence::Unknown;
use crate::core::time::{Pts, Tick};
use crate::models::speaker_model::{InferenceError, SpeakerModel};
use crate::stages::features::audio_features::AudioFeatures;

/// Ticks encoded at once. A larger chunk would encode less context twice, as each chunk includes
/// the context on both sides, but would add delay.
pub const CHUNK_TICKS: i64 = 10;

/// The audio embedding at a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AudioEmbedding<'a> {
    /// The embedding.
    Ready(&'a [f32]),
    /// There is none, and why.
    Missing(Unknown),
    /// Not encoded yet.
    Pending,
}

/// Encodes a stream's audio.
pub struct AudioEncoder {
    features: Option<AudioFeatures>,
    ended: bool,
    base: Tick,
    next: Tick,
    embedded: VecDeque<Option<Vec<f32>>>,
    segment_start: Tick,
    chunk_ticks: i64,
    /// The head's window of a live stream; its hops are completed early.
    window: Option<Window>,
}

impl AudioEncoder {
    /// Creates an encoder for a stream with audio, or without (`features` is `None`).
    pub fn new(features: Option<AudioFeatures>, first: Tick) -> Self {
        Self {
            features,
            ended: false,
            base: first,
            next: first,
            embedded: VecDeque::new(),
            segment_start: first,
            chunk_ticks: CHUNK_TICKS,
            window: None,
        }
    }

    /// As [`Self::new`], encoding `ticks` at once, at least one; live streams need short chunks.
    #[must_use]
    pub fn with_chunk_ticks(mut self, ticks: usize) -> Self {
        self.chunk_ticks = i64::try_from(ticks).unwrap_or(CHUNK_TICKS).clamp(1, CHUNK_TICKS);
        self
    }

    /// As [`Self::new`], for a live `window`: the last ticks of a hop do not wait for a whole
    /// chunk. Single ticks are not encoded alone, as each would encode its context again.
    #[must_use]
    pub const fn with_window(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// Pushes samples.
    pub fn push(&mut self, pts: Option<Pts>, samples: &[i16]) {
        if let Some(features) = &mut self.features {
            features.push(pts, samples);
        }
    }

    /// Ends the audio.
    pub fn end(&mut self) {
        self.ended = true;
        if let Some(features) = &mut self.features {
            features.finish();
        }
    }

    /// Stops waiting for audio before `tick`: it becomes a gap. Returns whether any was missing.
    pub fn time_out_before(&mut self, tick: Tick) -> bool {
        let Some(features) = &mut self.features else { return false };
        let missing = features.ready_until() < tick;
        features.skip_to(tick);
        missing
    }

    /// The embedding at `tick`.
    pub fn at(&self, tick: Tick) -> AudioEmbedding<'_> {
        if self.features.is_none() {
            return AudioEmbedding::Missing(Unknown::NoAudio);
        }
        if tick >= self.next {
            return if self.ended {
                AudioEmbedding::Missing(Unknown::AudioGap)
            } else {
                AudioEmbedding::Pending
            };
        }
        let index = usize::try_from(tick.0 - self.base.0).ok();
        match index.and_then(|i| self.embedded.get(i)) {
            Some(Some(embedding)) => AudioEmbedding::Ready(embedding),
            Some(None) | None => AudioEmbedding::Missing(Unknown::AudioGap),
        }
    }

    /// Encodes all ticks that are ready.
    ///
    /// # Errors
    /// Where the model fails.
    pub fn advance(&mut self, model: &mut dyn SpeakerModel) -> Result<(), InferenceError> {
        let Some(features) = &mut self.features else { return Ok(()) };
        let ready = features.ready_until();
        let reach = i64::try_from(model.shape().audio_reach_ticks).unwrap_or(0);
        while self.next < ready {
            if features.gap(self.next) {
                self.embedded.push_back(None);
                self.next = self.next.offset(1);
                self.segment_start = self.next;
                continue;
            }
            let limit = self.next.offset(self.chunk_ticks + reach);
            let end = segment_end(features, self.next, ready.min(limit));
            let closed = end < limit && (end < ready || self.ended);
            let until = if closed { end } else { end.offset(-reach) };
            let hop_complete = self.window.is_some_and(|w| w.completes_hop(self.next..until, 0));
            let whole = closed || hop_complete || until.0 - self.next.0 >= self.chunk_ticks;
            if until <= self.next || !whole {
                break;
            }
            let from = self.next.offset(-reach).max(self.segment_start);
            encode(features, model, from, end, self.next..until, &mut self.embedded)?;
            self.next = until;
        }
        features.forget_before(self.next.offset(-reach).max(self.segment_start));
        Ok(())
    }

    /// Drops everything before `tick`.
    pub fn forget_before(&mut self, tick: Tick) {
        while self.base < tick && self.embedded.pop_front().is_some() {
            self.base = self.base.offset(1);
        }
    }
}

/// The end of the segment that contains `from`, at most `limit`.
fn segment_end(features: &AudioFeatures, from: Tick, limit: Tick) -> Tick {
    (from.0..limit.0).map(Tick).find(|t| features.gap(*t)).unwrap_or(limit)
}

fn encode(
    features: &AudioFeatures,
    model: &mut dyn SpeakerModel,
    from: Tick,
    end: Tick,
    keep: std::ops::Range<Tick>,
    into: &mut VecDeque<Option<Vec<f32>>>,
) -> Result<(), InferenceError> {
    let ticks = usize::try_from(end.0 - from.0).unwrap_or(0);
    let mut rows = Vec::new();
    features.copy_rows(from..end, &mut rows);
    let embeddings = model.encode_audio(rows, ticks)?;
    let width = model.shape().embedding;
    let skip = usize::try_from(keep.start.0 - from.0).unwrap_or(0);
    let take = usize::try_from(keep.end.0 - keep.start.0).unwrap_or(0);
    into.extend(embeddings.chunks_exact(width).skip(skip).take(take).map(|e| Some(e.to_vec())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::speaker_model::{FaceFeatures, FaceJob, HeadJob, HeadResult, ModelShape};
    use crate::stages::features::audio_features::Spectrum;
    use crate::stages::features::mfcc::Mfcc;

    /// Counts the ticks that it encodes, including context.
    struct CountingModel(ModelShape, usize);

    impl SpeakerModel for CountingModel {
        fn shape(&self) -> &ModelShape {
            &self.0
        }

        fn encode_faces(&mut self, _: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError> {
            unreachable!("this test encodes only audio")
        }

        fn encode_audio(&mut self, _: Vec<f32>, ticks: usize) -> Result<Vec<f32>, InferenceError> {
            self.1 += ticks;
            Ok(vec![0.0; ticks])
        }

        fn run_head(&mut self, _: HeadJob) -> Result<HeadResult, InferenceError> {
            unreachable!("this test encodes only audio")
        }
    }

    /// Pushes two seconds of audio tick by tick. Counts, after each tick, the hops whose audio is
    /// encoded, and in the end the encoded ticks.
    fn ready_hops(
        configure: impl FnOnce(AudioEncoder) -> AudioEncoder,
        window: Window,
    ) -> (Vec<usize>, usize) {
        let shape = ModelShape { audio_reach_ticks: 5, ..ModelShape::smallest() };
        let mut model = CountingModel(shape, 0);
        let features = AudioFeatures::new(Spectrum::Mfcc(Box::new(Mfcc::new())), Tick(0));
        let mut audio_encoder = configure(AudioEncoder::new(Some(features), Tick(0)));
        let mut known = Vec::new();
        for tick in 0..50 {
            audio_encoder.push(Some(Pts::from_seconds(f64::from(tick) / 25.0)), &[0; 640]);
            audio_encoder.advance(&mut model).expect("encoded");
            let last = |hops: usize| hops * window.hop + window.lookahead - 1;
            let last = |hops| Tick(i64::try_from(last(hops)).expect("few"));
            known.push(
                (1..9)
                    .take_while(|hops| audio_encoder.at(last(*hops)) != AudioEmbedding::Pending)
                    .count(),
            );
        }
        (known, model.1)
    }

    #[test]
    fn a_hops_audio_is_ready_as_early_as_with_single_tick_chunks() {
        let window = Window { hop: 5, lookahead: 9 };
        let (windowed, few) = ready_hops(|encoder| encoder.with_window(window), window);
        let (by_tick, many) = ready_hops(|encoder| encoder.with_chunk_ticks(1), window);
        assert_eq!(windowed, by_tick);
        assert_eq!((windowed.first(), windowed.last()), (Some(&0), Some(&7)));
        assert!(3 * few < many, "{few} ticks instead of {many}");
    }
}

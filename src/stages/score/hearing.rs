//! The stream's ear: sound rows become one embedding a tick, once per stream, whatever the number
//! of faces.
//!
//! The encoder sees real sound on both sides of every tick it is asked about, except at the true
//! ends of a stretch of sound. No window spans a gap, so a hole never passes for silence.

use std::collections::VecDeque;

use super::judge::Window;
use super::model::{ModelFault, SpeakerModel};
use crate::core::evidence::Unknown;
use crate::core::time::{Pts, Tick};
use crate::stages::features::audio_line::AudioLine;

/// Ticks encoded at once. More would save a little of the context on both sides, which is encoded
/// again with each chunk, and would make pictures wait.
pub const CHUNK_TICKS: i64 = 10;

/// What is known of the sound at a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Heard<'a> {
    /// Its embedding.
    Sound(&'a [f32]),
    /// There is none, and why.
    Nothing(Unknown),
    /// It has not been encoded yet.
    NotYet,
}

/// Sound in, embeddings out.
pub struct Hearing {
    line: Option<AudioLine>,
    ended: bool,
    base: Tick,
    next: Tick,
    embedded: VecDeque<Option<Vec<f32>>>,
    run_start: Tick,
    chunk: i64,
    /// Where it is heard live: what is then waited for.
    window: Option<Window>,
}

impl Hearing {
    /// The ear of a stream with sound, or without (`line` is `None`).
    pub fn new(line: Option<AudioLine>, first: Tick) -> Self {
        Self {
            line,
            ended: false,
            base: first,
            next: first,
            embedded: VecDeque::new(),
            run_start: first,
            chunk: CHUNK_TICKS,
            window: None,
        }
    }

    /// The same with `ticks` encoded at once, at least one: what is live cannot wait for many.
    #[must_use]
    pub fn in_chunks_of(mut self, ticks: usize) -> Self {
        self.chunk = i64::try_from(ticks).unwrap_or(CHUNK_TICKS).clamp(1, CHUNK_TICKS);
        self
    }

    /// The same for what is judged by `window` as it happens: the last ticks of a hop do not wait for a
    /// whole chunk, and no tick is encoded by itself, as its context would be encoded with each again.
    #[must_use]
    pub const fn ending_with(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// Takes a stretch of sound.
    pub fn push(&mut self, pts: Option<Pts>, samples: &[i16]) {
        if let Some(line) = &mut self.line {
            line.push(pts, samples);
        }
    }

    /// The sound has ended.
    pub fn end(&mut self) {
        self.ended = true;
        if let Some(line) = &mut self.line {
            line.finish();
        }
    }

    /// Gives up waiting for sound before `tick`: it counts as a gap. Says whether any was missing.
    pub fn give_up_before(&mut self, tick: Tick) -> bool {
        let Some(line) = &mut self.line else { return false };
        let missing = line.ready_until() < tick;
        line.skip_to(tick);
        missing
    }

    /// The first tick about which nothing is known yet.
    pub const fn known_until(&self) -> Tick {
        self.next
    }

    /// What is known of `tick`.
    pub fn at(&self, tick: Tick) -> Heard<'_> {
        if self.line.is_none() {
            return Heard::Nothing(Unknown::NoSound);
        }
        if tick >= self.next {
            return if self.ended { Heard::Nothing(Unknown::SoundGap) } else { Heard::NotYet };
        }
        let index = usize::try_from(tick.0 - self.base.0).ok();
        match index.and_then(|i| self.embedded.get(i)) {
            Some(Some(embedding)) => Heard::Sound(embedding),
            Some(None) | None => Heard::Nothing(Unknown::SoundGap),
        }
    }

    /// Encodes what can be encoded by now.
    ///
    /// # Errors
    /// Where the model fails.
    pub fn advance(&mut self, model: &mut dyn SpeakerModel) -> Result<(), ModelFault> {
        let Some(line) = &mut self.line else { return Ok(()) };
        let ready = line.ready_until();
        let reach = i64::try_from(model.shape().audio_reach_ticks).unwrap_or(0);
        while self.next < ready {
            if line.gap(self.next) {
                self.embedded.push_back(None);
                self.next = self.next.offset(1);
                self.run_start = self.next;
                continue;
            }
            let limit = self.next.offset(self.chunk + reach);
            let end = run_end(line, self.next, ready.min(limit));
            let closed = end < limit && (end < ready || self.ended);
            let until = if closed { end } else { end.offset(-reach) };
            let hop_over = self.window.is_some_and(|w| w.ends_within(self.next..until, 0));
            let whole = closed || hop_over || until.0 - self.next.0 >= self.chunk;
            if until <= self.next || !whole {
                break;
            }
            let from = self.next.offset(-reach).max(self.run_start);
            encode(line, model, from, end, self.next..until, &mut self.embedded)?;
            self.next = until;
        }
        line.forget_before(self.next.offset(-reach).max(self.run_start));
        Ok(())
    }

    /// Forgets everything before `tick`.
    pub fn forget_before(&mut self, tick: Tick) {
        while self.base < tick && self.embedded.pop_front().is_some() {
            self.base = self.base.offset(1);
        }
    }
}

/// The end of the stretch without gaps that starts at `from`, at most `limit`.
fn run_end(line: &AudioLine, from: Tick, limit: Tick) -> Tick {
    (from.0..limit.0).map(Tick).find(|t| line.gap(*t)).unwrap_or(limit)
}

fn encode(
    line: &AudioLine,
    model: &mut dyn SpeakerModel,
    from: Tick,
    end: Tick,
    keep: std::ops::Range<Tick>,
    into: &mut VecDeque<Option<Vec<f32>>>,
) -> Result<(), ModelFault> {
    let ticks = usize::try_from(end.0 - from.0).unwrap_or(0);
    let mut rows = Vec::new();
    line.copy_rows(from..end, &mut rows);
    let embeddings = model.encode_sound(rows, ticks)?;
    let width = model.shape().embedding;
    let skip = usize::try_from(keep.start.0 - from.0).unwrap_or(0);
    let take = usize::try_from(keep.end.0 - keep.start.0).unwrap_or(0);
    into.extend(embeddings.chunks_exact(width).skip(skip).take(take).map(|e| Some(e.to_vec())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::model::{FaceFeatures, FaceJob, HeadJob, HeadResult, ModelShape};
    use super::*;
    use crate::stages::features::audio_line::Spectrum;
    use crate::stages::features::mfcc::Mfcc;

    /// Counts the ticks that it encodes, context included.
    struct Ear(ModelShape, usize);

    impl SpeakerModel for Ear {
        fn shape(&self) -> &ModelShape {
            &self.0
        }

        fn encode_faces(&mut self, _: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, ModelFault> {
            unreachable!("only sound is heard")
        }

        fn encode_sound(&mut self, _: Vec<f32>, ticks: usize) -> Result<Vec<f32>, ModelFault> {
            self.1 += ticks;
            Ok(vec![0.0; ticks])
        }

        fn judge(&mut self, _: HeadJob) -> Result<HeadResult, ModelFault> {
            unreachable!("only sound is heard")
        }
    }

    /// For each tick of two seconds of sound that come tick by tick, how many hops had what they wait
    /// for then; and how many ticks were encoded for it.
    fn heard(ear: impl FnOnce(Hearing) -> Hearing, window: Window) -> (Vec<usize>, usize) {
        let shape = ModelShape { audio_reach_ticks: 5, ..ModelShape::smallest() };
        let mut model = Ear(shape, 0);
        let line = AudioLine::new(Spectrum::Mfcc(Box::new(Mfcc::new())), Tick(0));
        let mut hearing = ear(Hearing::new(Some(line), Tick(0)));
        let mut known = Vec::new();
        for tick in 0..50 {
            hearing.push(Some(Pts::from_seconds(f64::from(tick) / 25.0)), &[0; 640]);
            hearing.advance(&mut model).expect("it hears");
            let last = |hops: usize| hops * window.hop + window.lookahead - 1;
            let last = |hops| Tick(i64::try_from(last(hops)).expect("few"));
            known.push((1..9).take_while(|hops| hearing.at(last(*hops)) != Heard::NotYet).count());
        }
        (known, model.1)
    }

    #[test]
    fn a_hops_sound_is_there_as_soon_as_if_each_tick_were_encoded_by_itself() {
        let window = Window { hop: 5, lookahead: 9 };
        let (prompt, few) = heard(|ear| ear.ending_with(window), window);
        let (by_tick, many) = heard(|ear| ear.in_chunks_of(1), window);
        assert_eq!(prompt, by_tick);
        assert_eq!((prompt.first(), prompt.last()), (Some(&0), Some(&7)));
        assert!(3 * few < many, "{few} ticks instead of {many}");
    }
}

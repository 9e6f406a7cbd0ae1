//! The tracks of a sink's output, and when it must be reopened.
//!
//! [`Preroll`] takes the packets of a sink's queue in order, and releases them once it is known whether
//! there is audio. [`Formats`] tells whether an open output still matches the tracks. Used by every sink
//! whose tracks are fixed when it opens: a muxer, a push.
//!
//! The released packets begin with a keyframe. At most [`AUDIO_TIMEOUT`] of frames are held back, once;
//! later openings hold back nothing.

use std::collections::VecDeque;

use crate::core::time::Span;
use crate::gst::packet::{Packet, PacketKind};

/// A track without packets for this long counts as absent.
pub(super) const AUDIO_TIMEOUT: Span = Span::from_ms(1500);

/// The tracks of an output.
#[derive(Clone, Debug)]
pub(crate) struct Formats {
    /// A video packet, for its format.
    pub image: Packet,
    /// An audio packet, for its format; `None` where there is no audio.
    pub audio: Option<Packet>,
}

/// Holds the first packets back until the tracks are known.
#[derive(Default)]
pub(super) struct Preroll {
    held: VecDeque<Packet>,
    /// Whether audio has arrived, or the wait for it has timed out.
    settled: bool,
    image: Option<Packet>,
    audio: Option<Packet>,
}

impl Preroll {
    /// Adds a packet; [`Preroll::pop`] gives what is ready.
    pub(super) fn push(&mut self, packet: Packet) {
        match packet.kind {
            PacketKind::Video { .. } => self.image = Some(packet.clone()),
            PacketKind::Audio => self.audio = Some(packet.clone()),
        }
        let is_first = !self.settled && self.held.is_empty();
        if is_first && packet.kind != (PacketKind::Video { keyframe: true }) {
            return;
        }
        self.held.push_back(packet);
        let waited = |first: &Packet, last: &Packet| last.at - first.at >= AUDIO_TIMEOUT;
        let timed_out = self.held.front().zip(self.held.back()).is_some_and(|(a, b)| waited(a, b));
        self.settled |= self.audio.is_some() || timed_out;
    }

    /// The next packet that is not held back.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        if self.settled { self.held.pop_front() } else { None }
    }

    /// The tracks as they are at `image`.
    pub(super) fn formats(&self, image: &Packet) -> Formats {
        let audio = self.audio.clone().filter(|s| image.at - s.at < AUDIO_TIMEOUT);
        Formats { image: image.clone(), audio }
    }
}

impl Formats {
    /// Whether an output with these tracks must be reopened at the keyframe `now`.
    pub(crate) fn outdated(&self, now: &Formats) -> bool {
        let format = |p: &Packet| p.caps.clone();
        self.image.caps != now.image.caps
            || self.audio.as_ref().map(format) != now.audio.as_ref().map(format)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::gst::{audio, image};
    use super::*;

    fn all(preroll: &mut Preroll) -> Vec<i64> {
        std::iter::from_fn(|| preroll.pop()).map(|p| p.at.ns() / 1_000_000).collect()
    }

    #[test]
    fn frames_wait_until_it_is_known_whether_there_is_audio() {
        let mut preroll = Preroll::default();
        preroll.push(image(0, false));
        preroll.push(image(40, true));
        preroll.push(image(80, false));
        assert_eq!(all(&mut preroll), [0; 0], "nothing is known about audio yet");
        preroll.push(audio(90));
        assert_eq!(all(&mut preroll), [40, 80, 90]);
        let formats = preroll.formats(&image(120, true));
        assert!(formats.audio.is_some());
        assert!(!formats.outdated(&preroll.formats(&image(160, true))));
        // The audio ends for good.
        let later = preroll.formats(&image(1700, true));
        assert!(later.audio.is_none() && formats.outdated(&later));
    }

    #[test]
    fn missing_audio_delays_only_the_first_opening() {
        let mut preroll = Preroll::default();
        for at in (0..=1480).step_by(40) {
            preroll.push(image(at, at == 0));
        }
        assert_eq!(all(&mut preroll), [0; 0]);
        preroll.push(image(1520, false));
        assert_eq!(all(&mut preroll).len(), 39);
        preroll.push(image(1560, false));
        assert_eq!(all(&mut preroll), [1560]);
    }
}

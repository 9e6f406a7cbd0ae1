//! Which tracks a sink has, and when what is open must be opened anew.
//!
//! Takes the packets of a sink's queue in order; gives them back once it is known whether there is
//! audio ([`Preroll`]), and says whether what was opened still fits ([`Formats`]). Used by every sink
//! that fixes its tracks when it opens: a muxer, a push.
//!
//! Promises: what is given back begins with a keyframe; at most [`AUDIO_TIMEOUT`] of frames are held,
//! once; later openings hold nothing back.

use std::collections::VecDeque;

use crate::core::time::Span;
use crate::gst::packet::{Packet, PacketKind};

/// A track without packets for so long is not there.
pub(super) const AUDIO_TIMEOUT: Span = Span::from_ms(1500);

/// The tracks of something that is open.
#[derive(Clone, Debug)]
pub(crate) struct Formats {
    /// A frame with the format of all.
    pub image: Packet,
    /// A stretch of audio with the format of all; `None` where there is no audio.
    pub audio: Option<Packet>,
}

/// Holds the first packets back until the tracks are known.
#[derive(Default)]
pub(super) struct Preroll {
    held: VecDeque<Packet>,
    /// Whether audio has come, or the wait for it has timed out.
    settled: bool,
    image: Option<Packet>,
    audio: Option<Packet>,
}

impl Preroll {
    /// Takes a packet; [`Preroll::pop`] gives what is ready.
    pub(super) fn push(&mut self, packet: Packet) {
        match packet.kind {
            PacketKind::Video { .. } => self.image = Some(packet.clone()),
            PacketKind::Audio => self.audio = Some(packet.clone()),
        }
        let nothing_yet = !self.settled && self.held.is_empty();
        if nothing_yet && packet.kind != (PacketKind::Video { keyframe: true }) {
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
    /// Whether what was opened with these tracks must be opened anew at the keyframe `now`.
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
        // It falls silent for good.
        let later = preroll.formats(&image(1700, true));
        assert!(later.audio.is_none() && formats.outdated(&later));
    }

    #[test]
    fn audio_that_never_comes_is_not_waited_for_twice() {
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

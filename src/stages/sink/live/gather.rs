//! Which tracks there are right now, and when what is open must be opened anew.
//!
//! Takes the packets of a sink's edge in order; gives them back once it is known whether there is
//! audio ([`Gather`]), and says whether what was opened still fits ([`Formats`]). Used by every sink
//! that fixes its tracks when it opens: a muxer, a push.
//!
//! Promises: what is given back begins with a keyframe; at most [`AUDIO_PATIENCE`] of frames
//! are held, once; later openings hold nothing back.

use std::collections::VecDeque;

use crate::core::time::Span;
use crate::gst::packet::{Kind, Packet};

/// Audio that has not come for so long is not there.
pub const AUDIO_PATIENCE: Span = Span::from_ms(1500);

/// The tracks of something that is open.
#[derive(Clone, Debug)]
pub struct Formats {
    /// A frame with the format of all.
    pub image: Packet,
    /// A stretch of audio with the format of all; `None` where there is no audio.
    pub audio: Option<Packet>,
}

/// Watches packets go by.
#[derive(Default)]
pub struct Gather {
    held: VecDeque<Packet>,
    /// Whether audio has come, or has been waited for in vain.
    settled: bool,
    image: Option<Packet>,
    audio: Option<Packet>,
}

impl Gather {
    /// Takes a packet; what is ready now comes out of [`Gather::pop`].
    pub fn push(&mut self, packet: Packet) {
        match packet.kind {
            Kind::Image { .. } => self.image = Some(packet.clone()),
            Kind::Audio => self.audio = Some(packet.clone()),
        }
        let nothing_yet = !self.settled && self.held.is_empty();
        if nothing_yet && packet.kind != (Kind::Image { key: true }) {
            return;
        }
        self.held.push_back(packet);
        let waited = |first: &Packet, last: &Packet| last.at - first.at >= AUDIO_PATIENCE;
        let in_vain = self.held.front().zip(self.held.back()).is_some_and(|(a, b)| waited(a, b));
        self.settled |= self.audio.is_some() || in_vain;
    }

    /// The next packet, where it may go on.
    pub fn pop(&mut self) -> Option<Packet> {
        if self.settled { self.held.pop_front() } else { None }
    }

    /// The tracks as they are at `image`.
    pub fn formats(&self, image: &Packet) -> Formats {
        let audio = self.audio.clone().filter(|s| image.at - s.at < AUDIO_PATIENCE);
        Formats { image: image.clone(), audio }
    }
}

impl Formats {
    /// Whether what was opened with these tracks must be opened anew at the keyframe `now`.
    pub fn outdated(&self, now: &Formats) -> bool {
        let format = |p: &Packet| p.caps.clone();
        self.image.caps != now.image.caps
            || self.audio.as_ref().map(format) != now.audio.as_ref().map(format)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::gst::{audio, image};
    use super::*;

    fn all(gather: &mut Gather) -> Vec<i64> {
        std::iter::from_fn(|| gather.pop()).map(|p| p.at.ns() / 1_000_000).collect()
    }

    #[test]
    fn frames_wait_until_it_is_known_whether_there_is_audio() {
        let mut gather = Gather::default();
        gather.push(image(0, false));
        gather.push(image(40, true));
        gather.push(image(80, false));
        assert_eq!(all(&mut gather), [0; 0], "nothing is known about audio yet");
        gather.push(audio(90));
        assert_eq!(all(&mut gather), [40, 80, 90]);
        let formats = gather.formats(&image(120, true));
        assert!(formats.audio.is_some());
        assert!(!formats.outdated(&gather.formats(&image(160, true))));
        // It falls silent for good.
        let later = gather.formats(&image(1700, true));
        assert!(later.audio.is_none() && formats.outdated(&later));
    }

    #[test]
    fn audio_that_never_comes_is_not_waited_for_twice() {
        let mut gather = Gather::default();
        for at in (0..=1480).step_by(40) {
            gather.push(image(at, at == 0));
        }
        assert_eq!(all(&mut gather), [0; 0]);
        gather.push(image(1520, false));
        assert_eq!(all(&mut gather).len(), 39);
        gather.push(image(1560, false));
        assert_eq!(all(&mut gather), [1560]);
    }
}

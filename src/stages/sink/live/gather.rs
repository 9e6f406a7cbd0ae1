//! Which tracks there are right now, and when what is open must be opened anew.
//!
//! Takes the packets of a sink's edge in order; gives them back once it is known whether there is
//! sound ([`Gather`]), and says whether what was opened still fits ([`Formats`]). Used by every sink
//! that fixes its tracks when it opens: a muxer, a push.
//!
//! Promises: what is given back begins with a key picture; at most [`SOUND_PATIENCE`] of pictures
//! are held, once; later openings hold nothing back.

use std::collections::VecDeque;

use crate::core::time::Span;
use crate::gst::packet::{Kind, Packet};

/// Sound that has not come for so long is not there.
pub const SOUND_PATIENCE: Span = Span::from_ms(1500);

/// The tracks of something that is open.
#[derive(Clone, Debug)]
pub struct Formats {
    /// A picture with the format of all.
    pub picture: Packet,
    /// A stretch of sound with the format of all; `None` where there is no sound.
    pub sound: Option<Packet>,
}

/// Watches packets go by.
#[derive(Default)]
pub struct Gather {
    held: VecDeque<Packet>,
    /// Whether sound has come, or has been waited for in vain.
    settled: bool,
    picture: Option<Packet>,
    sound: Option<Packet>,
}

impl Gather {
    /// Takes a packet; what is ready now comes out of [`Gather::pop`].
    pub fn push(&mut self, packet: Packet) {
        match packet.kind {
            Kind::Picture { .. } => self.picture = Some(packet.clone()),
            Kind::Sound => self.sound = Some(packet.clone()),
        }
        let nothing_yet = !self.settled && self.held.is_empty();
        if nothing_yet && packet.kind != (Kind::Picture { key: true }) {
            return;
        }
        self.held.push_back(packet);
        let waited = |first: &Packet, last: &Packet| last.at - first.at >= SOUND_PATIENCE;
        let in_vain = self.held.front().zip(self.held.back()).is_some_and(|(a, b)| waited(a, b));
        self.settled |= self.sound.is_some() || in_vain;
    }

    /// The next packet, where it may go on.
    pub fn pop(&mut self) -> Option<Packet> {
        if self.settled { self.held.pop_front() } else { None }
    }

    /// The tracks as they are at `picture`.
    pub fn formats(&self, picture: &Packet) -> Formats {
        let sound = self.sound.clone().filter(|s| picture.at - s.at < SOUND_PATIENCE);
        Formats { picture: picture.clone(), sound }
    }
}

impl Formats {
    /// Whether what was opened with these tracks must be opened anew at the key picture `now`.
    pub fn outdated(&self, now: &Formats) -> bool {
        let format = |p: &Packet| p.caps.clone();
        self.picture.caps != now.picture.caps
            || self.sound.as_ref().map(format) != now.sound.as_ref().map(format)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::gst::{picture, sound};
    use super::*;

    fn all(gather: &mut Gather) -> Vec<i64> {
        std::iter::from_fn(|| gather.pop()).map(|p| p.at.ns() / 1_000_000).collect()
    }

    #[test]
    fn pictures_wait_until_it_is_known_whether_there_is_sound() {
        let mut gather = Gather::default();
        gather.push(picture(0, false));
        gather.push(picture(40, true));
        gather.push(picture(80, false));
        assert_eq!(all(&mut gather), [0; 0], "nothing is known about sound yet");
        gather.push(sound(90));
        assert_eq!(all(&mut gather), [40, 80, 90]);
        let formats = gather.formats(&picture(120, true));
        assert!(formats.sound.is_some());
        assert!(!formats.outdated(&gather.formats(&picture(160, true))));
        // It falls silent for good.
        let later = gather.formats(&picture(1700, true));
        assert!(later.sound.is_none() && formats.outdated(&later));
    }

    #[test]
    fn sound_that_never_comes_is_not_waited_for_twice() {
        let mut gather = Gather::default();
        for at in (0..=1480).step_by(40) {
            gather.push(picture(at, at == 0));
        }
        assert_eq!(all(&mut gather), [0; 0]);
        gather.push(picture(1520, false));
        assert_eq!(all(&mut gather).len(), 39);
        gather.push(picture(1560, false));
        assert_eq!(all(&mut gather), [1560]);
    }
}

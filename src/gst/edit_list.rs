//! Works around qtdemux ending a file early, up to GStreamer 1.22.2.
//!
//! qtdemux compares the time of a sample *in its track* with the duration of the movie. If an edit
//! list skips the start of a track (encoder delay, B-frames), track time is ahead of movie time by
//! that amount, and as much is missing at the end: an audio packet or two in most files, a third of
//! a second of video in some. qtdemux reads the duration from `mvhd` and uses it only for this
//! check and for display. The probe here therefore adds the longest skipped time to it as the
//! header passes. Each track still ends where its own edit list says.
//!
//! GStreamer 1.22.3 fixed this (its release notes: *Revert "qtdemux: fix conditions for end of
//! segment in reverse playback" to fix edit list regression*). This module can be removed once
//! 1.22.3 is the oldest supported version; Debian 12 has 1.22.0.

use gstreamer as gst;
use gstreamer::prelude::*;

/// Extends the duration in the movie header that is pulled from `source`.
pub(crate) fn attach(source: &gst::Element) {
    let Some(pad) = source.static_pad("src") else { return };
    let kind = gst::PadProbeType::PULL | gst::PadProbeType::BUFFER;
    pad.add_probe(kind, |_, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else {
            return gst::PadProbeReturn::Ok;
        };
        let is_header = buffer.map_readable().is_ok_and(|map| map.get(4..8) == Some(b"moov"));
        if is_header {
            // If the buffer cannot be written, only the end of the file is lost.
            if let Ok(mut map) = buffer.make_mut().map_writable() {
                extend_duration(&mut map);
            }
        }
        gst::PadProbeReturn::Ok
    });
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// The atoms in `bytes[from..to]`: name, start of content, end. Ends at an invalid atom.
fn atoms(bytes: &[u8], from: usize, to: usize) -> Vec<([u8; 4], usize, usize)> {
    let (mut found, mut at) = (Vec::new(), from);
    while let (Some(size), Some(name)) = (u32_at(bytes, at), bytes.get(at + 4..at + 8)) {
        let end = at.saturating_add(size as usize);
        if size < 8 || end > to {
            break;
        }
        found.push((name.try_into().unwrap_or_default(), at + 8, end));
        at = end;
    }
    found
}

fn child(bytes: &[u8], (from, to): (usize, usize), name: &[u8; 4]) -> Option<(usize, usize)> {
    let atom = atoms(bytes, from, to).into_iter().find(|a| &a.0 == name)?;
    Some((atom.1, atom.2))
}

/// Seconds that the edit list skips at the start of the track.
fn skipped_seconds(bytes: &[u8], track: (usize, usize)) -> Option<f64> {
    let mdhd = child(bytes, child(bytes, track, b"mdia")?, b"mdhd")?.0;
    let timescale = u32_at(bytes, mdhd + if bytes.get(mdhd) == Some(&1) { 20 } else { 12 })?;
    let elst = child(bytes, child(bytes, track, b"edts")?, b"elst")?.0;
    let is_64_bit = bytes.get(elst) == Some(&1);
    let entries = u32_at(bytes, elst + 4)?.min(16) as usize;
    let longest = (0..entries)
        .filter_map(|i| match is_64_bit {
            true => u64_at(bytes, elst + 8 + i * 20 + 8).map(|t| t as i64),
            false => u32_at(bytes, elst + 8 + i * 12 + 4).map(|t| i64::from(t as i32)),
        })
        .max()?;
    (timescale > 0 && longest > 0).then(|| longest as f64 / f64::from(timescale))
}

/// Adds the longest time that an edit list skips to the duration in a whole `moov` atom. Returns
/// the seconds added; an invalid atom is not changed.
fn extend_duration(moov: &mut [u8]) -> Option<f64> {
    let content = (8, moov.len());
    let tracks = atoms(moov, content.0, content.1).into_iter().filter(|a| &a.0 == b"trak");
    let skips = tracks.filter_map(|t| skipped_seconds(moov, (t.1, t.2)));
    let seconds = skips.fold(0.0, f64::max);
    let mvhd = child(moov, content, b"mvhd")?.0;
    let is_64_bit = moov.get(mvhd) == Some(&1);
    let (scale_at, at) = if is_64_bit { (mvhd + 20, mvhd + 24) } else { (mvhd + 12, mvhd + 16) };
    let added = (seconds * f64::from(u32_at(moov, scale_at)?)).ceil();
    if added <= 0.0 || added > f64::from(u32::MAX) {
        return None;
    }
    if is_64_bit {
        let duration = u64_at(moov, at)?.checked_add(added as u64)?;
        moov.get_mut(at..at + 8)?.copy_from_slice(&duration.to_be_bytes());
    } else {
        let duration = u32_at(moov, at)?.checked_add(added as u32)?;
        moov.get_mut(at..at + 4)?.copy_from_slice(&duration.to_be_bytes());
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn atom(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).expect("small");
        [&size.to_be_bytes()[..], name, content].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_be_bytes()).collect()
    }

    fn movie(media_time: u32) -> Vec<u8> {
        let mvhd = atom(b"mvhd", &words(&[0, 0, 0, 1_000, 8_000, 0]));
        let elst = atom(b"elst", &words(&[0, 1, 8_000, media_time, 65_536]));
        let mdhd = atom(b"mdhd", &words(&[0, 0, 0, 16_000, 129_024, 0]));
        let track = [atom(b"edts", &elst), atom(b"mdia", &mdhd)].concat();
        atom(b"moov", &[mvhd, atom(b"trak", &track)].concat())
    }

    #[test]
    fn the_movie_duration_covers_its_tracks() {
        let mut moov = movie(1_024);
        assert_eq!(extend_duration(&mut moov), Some(0.064));
        assert_eq!(u32_at(&moov, 8 + 8 + 16), Some(8_064));
        let mut plain = movie(0);
        assert_eq!(extend_duration(&mut plain), None);
        assert_eq!(plain, movie(0));
    }

    proptest! {
        #[test]
        fn invalid_atoms_are_kept(at in 0_usize..120, value in any::<u8>(), cut in 0_usize..130) {
            let mut moov = movie(1_024);
            if let Some(byte) = moov.get_mut(at) { *byte = value; }
            moov.truncate(cut.max(8));
            extend_duration(&mut moov);
        }
    }
}

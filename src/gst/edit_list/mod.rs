//! Guards against what qtdemux makes of a movie header's edit lists.
//!
//! The header is corrected while it passes by; nothing else in the file is touched.
//!
//! - A frame is shown from an edit list's first instant only if it begins there or later, and the
//!   first such frame begins there. GStreamer also shows the rest of a frame from before. Where a
//!   cut without encoding lies between two frames, the edit list is made to begin with the later.
//! - Without an edit list, qtdemux ends a track at its stated duration. Frames that are stored out
//!   of order are shown later than decoded, so the last of them are missing. Such a track is given
//!   an edit list that skips nothing, in the place of an atom that qtdemux does not read.
//! - GStreamer 1.22's qtdemux compares a sample's time *inside its track* with the movie's duration.
//!   Where track time runs ahead of movie time (encoder delay, frames out of order), that much is
//!   missing at the end: an audio packet or two in most files, a third of a second of frames in
//!   some. The movie's duration is read from `mvhd` and used for nothing else but that and for
//!   display, so it is lengthened by the longest such stretch; each track still ends where its own
//!   edit list says.

mod atoms;

use std::sync::{Arc, OnceLock};

use gstreamer as gst;
use gstreamer::prelude::*;

use atoms::{Range, composition_offsets, duration, find, put_u32, put_u64, u32_at, u64_at};

/// Bytes of an edit list with one entry, with the atom around it.
const EDIT_LIST_BYTES: usize = 36;

/// How much longer a movie says that it is than its own header did.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddedDuration(Arc<OnceLock<f64>>);

impl AddedDuration {
    /// In seconds; zero while no header has passed by.
    pub(crate) fn seconds(&self) -> f64 {
        self.0.get().copied().unwrap_or(0.0)
    }
}

/// Watches what is pulled from `source` for a movie header.
pub(crate) fn attach(source: &gst::Element) -> AddedDuration {
    let added = AddedDuration::default();
    let Some(pad) = source.static_pad("src") else { return added };
    let seconds = Arc::clone(&added.0);
    let kind = gst::PadProbeType::PULL | gst::PadProbeType::BUFFER;
    pad.add_probe(kind, move |_, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else {
            return gst::PadProbeReturn::Ok;
        };
        let is_header = buffer.map_readable().is_ok_and(|map| map.get(4..8) == Some(b"moov"));
        if is_header {
            // A buffer that cannot be written is read as it is: the end of the film is lost then,
            // and nothing else.
            if let Ok(mut map) = buffer.make_mut().map_writable() {
                let added = correct(&mut map);
                // The head of the header is read by itself first.
                if added > 0.0 {
                    let _ = seconds.set(added);
                }
            }
        }
        gst::PadProbeReturn::Ok
    });
    added
}

/// Corrects a whole `moov` atom. Anything that makes no sense is left alone. Returns the seconds
/// added to the movie's duration.
fn correct(moov: &mut [u8]) -> f64 {
    for track in atoms::tracks(moov) {
        if !atoms::is_video(moov, track) {
            continue;
        }
        match edits(moov, track).first() {
            Some(edit) => {
                begin_with_frame(moov, track, *edit);
            }
            None if longest_composition_offset(moov, track).is_some()
                && add_edit_list(moov, track).is_none() =>
            {
                tracing::warn!("the movie header has no room; the last frames may be missing");
            }
            None => {}
        }
    }
    extend_duration(moov).unwrap_or(0.0)
}

/// An entry of an edit list.
#[derive(Clone, Copy)]
struct Edit {
    /// Where the entry is, and whether it is of 64 bits.
    at: (usize, bool),
    /// How long it shows the track, in ticks of the movie.
    ticks: u64,
    /// From where on, in ticks of the track.
    media_time: i64,
}

/// The edit list's entries that show something, the first few.
fn edits(bytes: &[u8], track: Range) -> Vec<Edit> {
    let Some((elst, _)) = find(bytes, track, &[b"edts", b"elst"]) else { return Vec::new() };
    let wide = bytes.get(elst) == Some(&1);
    let entries = u32_at(bytes, elst + 4).unwrap_or(0).min(16) as usize;
    let edit = |i| {
        let at = elst + 8 + i * if wide { 20 } else { 12 };
        let (ticks, media_time) = if wide {
            (u64_at(bytes, at)?, u64_at(bytes, at + 8)? as i64)
        } else {
            (u32_at(bytes, at)?.into(), i64::from(u32_at(bytes, at + 4)? as i32))
        };
        Some(Edit { at: (at, wide), ticks, media_time })
    };
    // A time before zero is an empty stretch.
    (0..entries).map_while(edit).filter(|edit| edit.media_time >= 0).collect()
}

/// Makes `edit` begin with the first frame that is not before it.
fn begin_with_frame(moov: &mut [u8], track: Range, edit: Edit) -> Option<()> {
    let later = atoms::sample_times(moov, track).filter(|at| *at >= edit.media_time);
    let first = later.min().filter(|first| *first > edit.media_time)?;
    let own = duration(moov, track, &[b"mdia", b"mdhd"])?;
    let movie = duration(moov, (8, moov.len()), &[b"mvhd"])?;
    let skipped = u64::try_from(first - edit.media_time).ok()?;
    let skipped = skipped.checked_mul(movie.timescale.into())? / u64::from(own.timescale);
    let ticks = edit.ticks.saturating_sub(skipped);
    match edit.at {
        (at, true) => {
            put_u64(moov, at, ticks)?;
            put_u64(moov, at + 8, u64::try_from(first).ok()?)
        }
        (at, false) => {
            put_u32(moov, at, u32::try_from(ticks).ok()?)?;
            put_u32(moov, at + 4, u32::try_from(first).ok()?)
        }
    }
}

/// Gives `track` an edit list that shows it from its zero until its last frame ends.
fn add_edit_list(moov: &mut [u8], track: Range) -> Option<()> {
    let own = duration(moov, track, &[b"mdia", b"mdhd"])?;
    let movie = duration(moov, (8, moov.len()), &[b"mvhd"])?;
    let offset = u64::try_from(longest_composition_offset(moov, track)?).ok()?;
    let shown = (own.ticks + offset).checked_mul(movie.timescale.into())?;
    let shown = u32::try_from(shown.div_ceil(own.timescale.into())).ok()?;
    let media = find(moov, track, &[b"mdia"])?.0 - 8;
    let information = find(moov, track, &[b"mdia", b"minf"])?.0 - 8;
    // It says in which file the samples are, which qtdemux takes for granted.
    let (from, end) = find(moov, track, &[b"mdia", b"minf", b"dinf"])?;
    let room = end - (from - 8);
    let rest = room.checked_sub(EDIT_LIST_BYTES).filter(|rest| *rest == 0 || *rest >= 8)?;
    let shrunk = |at| u32_at(moov, at)?.checked_sub(u32::try_from(room).ok()?);
    let (media_size, information_size) = (shrunk(media)?, shrunk(information)?);
    moov.get_mut(media..end)?.rotate_right(room);
    put_u32(moov, media + room, media_size)?;
    put_u32(moov, information + room, information_size)?;
    put_atom(moov, media, EDIT_LIST_BYTES, *b"edts")?;
    put_atom(moov, media + 8, EDIT_LIST_BYTES - 8, *b"elst")?;
    for (i, word) in [0, 1, shown, 0, 1 << 16].into_iter().enumerate() {
        put_u32(moov, media + 16 + 4 * i, word)?;
    }
    if rest > 0 {
        put_atom(moov, media + EDIT_LIST_BYTES, rest, *b"free")?;
    }
    Some(())
}

/// Writes the head of an atom of `size` bytes at `at`.
fn put_atom(bytes: &mut [u8], at: usize, size: usize, name: [u8; 4]) -> Option<()> {
    put_u32(bytes, at, u32::try_from(size).ok()?)?;
    put_u32(bytes, at + 4, u32::from_be_bytes(name))
}

/// How much later than decoded a frame of the track is shown at most, in the track's time.
fn longest_composition_offset(bytes: &[u8], track: Range) -> Option<i64> {
    composition_offsets(bytes, track).map(|(_, offset)| offset).max().filter(|longest| *longest > 0)
}

/// Seconds by which the track's own time runs ahead of the movie's.
fn seconds_ahead(bytes: &[u8], track: Range) -> Option<f64> {
    let own = duration(bytes, track, &[b"mdia", b"mdhd"])?;
    let skipped = edits(bytes, track).iter().map(|edit| edit.media_time).max();
    let skipped = skipped.filter(|time| *time > 0);
    let ahead = skipped.or_else(|| longest_composition_offset(bytes, track))?;
    Some(ahead as f64 / f64::from(own.timescale))
}

/// Lengthens the movie's duration by the longest stretch that a track runs ahead; returns that in
/// seconds.
fn extend_duration(moov: &mut [u8]) -> Option<f64> {
    let stretches = atoms::tracks(moov).into_iter().filter_map(|track| seconds_ahead(moov, track));
    let seconds = stretches.fold(0.0, f64::max);
    let movie = duration(moov, (8, moov.len()), &[b"mvhd"])?;
    let added = (seconds * f64::from(movie.timescale)).ceil();
    if added <= 0.0 || added > f64::from(u32::MAX) {
        return None;
    }
    let ticks = movie.ticks.checked_add(added as u64)?;
    match movie.at {
        (at, true) => put_u64(moov, at, ticks)?,
        (at, false) => put_u32(moov, at, u32::try_from(ticks).ok()?)?,
    }
    Some(seconds)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

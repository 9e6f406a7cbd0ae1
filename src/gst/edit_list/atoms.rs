//! The tree of atoms inside a movie header, and what a track in it says of its samples.
//!
//! Everything is checked: what makes no sense is `None`, or ends a list.

/// Samples of a track that are looked at; at 60 frames a second these are three days.
const MAX_SAMPLES: usize = 1 << 24;

/// A range of bytes: where an atom's content begins and ends.
pub(super) type Range = (usize, usize);

/// The 32 bits at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The 64 bits at `at`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Writes `value` at `at`.
pub(super) fn put_u32(bytes: &mut [u8], at: usize, value: u32) -> Option<()> {
    bytes.get_mut(at..at + 4)?.copy_from_slice(&value.to_be_bytes());
    Some(())
}

/// Writes `value` at `at`.
pub(super) fn put_u64(bytes: &mut [u8], at: usize, value: u64) -> Option<()> {
    bytes.get_mut(at..at + 8)?.copy_from_slice(&value.to_be_bytes());
    Some(())
}

/// The atoms in `bytes[from..to]`: name, start of content, end. Ends at what makes no sense.
fn atoms(bytes: &[u8], (from, to): Range) -> Vec<([u8; 4], usize, usize)> {
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

/// The atom at the end of `path` inside `within`.
pub(super) fn find(bytes: &[u8], within: Range, path: &[&[u8; 4]]) -> Option<Range> {
    path.iter().try_fold(within, |within, name| {
        let atom = atoms(bytes, within).into_iter().find(|a| &a.0 == *name)?;
        Some((atom.1, atom.2))
    })
}

/// The tracks of a whole `moov` atom.
pub(super) fn tracks(moov: &[u8]) -> Vec<Range> {
    let tracks = atoms(moov, (8, moov.len())).into_iter().filter(|a| &a.0 == b"trak");
    tracks.map(|a| (a.1, a.2)).collect()
}

/// A number of ticks and how many make a second, at home in `mvhd` or `mdhd`.
#[derive(Clone, Copy)]
pub(super) struct Duration {
    /// Ticks in a second; not zero.
    pub(super) timescale: u32,
    /// Ticks.
    pub(super) ticks: u64,
    /// Where the ticks are, and whether in 64 bits.
    pub(super) at: (usize, bool),
}

/// The duration that the header `path` inside `within` states.
pub(super) fn duration(bytes: &[u8], within: Range, path: &[&[u8; 4]]) -> Option<Duration> {
    let header = find(bytes, within, path)?.0;
    let wide = bytes.get(header) == Some(&1);
    let (scale_at, at) = if wide { (header + 20, header + 24) } else { (header + 12, header + 16) };
    let timescale = u32_at(bytes, scale_at).filter(|scale| *scale > 0)?;
    let ticks = if wide { u64_at(bytes, at)? } else { u32_at(bytes, at)?.into() };
    Some(Duration { timescale, ticks, at: (at, wide) })
}

/// Whether `track` has frames.
pub(super) fn is_video(bytes: &[u8], track: Range) -> bool {
    let handler = find(bytes, track, &[b"mdia", b"hdlr"]);
    handler.is_some_and(|(at, _)| bytes.get(at + 8..at + 12) == Some(b"vide"))
}

/// Pairs of numbers in the table `name` of `track`.
fn table<'a>(
    bytes: &'a [u8],
    track: Range,
    name: &[u8; 4],
) -> Option<impl Iterator<Item = (u32, u32)> + use<'a>> {
    let (at, end) = find(bytes, track, &[b"mdia", b"minf", b"stbl", name])?;
    let (pairs, _) = bytes.get(at + 8..end)?.as_chunks::<8>();
    let pairs = pairs.iter().take(u32_at(bytes, at + 4)? as usize);
    Some(pairs.map(|pair| (u32_at(pair, 0).unwrap_or(0), u32_at(pair, 4).unwrap_or(0))))
}

/// How much later than it is decoded each sample of `track` is shown, with repetitions, in ticks;
/// nothing where samples are shown in the order in which they are stored.
pub(super) fn composition_offsets(bytes: &[u8], track: Range) -> impl Iterator<Item = (u32, i64)> {
    // Signed in the newer version, and some write the older one so.
    let offsets = table(bytes, track, b"ctts").into_iter().flatten();
    offsets.map(|(count, offset)| (count, i64::from(offset as i32)))
}

/// When each sample of `track` is shown, in ticks of the track's own time.
pub(super) fn sample_times(bytes: &[u8], track: Range) -> impl Iterator<Item = i64> {
    let steps = table(bytes, track, b"stts").into_iter().flatten();
    let steps = steps.flat_map(|(count, step)| (0..count).map(move |_| i64::from(step)));
    let decoded = steps.scan(0_i64, |next, step| {
        let at = *next;
        *next += step;
        Some(at)
    });
    let offsets = composition_offsets(bytes, track)
        .flat_map(|(count, offset)| (0..count).map(move |_| offset))
        .chain(std::iter::repeat(0));
    decoded.zip(offsets).map(|(at, offset)| at + offset).take(MAX_SAMPLES)
}

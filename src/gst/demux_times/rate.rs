//! A stream's own rate.

use gstreamer as gst;
use gstreamer::prelude::*;

/// How long a frame lasts by the rate that `pad`'s stream states; `None` where it states none.
/// The rate may come later than the pad, but comes before the first frame.
pub(super) fn frame_duration(pad: &gst::Pad) -> Option<gst::ClockTime> {
    let caps = pad.current_caps()?;
    let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok()?;
    let (num, den) = (u64::try_from(rate.numer()).ok()?, u64::try_from(rate.denom()).ok()?);
    (num > 0).then(|| gst::ClockTime::from_nseconds(1_000_000_000 * den / num))
}

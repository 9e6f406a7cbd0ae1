//! What the tests of the live sinks share: packets of a test frame and a test tone.

pub(crate) mod gst;

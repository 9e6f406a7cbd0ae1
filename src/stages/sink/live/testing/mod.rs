//! What the tests of the live sinks share: packets of a test pattern and a test tone.

pub(crate) mod gst;

//! A live source in GStreamer: the element for its address, and the pipeline that decodes it.

mod element;
pub(crate) mod intake;

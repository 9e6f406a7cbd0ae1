//! The stages of the pipeline, one folder each:
//! source → sync → detect → track → features → score → explain → overlay → sink.

pub mod detect;
pub mod explain;
pub mod features;
pub mod overlay;
pub mod score;
pub mod sink;
pub mod source;
pub(crate) mod sync;
pub mod track;

//! The way of a frame, one folder a stage:
//! source → sync → detect → track → features → score → explain → overlay → sink.

pub mod score;
pub mod sink;
pub mod source;
pub mod sync;
pub mod track;
//! The stages a frame passes, one folder each, in the field's own words.

pub mod explain;
pub mod overlay;
//! The stages of the pipeline, one folder each, in the order in which a frame meets them.

pub mod detect;
pub mod features;
pub mod resample;

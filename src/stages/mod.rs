//! The stages a frame passes, one folder each, in the field's own words.

pub mod explain;
pub mod overlay;

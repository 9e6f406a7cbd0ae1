//! The stages that a frame passes, one folder each, in the field's own words.

pub mod score;
pub mod sink;
pub mod track;

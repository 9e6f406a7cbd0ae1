//! Features: what the scorer's models are fed.
//!
//! Takes pictures, tracks and sound; gives 112×112 grey face crops and spectral rows on the
//! models' 25 fps grid. Sound is turned into rows once per stream, not once per face.

pub mod audio_line;
pub mod crop;
#[cfg(test)]
mod golden;
mod mel;
pub mod mfcc;
mod rows;
pub mod smooth;

//! Features: the inputs of the scorer's models.
//!
//! Takes frames, tracks and audio; gives 112×112 grey face crops and spectral rows on the models'
//! 25 fps grid. Audio features are computed once per stream, not once per face.

pub mod audio_features;
pub mod crop;
#[cfg(test)]
mod golden;
mod mel;
pub mod mfcc;
mod rows;
pub(crate) mod smooth;

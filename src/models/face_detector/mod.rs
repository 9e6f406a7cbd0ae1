//! What the program asks of a face detector, whatever runs it; [`input`] makes its input tensor and
//! [`boxes`] reads its outputs.

pub mod boxes;
pub mod input;

use std::error::Error;

use crate::core::frame::ImageView;
use crate::core::geometry::FaceBox;

/// Finds faces in frames.
pub trait FaceDetector {
    /// The faces of `image`, strongest first, looked for with the frame's longer side reduced
    /// to `long_side_px` (never enlarged).
    ///
    /// # Errors
    /// Where the inference engine fails or the model's outputs are not a face detector's.
    fn detect(
        &mut self,
        image: &ImageView<'_>,
        long_side_px: u32,
    ) -> Result<Vec<FaceBox>, DetectError>;

    /// Whether a part of a frame costs it as much less as the part is smaller.
    fn benefits_from_regions(&self) -> bool {
        false
    }
}

/// Why no faces could be looked for.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The engine that runs the model failed.
    #[error("the inference engine failed on the face detector: {0}")]
    Engine(#[source] Box<dyn Error + Send + Sync>),
    /// An output has not the size that the input asks for.
    #[error(
        "the face detector's output `{output}` has {got} values where {cols}x{rows} cells of \
         stride {stride} need {expected}: is the model a YuNet? (`locutor models verify` tells)"
    )]
    Shape {
        /// The output's name: cls, obj, bbox or kps.
        output: &'static str,
        /// Pixels per cell.
        stride: u32,
        /// Cells across.
        cols: usize,
        /// Cells down.
        rows: usize,
        /// Values that are needed.
        expected: usize,
        /// Values that are there.
        got: usize,
    },
}

//! The interface of a face detector, for any inference engine. [`input`] makes its input tensor,
//! [`boxes`] decodes its outputs.

pub(crate) mod boxes;
pub mod input;

use std::error::Error;

use crate::core::frame::ImageView;
use crate::core::geometry::FaceBox;

/// Finds faces in frames.
pub trait FaceDetector {
    /// The faces of `image`, highest confidence first. The image is searched with its longer side
    /// reduced to `long_side_px` (never enlarged).
    ///
    /// # Errors
    /// The inference engine fails, or the model's outputs are not those of a face detector.
    fn detect(
        &mut self,
        image: &ImageView<'_>,
        long_side_px: u32,
    ) -> Result<Vec<FaceBox>, DetectError>;

    /// Whether its cost falls in proportion to the size of the searched region.
    fn benefits_from_regions(&self) -> bool {
        false
    }
}

/// Why the face detection failed.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The inference engine failed.
    #[error("the inference engine failed on the face detector: {0}")]
    Engine(#[source] Box<dyn Error + Send + Sync>),
    /// An output's size does not match the input.
    #[error(
        "the face detector's output `{output}` has {got} values where {cols}x{rows} cells of \
         stride {stride} need {expected}: is the model a YuNet? (check with: locutor models verify)"
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
        /// Values expected.
        expected: usize,
        /// Values in the output.
        got: usize,
    },
}

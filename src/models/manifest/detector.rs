//! The part of a manifest that describes a face detector.

use super::check::Checker;
use super::raw::RawDetectorGraph;
use super::values::{FileName, TensorName};
use crate::core::evidence::Probability;
use crate::models::contract::{Dim, GraphContract, TensorContract};
use crate::models::error::ModelError;

/// How a detector's outputs are decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DetectorFamily {
    /// YuNet: per stride s `cls_s`, `obj_s`, `bbox_s`, `kps_s`; frame `[B,3,H,W]` BGR 0..255.
    YuNet,
}

/// The input sizes of a detector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InputSize {
    /// Any size with sides that are multiples of the largest stride, and any batch size.
    Free,
    /// One size, one frame at a time.
    Fixed {
        /// Pixels across.
        width_px: usize,
        /// Pixels down.
        height_px: usize,
    },
}

/// A face detector.
#[derive(Clone, PartialEq, Debug)]
pub struct DetectorManifest {
    /// How its outputs are decoded.
    pub family: DetectorFamily,
    /// The graph.
    pub file: FileName,
    /// The input tensor.
    pub input: TensorName,
    /// The input size.
    pub input_size: InputSize,
    /// Strides of the output levels in pixels, ascending.
    pub strides: Vec<usize>,
    /// Boxes with lower scores are dropped.
    pub score_threshold: Probability,
    /// Non-maximum suppression: of two boxes with a higher IoU (0..=1), the weaker is dropped.
    pub nms_iou: Probability,
    /// The longer side in input pixels from which a face is detected reliably: a missed detection
    /// of a smaller face does not mean that it is gone.
    pub reliable_face_px: usize,
    /// The longest input side in pixels that improves detection.
    pub max_long_side_px: usize,
}

/// YuNet's values, from the figures in `stages/detect/plan.rs`.
const DEFAULT_RELIABLE_FACE_PX: i64 = 20;
const DEFAULT_MAX_LONG_SIDE_PX: i64 = 1920;

/// The outputs of each stride, and the values that each has per cell.
const YUNET_OUTPUTS: [(&str, usize); 4] = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)];

impl DetectorManifest {
    pub(super) fn check(raw: &RawDetectorGraph, check: &Checker<'_>) -> Result<Self, ModelError> {
        let input_size = match raw.input_size_px {
            None => InputSize::Free,
            Some(size) => InputSize::Fixed {
                width_px: check.count("detector.input_size_px.width", size.width, 1)?,
                height_px: check.count("detector.input_size_px.height", size.height, 1)?,
            },
        };
        let strides = raw.strides.iter().map(|&s| check.count("detector.strides", s, 1));
        let strides = strides.collect::<Result<Vec<_>, _>>()?;
        if strides.is_empty() || !strides.is_sorted_by(|a, b| a < b) {
            let problem = format!("is {strides:?}; it must name rising strides, as [8, 16, 32]");
            return Err(check.invalid("detector.strides", problem));
        }
        let families = [("yunet", DetectorFamily::YuNet)];
        Ok(Self {
            family: check.one_of("detector.family", &raw.family, &families)?,
            file: check.file_name("detector.file", &raw.file)?,
            input: check.tensor("detector.input", &raw.input)?,
            input_size,
            strides,
            score_threshold: check.probability("detector.score_threshold", raw.score_threshold)?,
            nms_iou: check.probability("detector.nms_iou", raw.nms_iou)?,
            reliable_face_px: check.count(
                "detector.reliable_face_px",
                raw.reliable_face_px.unwrap_or(DEFAULT_RELIABLE_FACE_PX),
                1,
            )?,
            max_long_side_px: check.count(
                "detector.max_long_side_px",
                raw.max_long_side_px.unwrap_or(DEFAULT_MAX_LONG_SIDE_PX),
                320,
            )?,
        })
    }

    /// The graph's contract.
    pub fn contract(&self) -> GraphContract {
        let dims = match self.input_size {
            InputSize::Free => {
                vec![Dim::Free("B"), Dim::Fixed(3), Dim::Free("H"), Dim::Free("W")]
            }
            InputSize::Fixed { width_px, height_px } => {
                vec![Dim::Fixed(1), Dim::Fixed(3), Dim::Fixed(height_px), Dim::Fixed(width_px)]
            }
        };
        let outputs = self.strides.iter().flat_map(|stride| {
            YUNET_OUTPUTS.map(|(role, width)| TensorContract {
                name: format!("{role}_{stride}"),
                dims: vec![Dim::Any, Dim::Any, Dim::Fixed(width)],
            })
        });
        GraphContract {
            file: self.file.clone(),
            inputs: vec![TensorContract { name: self.input.as_str().to_owned(), dims }],
            outputs: outputs.collect(),
        }
    }
}

//! YuNet, the face detector: its ONNX file is used unchanged, after checking its signature.

use std::collections::BTreeMap;
use std::path::Path;

use super::speaker::finish;
use crate::models::contract::Signature;
use crate::models::error::ModelError;
use crate::models::graph;
use crate::models::manifest::raw::{RawDetector, RawDetectorGraph, RawPackage, RawSize};
use crate::models::manifest::{DETECTOR_KIND, MANIFEST_FILE, Manifest};
use crate::models::package::Package;

const FILE: &str = "yunet.onnx";
const EXPECTED: &str = "a YuNet face detector";
/// A YuNet has a few hundred kilobytes.
const MAX_BYTES: u64 = 64 << 20;

/// Imports a YuNet file; prefer the one with dynamic input size.
pub(super) fn import(file: &Path, dir: &Path) -> Result<Package, ModelError> {
    let wrong_network = |problem: String| ModelError::WrongNetwork {
        file: file.into(),
        expected: EXPECTED,
        problem,
    };
    let length = std::fs::metadata(file).map_err(ModelError::read(file))?.len();
    if length > MAX_BYTES {
        return Err(wrong_network(format!("it has {length} bytes, more than {MAX_BYTES}")));
    }
    let bytes = std::fs::read(file).map_err(ModelError::read(file))?;
    let signature = graph::signature(&bytes).map_err(wrong_network)?;
    let input_size_px = input_size(&signature).map_err(wrong_network)?;
    let notes = match input_size_px {
        None => "Takes frames whose sides are multiples of 32.".to_owned(),
        Some(RawSize { width, height }) => format!(
            "Takes frames of {width}x{height} only, one at a time, so that others are scaled \
             and padded. yunet_n_dynamic.onnx of the same repository takes any size and is \
             the better choice."
        ),
    };
    let package = RawPackage {
        name: "yunet".into(),
        licence: "Apache-2.0".into(),
        origin: super::origin_of(
            "github.com/ShiqiYu/libfacedetection.train, onnx/yunet_n_*.onnx",
            file,
        ),
        notes,
    };
    let manifest = detector_manifest(package, FILE, &signature.inputs[0].name, input_size_px);
    // Verified before writing: the outputs must be those of the family.
    let text = toml::to_string(&with_sum(&manifest)).expect("a manifest is tables of plain values");
    let checked = Manifest::parse(&text, &dir.join(MANIFEST_FILE))?;
    for contract in checked.model.contracts() {
        crate::models::contract::verify(&contract, &signature).map_err(|m| {
            wrong_network(format!("a YuNet has {}, but this file has {}", m.expected, m.found))
        })?;
    }
    finish(dir, manifest, vec![(FILE, bytes)], |manifest, sums| manifest.files = sums)
}

/// The manifest of a detector with YuNet's outputs.
pub(crate) fn detector_manifest(
    package: RawPackage,
    file: &str,
    input: &str,
    input_size_px: Option<RawSize>,
) -> RawDetector {
    RawDetector {
        kind: DETECTOR_KIND.into(),
        package,
        files: BTreeMap::new(),
        detector: RawDetectorGraph {
            family: "yunet".into(),
            file: file.into(),
            input: input.into(),
            input_size_px,
            strides: vec![8, 16, 32],
            score_threshold: 0.6,
            nms_iou: 0.3,
            reliable_face_px: None,
            max_long_side_px: None,
        },
    }
}

fn with_sum(manifest: &RawDetector) -> RawDetector {
    let sum = (manifest.detector.file.clone(), "0".repeat(64));
    RawDetector { files: [sum].into(), ..manifest.clone() }
}

/// The size of the only input; `None` if it is dynamic.
fn input_size(signature: &Signature) -> Result<Option<RawSize>, String> {
    let [input] = signature.inputs.as_slice() else {
        return Err(format!("it has {} inputs, not one", signature.inputs.len()));
    };
    match *input.dims.as_slice() {
        [None, Some(3), None, None] => Ok(None),
        [Some(1), Some(3), Some(height), Some(width)] => {
            Ok(Some(RawSize { width: width as i64, height: height as i64 }))
        }
        _ => Err(format!("its input `{}` is not a frame [B,3,H,W]", input.name)),
    }
}

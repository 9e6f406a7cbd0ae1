//! Face detectors: upstream's, and the one that the repository makes itself.

use locutor::models::import::{ImportKind, import};
use locutor::models::tensor::Tensor;
use locutor::models::tiny;
use locutor::onnx::session::{self, OpenGraph};

use super::speaker::far;
use super::{CPU, needs};

#[test]
fn upstream_detectors_are_what_their_manifest_says() {
    for name in ["yunet_n_dynamic", "yunet_n_320_320", "yunet_n_640_640"] {
        let Some(file) = needs::shared(&format!("models/face/{name}.onnx")) else {
            return;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let package = import(ImportKind::YuNet, &[file], &folder.path().join("p")).expect("good");
        let file = &package.detector().expect("a detector").file;
        session::open(&package, file, &CPU).expect("proven");
    }
}

#[test]
fn the_tiny_detector_sees_bright_squares() {
    let folder = tempfile::tempdir().expect("a folder");
    let package = tiny::write_detector(&folder.path().join("p")).expect("a package");
    let detector = package.detector().expect("a detector");
    let mut graph = session::open(&package, &detector.file, &CPU).expect("proven");
    let (width, height) = (640, 384);
    for (x, y, side) in
        [(100, 60, 16), (300, 200, 12), (250, 90, 40), (400, 130, 110), (90, 150, 200)]
    {
        let mut image = vec![20.0; 3 * width * height];
        for channel in 0..3 {
            for row in y..y + side {
                let start = (channel * height + row) * width + x;
                image[start..start + side].fill(240.0);
            }
        }
        let boxes = boxes(&mut graph, &image, width, height);
        assert!(!boxes.is_empty(), "{side} px at {x},{y} is seen");
        for found in boxes {
            let wanted = [x, y, x + side, y + side].map(|v| v as f32);
            assert!(far(&found, &wanted) <= 0.15 * side as f32, "{found:?} for {wanted:?}");
        }
    }
    assert!(boxes(&mut graph, &vec![20.0; 3 * width * height], width, height).is_empty());
    assert!(boxes(&mut graph, &vec![240.0; 3 * width * height], width, height).is_empty());
}

/// Corners of the boxes that score above 0.6, read as YuNet's.
fn boxes(graph: &mut OpenGraph, image: &[f32], width: usize, height: usize) -> Vec<[f32; 4]> {
    let mut found = Vec::new();
    for stride in [8, 16, 32] {
        let names = ["cls", "obj", "bbox"].map(|role| format!("{role}_{stride}"));
        let outputs = graph
            .run(&[("input", &[1, 3, height, width], image)], &names.each_ref().map(|n| n.as_str()))
            .expect("a run");
        let [cls, obj, bbox] = outputs.each_values();
        assert_eq!(cls.len(), (width / stride) * (height / stride));
        for cell in 0..cls.len() {
            if (cls[cell] * obj[cell]).sqrt() <= 0.6 {
                continue;
            }
            let stride_px = stride as f32;
            let (row, column) = (cell / (width / stride), cell % (width / stride));
            let cx = (column as f32 + bbox[cell * 4]) * stride_px;
            let cy = (row as f32 + bbox[cell * 4 + 1]) * stride_px;
            let half = [2, 3].map(|n| bbox[cell * 4 + n].exp() * stride_px / 2.0);
            found.push([cx - half[0], cy - half[1], cx + half[0], cy + half[1]]);
        }
    }
    found
}

trait EachValues {
    fn each_values<const N: usize>(&self) -> [&[f32]; N];
}

impl EachValues for Vec<Tensor> {
    fn each_values<const N: usize>(&self) -> [&[f32]; N] {
        std::array::from_fn(|i| self[i].values())
    }
}

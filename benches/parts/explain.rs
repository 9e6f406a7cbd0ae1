//! Evidence maps: from the face encoder's last map to what lies over a face.

use divan::{Bencher, black_box};
use locutor::core::time::Tick;
use locutor::models::explain::Mode;
use locutor::models::explain::ScaleRule;
use locutor::stages::explain::scale::RunningScale;
use locutor::stages::explain::upsample::Bicubic;
use locutor::stages::explain::{FeatureMap, raw_map};

/// Channels and side in cells of the built-in model's map and of Light-ASD's.
const MAPS: [(usize, usize); 2] = [(64, 8), (128, 14)];

/// One face's raw map, by the channels and side of the encoder's.
#[divan::bench(args = MAPS, max_time = 1)]
fn raw_map_gate_activation(bencher: Bencher<'_, '_>, (channels, side): (usize, usize)) {
    let cells = side * side;
    let values: Vec<f32> = (0..channels * cells).map(|i| ((i * 7_919) % 1_000) as f32).collect();
    let gate: Vec<f32> = (0..channels).map(|c| c as f32 / channels as f32).collect();
    let mut out = vec![0.0; cells];
    bencher.bench_local(|| {
        let map = FeatureMap::new(black_box(&values), channels, side, side).expect("it fits");
        raw_map(Mode::GateActivation, &map, &gate, None, &mut out).expect("it fits");
        out[0]
    });
}

/// A map brought to its track's running scale.
#[divan::bench(args = [8, 14], max_time = 1)]
fn running_scale(bencher: Bencher<'_, '_>, side: usize) {
    let values: Vec<f32> = (0..side * side).map(|i| i as f32 / 100.0).collect();
    let mut scale = RunningScale::new(ScaleRule::default());
    bencher.bench_local(|| {
        scale.update(black_box(&values), Tick::SPAN);
        scale.heatmap(values.clone().into(), side, side)
    });
}

/// A map enlarged to the 112 pixels of a crop, weights ready or made anew as the overlay does.
#[divan::bench(args = [(8, false), (8, true), (14, true)], max_time = 1)]
fn upsample_112(bencher: Bencher<'_, '_>, (side, anew): (usize, bool)) {
    let values: Vec<f32> = (0..side * side).map(|i| i as f32 / 100.0).collect();
    let make = || Bicubic::new((side, side), (112, 112)).expect("no zero");
    let mut ready = make();
    bencher.bench_local(|| {
        if anew {
            ready = make();
        }
        ready.evidence(black_box(&values))
    });
}

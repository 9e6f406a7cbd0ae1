//! A planted model: its evidence lies in a known box, so the map of this box must win.

use crate::core::geometry::Rect;
use crate::core::rng::SeededRng;
use crate::models::explain::Mode;
use crate::models::speaker_model::{
    FaceFeatures, FaceJob, FaceState, GateSource, HeadJob, HeadResult, InferenceError, ModelShape,
    SpeakerModel,
};
use crate::stages::explain::blur::{PIXELS, SIDE};
use crate::stages::explain::faithfulness::Substrate;

use super::maps::MapKind;
use super::measure::{FaceWindow, Protocol, WindowResult, measure_window};

const CHANNELS: usize = 16;
const CELLS: usize = 14;
const CELL_PX: usize = SIDE / CELLS;
/// The channel that determines the score.
const TRUE: usize = 5;
/// The channel with the highest gate; the score does not use it.
const LOUD: usize = 9;
/// The true channel's box: rows and columns of cells, far from the mouth.
const BOX: (std::ops::Range<usize>, std::ops::Range<usize>) = (1..5, 9..13);

/// Every channel has the contrast of its own cells; z is the contrast of the box minus a constant.
struct Planted {
    shape: ModelShape,
}

impl Planted {
    fn new(contributions: bool, delay: usize) -> Self {
        let shape = ModelShape {
            crop_px: SIDE,
            embedding: if contributions { 2 } else { CHANNELS },
            map_channels: CHANNELS,
            map_height: CELLS,
            map_width: CELLS,
            map_area: Rect::new(0.0, 0.0, 1.0, 1.0),
            contributions,
            face_delay_ticks: delay,
            audio_reach_ticks: 0,
            row_width: 1,
            rows_per_tick: 4,
            face_states: Vec::new(),
            forward_state: 1,
            past_ticks: 0,
            cross_face_past_ticks: None,
            gate: GateSource::Face,
        };
        Self { shape }
    }

    /// Whether a cell belongs to a channel: the box for the true one, a diagonal spot for others.
    fn has_cell(channel: usize, row: usize, column: usize) -> bool {
        if channel == TRUE {
            return BOX.0.contains(&row) && BOX.1.contains(&column);
        }
        let at = channel % 10;
        (at..at + 3).contains(&row) && (at..at + 3).contains(&column)
    }

    fn contrast(crop: &[u8], row: usize, column: usize) -> f32 {
        let at = |i: usize| {
            let (y, x) = (row * CELL_PX + i / CELL_PX, column * CELL_PX + i % CELL_PX);
            f32::from(crop[y * SIDE + x])
        };
        let count = (CELL_PX * CELL_PX) as f32;
        let mean = (0..CELL_PX * CELL_PX).map(at).sum::<f32>() / count;
        ((0..CELL_PX * CELL_PX).map(|i| (at(i) - mean).powi(2)).sum::<f32>() / count).sqrt() / 40.0
    }

    /// One crop's map, channel by channel.
    fn map(crop: &[u8]) -> Vec<f32> {
        let cells = (0..CELLS * CELLS).map(|i| Self::contrast(crop, i / CELLS, i % CELLS));
        let cells: Vec<f32> = cells.collect();
        let in_channel = |c: usize, i: usize| Self::has_cell(c, i / CELLS, i % CELLS);
        (0..CHANNELS)
            .flat_map(|c| (0..CELLS * CELLS).map(move |i| (c, i)))
            .map(|(c, i)| if in_channel(c, i) { cells[i] } else { 0.0 })
            .collect()
    }

    /// The sum of each channel.
    fn pooled(map: &[f32]) -> Vec<f32> {
        map.chunks_exact(CELLS * CELLS).map(|m| m.iter().sum::<f32>() / 16.0).collect()
    }
}

impl SpeakerModel for Planted {
    fn shape(&self) -> &ModelShape {
        &self.shape
    }

    fn encode_faces(&mut self, jobs: Vec<FaceJob>) -> Result<Vec<FaceFeatures>, InferenceError> {
        let encode = |job: FaceJob| {
            let delay = self.shape.face_delay_ticks;
            let blank = vec![0; delay * PIXELS];
            let crops = [&blank[..], &job.crops].concat();
            let ticks = job.valid.len();
            let maps: Vec<Vec<f32>> =
                crops.chunks_exact(PIXELS).take(ticks).map(Self::map).collect();
            let pooled: Vec<Vec<f32>> = maps.iter().map(|m| Self::pooled(m)).collect();
            let shares = |v: &Vec<f32>| -> Vec<f32> { v.iter().flat_map(|x| [*x, -x]).collect() };
            // With contributions: the true channel's share is the whole first number.
            let summed = |v: &Vec<f32>| vec![v[TRUE], -v[TRUE]];
            let only_true = |v: &Vec<f32>| {
                let mut shares = shares(v);
                for (i, share) in shares.iter_mut().enumerate() {
                    *share *= f32::from(u8::from(i / 2 == TRUE));
                }
                shares
            };
            let gate = (0..CHANNELS).map(|c| if c == LOUD { 0.9 } else { 0.3 + 0.02 * c as f32 });
            let gate: Vec<f32> = gate.collect();
            let sums = self.shape.contributions;
            FaceFeatures {
                state: FaceState(Vec::new()),
                embeddings: pooled
                    .iter()
                    .flat_map(|v| if sums { summed(v) } else { v.clone() })
                    .collect(),
                maps: maps.concat(),
                gates: Some(gate.repeat(ticks)),
                contributions: (sums && job.contributions)
                    .then(|| pooled.iter().flat_map(only_true).collect()),
            }
        };
        Ok(jobs.into_iter().map(encode).collect())
    }

    fn encode_audio(&mut self, _: Vec<f32>, _: usize) -> Result<Vec<f32>, InferenceError> {
        unreachable!("the audio is already encoded")
    }

    fn run_head(&mut self, job: HeadJob) -> Result<HeadResult, InferenceError> {
        let width = self.shape.embedding;
        let at = if self.shape.contributions { 0 } else { TRUE };
        let logits = job.face.chunks_exact(width).flat_map(|v| [0.0, 4.0 * v[at] - 3.0]);
        Ok(HeadResult {
            logits: logits.collect(),
            forward: vec![0.0; job.rows * job.ticks],
            gates: None,
        })
    }
}

/// Different noise in each crop, so that only the model determines where the evidence is.
fn window(ticks: usize, width: usize) -> FaceWindow {
    let mut seeded = SeededRng::new(11);
    let crops = (0..ticks * PIXELS).map(|_| (seeded.next_u64() >> 56) as u8).collect();
    FaceWindow { crops, audio: vec![0.0; ticks * width] }
}

fn measured(contributions: bool, delay: usize, substrate: Substrate) -> WindowResult {
    let mut model = Planted::new(contributions, delay);
    let window = window(4, model.shape.embedding);
    let modes = vec![Mode::Paper, Mode::GateActivation, Mode::Ablation];
    let protocol = Protocol { modes, substrate };
    measure_window(&mut model, &window, &protocol, 3).expect("no fault").expect("has crops")
}

fn gap(result: &WindowResult, kind: MapKind) -> f32 {
    let found = result.maps.iter().find(|(other, _)| *other == kind).expect("is measured");
    found.1.map_or(f32::NAN, |f| f.gap())
}

#[test]
fn the_map_of_where_the_evidence_lies_wins() {
    for contributions in [false, true] {
        for substrate in [Substrate::Blur, Substrate::Still] {
            let result = measured(contributions, 2, substrate);
            assert!(result.z_full > 3.0 && result.z_masked < -2.0, "{result:?}");
            let ablation = gap(&result, MapKind::Mode(Mode::Ablation));
            assert!(ablation > 4.0, "{ablation}");
            for kind in MapKind::all(&[Mode::Paper, Mode::GateActivation, Mode::Ablation]) {
                if kind != MapKind::Mode(Mode::Ablation) {
                    let other = gap(&result, kind);
                    assert!(other.is_nan() || other < ablation - 0.5, "{kind:?}: {other}");
                }
            }
        }
    }
}

#[test]
fn the_encoders_delay_changes_nothing() {
    let (none, some) = (measured(false, 0, Substrate::Blur), measured(false, 5, Substrate::Blur));
    assert_eq!((none.z_full, none.z_masked), (some.z_full, some.z_masked));
    let gaps = |f: &WindowResult| super::report::gaps(f);
    assert_eq!(gaps(&none), gaps(&some));
}

#[test]
fn the_paper_follows_the_loud_gate_and_a_flat_correlation_is_low() {
    let result = measured(false, 0, Substrate::Blur);
    assert!(gap(&result, MapKind::Mode(Mode::Paper)) < 0.0, "{result:?}");
    // One channel of sixteen has an effect: ranks agree on little.
    let correlation = result.correlation.expect("effects vary");
    assert!(correlation.abs() < 0.5, "{correlation}");
    assert_eq!(result.strength.len(), 3);
}

#[test]
fn a_window_without_crops_is_none() {
    let mut model = Planted::new(false, 0);
    let window = FaceWindow { crops: Vec::new(), audio: Vec::new() };
    let protocol = Protocol { modes: vec![Mode::Paper], substrate: Substrate::Blur };
    assert!(measure_window(&mut model, &window, &protocol, 0).expect("no fault").is_none());
}

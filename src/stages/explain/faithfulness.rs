//! Whether a map is true: insertion minus deletion under masks that stand still.
//!
//! Takes a clip of face crops and one map for the whole clip; gives how much the score falls when
//! the map's best 10, 20 and 40 % of the crop are blurred away (deletion) and how much of it is
//! there when only they are kept (insertion). Promises: one mask for all frames, so that no map can
//! win by flicker, which destroys motion and with it every score; exact areas; controls that are
//! the same for the same seed. Does not know the model: the caller scores frames, the audio as it
//! was.
//!
//! The protocol (mask edge blurred with σ 2, substrate blurred with σ 10, mean logit difference z)
//! is that of RISE's insertion and deletion (Petsiuk et al. 2018), its ranking per frame replaced.

use super::blur::{PIXELS, SIDE, gaussian_blur};
use super::upsample::Bicubic;
use crate::core::geometry::Rect;
use crate::core::seeded::Seeded;

/// Shares of the crop's area that are deleted or inserted.
pub const AREAS: [f32; 3] = [0.10, 0.20, 0.40];

const MASK_EDGE_SIGMA: f32 = 2.0;
const SUBSTRATE_SIGMA: f32 = 10.0;

/// The mean over a clip of its raw maps (each `width` × `height` cells), ≥ 0 and enlarged to the
/// part of the crop that they cover (`area`, in shares of its sides); 0 outside it ([`PIXELS`]
/// values in all). Returns `None` where there is no map, a size does not fit, or the part is none.
pub fn clip_map<'a>(
    maps: impl IntoIterator<Item = &'a [f32]>,
    (width, height): (usize, usize),
    area: Rect,
) -> Option<Vec<f32>> {
    let pixel = |share: f32| (share.clamp(0.0, 1.0) * SIDE as f32).round() as usize;
    let (left, top) = (pixel(area.x1), pixel(area.y1));
    let across = pixel(area.x2).checked_sub(left)?;
    let down = pixel(area.y2).checked_sub(top)?;
    let mut bicubic = Bicubic::new((width, height), (across, down))?;
    let mut sum = vec![0.0f64; width * height];
    let mut count = 0usize;
    for map in maps {
        if map.len() != sum.len() {
            return None;
        }
        sum.iter_mut().zip(map).for_each(|(s, v)| *s += f64::from(*v));
        count += 1;
    }
    let mean: Vec<f32> = sum.iter().map(|s| (s / count as f64) as f32).collect();
    if count == 0 {
        return None;
    }
    let mut whole = vec![0.0; PIXELS];
    for (y, row) in bicubic.evidence(&mean).chunks_exact(across).enumerate() {
        whole[(top + y) * SIDE + left..][..across].copy_from_slice(row);
    }
    Some(whole)
}

/// The mask of a map's best `area` (0..=1) of the crop: 1 inside, 0 outside, its edge softened. Of
/// equal values the upper left ones are taken, so that the area is exact.
///
/// # Panics
/// Where `map` does not hold [`PIXELS`] values.
pub fn mask(map: &[f32], area: f32) -> Vec<f32> {
    assert_eq!(map.len(), PIXELS, "a map of {SIDE}x{SIDE}");
    let mut order: Vec<usize> = (0..PIXELS).collect();
    order.sort_by(|a, b| map[*b].total_cmp(&map[*a]).then(a.cmp(b)));
    let kept = (area.clamp(0.0, 1.0) * PIXELS as f32).round() as usize;
    let mut mask = vec![0.0; PIXELS];
    order[..kept].iter().for_each(|i| mask[*i] = 1.0);
    gaussian_blur(&mask, MASK_EDGE_SIGMA)
}

/// What takes the place of a frame's parts that are masked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Substrate {
    /// Every frame blurred: no detail is left, but coarse movement.
    Blur,
    /// The clip's mean frame, blurred, for all of it: nothing moves either.
    Still,
}

/// A clip of crops and the same clip with all evidence gone.
#[derive(Clone, Debug)]
pub struct MaskedClip {
    crops: Vec<f32>,
    substrate: Vec<f32>,
}

impl MaskedClip {
    /// From `crops`: frame by frame, [`PIXELS`] grey values 0..=255 each. `None` where that is not
    /// a whole number of frames, or none.
    pub fn new(crops: &[u8], kind: Substrate) -> Option<Self> {
        if crops.is_empty() || !crops.len().is_multiple_of(PIXELS) {
            return None;
        }
        let crops: Vec<f32> = crops.iter().map(|v| f32::from(*v)).collect();
        let blur = |frame: &[f32]| gaussian_blur(frame, SUBSTRATE_SIGMA);
        let substrate = match kind {
            Substrate::Blur => crops.chunks_exact(PIXELS).flat_map(blur).collect(),
            Substrate::Still => blur(&mean_frame(&crops)).repeat(crops.len() / PIXELS),
        };
        Some(Self { crops, substrate })
    }

    /// The clip as it is, frame by frame.
    pub fn crops(&self) -> &[f32] {
        &self.crops
    }

    /// The clip with everything masked.
    pub fn substrate(&self) -> &[f32] {
        &self.substrate
    }

    /// The clip with what lies under `mask` gone.
    pub fn deleted(&self, mask: &[f32]) -> Vec<f32> {
        mix(&self.crops, &self.substrate, mask)
    }

    /// The masked clip with what lies under `mask` put back.
    pub fn inserted(&self, mask: &[f32]) -> Vec<f32> {
        mix(&self.substrate, &self.crops, mask)
    }
}

fn mean_frame(crops: &[f32]) -> Vec<f32> {
    let mut mean = vec![0.0; PIXELS];
    for frame in crops.chunks_exact(PIXELS) {
        mean.iter_mut().zip(frame).for_each(|(sum, v)| *sum += v);
    }
    let frames = (crops.len() / PIXELS) as f32;
    mean.iter_mut().for_each(|v| *v /= frames);
    mean
}

fn mix(base: &[f32], under: &[f32], mask: &[f32]) -> Vec<f32> {
    let weights = mask.iter().cycle();
    base.iter().zip(under).zip(weights).map(|((b, u), m)| b + (u - b) * m).collect()
}

/// What masking did to a clip's score: mean z, per area of [`AREAS`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Faithfulness {
    /// Mean z with the map's best areas deleted.
    pub deletion: [f32; 3],
    /// Mean z with only the map's best areas inserted.
    pub insertion: [f32; 3],
}

impl Faithfulness {
    /// Mean insertion minus mean deletion: the higher, the truer the map.
    pub fn gap(&self) -> f32 {
        let mean = |z: [f32; 3]| z.iter().sum::<f32>() / z.len() as f32;
        mean(self.insertion) - mean(self.deletion)
    }
}

/// Measures `map` ([`PIXELS`] values, one for the whole clip). `score` gets the frames (f32 grey
/// 0..=255, [`PIXELS`] each) and gives the mean over them of z = z1 − z0.
///
/// # Errors
/// What `score` returns.
pub fn measure<E>(
    clip: &MaskedClip,
    map: &[f32],
    mut score: impl FnMut(&[f32]) -> Result<f32, E>,
) -> Result<Faithfulness, E> {
    let mut found = Faithfulness { deletion: [0.0; 3], insertion: [0.0; 3] };
    for (i, area) in AREAS.into_iter().enumerate() {
        let mask = mask(map, area);
        found.deletion[i] = score(&clip.deleted(&mask))?;
        found.insertion[i] = score(&clip.inserted(&mask))?;
    }
    Ok(found)
}

/// Control: the same gate values on other channels.
pub fn permuted(gate: &[f32], seed: u64) -> Vec<f32> {
    let mut gate = gate.to_vec();
    Seeded::new(seed).shuffle(&mut gate);
    gate
}

/// Control: a random map with blobs about as large as a 14 × 14 heatmap's ([`PIXELS`] values).
pub fn random_blob(seed: u64) -> Vec<f32> {
    let mut seeded = Seeded::new(seed);
    let noise: Vec<f32> = (0..PIXELS).map(|_| seeded.next_unit()).collect();
    gaussian_blur(&noise, 12.0)
}

/// Control: a fixed mouth, knowing the crop's geometry but no model ([`PIXELS`] values). Its areas
/// are boxes of 8 : 5 about the place where the crops of frontal faces have the mouth.
pub fn mouth_box() -> Vec<f32> {
    let (x0, y0) = MOUTH;
    let apart = |x: usize, y: usize| {
        let across = (x as f32 + 0.5 - x0).abs() / 8.0;
        let down = (y as f32 + 0.5 - y0).abs() / 5.0;
        across.max(down)
    };
    (0..PIXELS).map(|i| 1.0 - apart(i % SIDE, i / SIDE) / SIDE as f32).collect()
}

/// Mouth centre in the crop: a face box has its mouth about 0.55 half-sizes below its centre, the
/// crop shows 1.4 half-sizes on 112 pixels and starts 0.3 above that centre.
const MOUTH: (f32, f32) = (56.0, 68.0);

#[cfg(test)]
mod tests {
    use super::*;

    fn clip() -> MaskedClip {
        let mut seeded = Seeded::new(3);
        let crops: Vec<u8> = (0..2 * PIXELS).map(|_| (seeded.next_u64() >> 56) as u8).collect();
        MaskedClip::new(&crops, Substrate::Blur).expect("two frames")
    }

    /// A model that looks at one place only: contrast within a square.
    fn looks_at(x0: usize, y0: usize) -> impl FnMut(&[f32]) -> Result<f32, ()> {
        move |frames| {
            let square = |frame: &[f32]| -> f32 {
                let at = |i: usize| frame[(y0 + i / 24) * SIDE + x0 + i % 24];
                let mean = (0..576).map(at).sum::<f32>() / 576.0;
                (0..576).map(|i| (at(i) - mean).powi(2)).sum::<f32>() / 576.0
            };
            Ok(frames.chunks_exact(PIXELS).map(square).sum::<f32>() / 1e3)
        }
    }

    fn square_map(x0: usize, y0: usize) -> Vec<f32> {
        let near = |i: usize| {
            let (x, y) = ((i % SIDE) as f32 - x0 as f32, (i / SIDE) as f32 - y0 as f32);
            1000.0 - (x - 12.0).abs().max((y - 12.0).abs())
        };
        (0..PIXELS).map(near).collect()
    }

    #[test]
    fn a_map_of_where_the_model_looks_beats_every_control() {
        let gap = |map: &[f32]| measure(&clip(), map, looks_at(70, 20)).expect("scores").gap();
        let (right, wrong) = (gap(&square_map(70, 20)), gap(&square_map(10, 80)));
        assert!(right > 3.0 && wrong < -3.0, "{right} {wrong}");
        assert!(right > gap(&mouth_box()) + 1.0);
        assert!((0..5).all(|seed| right > gap(&random_blob(seed))));
    }

    #[test]
    fn masks_have_the_asked_area_and_stay_within_one() {
        for area in AREAS {
            for map in [mouth_box(), random_blob(1), vec![0.0; PIXELS]] {
                let mask = mask(&map, area);
                let share = mask.iter().sum::<f32>() / PIXELS as f32;
                assert!((share - area).abs() < 0.01, "{share} != {area}");
                assert!(mask.iter().all(|m| (0.0..=1.0001).contains(m)));
            }
        }
    }

    #[test]
    fn nothing_masked_changes_nothing_and_all_masked_is_the_substrate() {
        let clip = clip();
        let (none, all) = (vec![0.0; PIXELS], vec![1.0; PIXELS]);
        assert_eq!(clip.deleted(&none), clip.crops());
        assert_eq!(clip.inserted(&none), clip.substrate());
        let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(same(&clip.deleted(&all), clip.substrate()));
        assert!(same(&clip.inserted(&all), clip.crops()));
    }

    #[test]
    fn a_clips_map_is_the_mean_of_its_maps() {
        let (a, b) = ([0.0, 4.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]);
        let whole = Rect::new(0.0, 0.0, 1.0, 1.0);
        let map = clip_map([&a[..], &b[..]], (2, 2), whole).expect("two maps");
        let mut bicubic = Bicubic::new((2, 2), (SIDE, SIDE)).expect("no zero");
        assert_eq!(map, bicubic.evidence(&[1.0, 2.0, 0.0, 0.0]));
        assert!(clip_map([], (2, 2), whole).is_none());
        assert!(clip_map([&a[..3]], (2, 2), whole).is_none());
        assert!(clip_map([&a[..]], (2, 2), Rect::new(0.5, 0.0, 0.5, 1.0)).is_none());
    }

    #[test]
    fn a_map_lies_where_it_covers_the_crop_and_nowhere_else() {
        // The lower right quarter.
        let area = Rect::new(0.5, 0.5, 1.0, 1.0);
        let map = clip_map([&[3.0][..]], (1, 1), area).expect("a map");
        for (i, v) in map.iter().enumerate() {
            let inside = i % SIDE >= SIDE / 2 && i / SIDE >= SIDE / 2;
            let wanted = if inside { 3.0 } else { 0.0 };
            assert!((v - wanted).abs() < 1e-4, "{i}: {v}");
        }
    }

    #[test]
    fn on_a_still_substrate_nothing_moves() {
        let crops = [[10_u8; PIXELS], [20; PIXELS], [60; PIXELS]].concat();
        let clip = MaskedClip::new(&crops, Substrate::Still).expect("three frames");
        assert!(clip.substrate().iter().all(|v| (v - 30.0).abs() < 1e-3));
        let clip = MaskedClip::new(&crops, Substrate::Blur).expect("three frames");
        assert!((clip.substrate()[PIXELS] - 20.0).abs() < 1e-3);
    }

    #[test]
    fn controls_are_the_same_for_the_same_seed() {
        let gate: Vec<f32> = (0..128).map(|i| i as f32).collect();
        assert_eq!(permuted(&gate, 5), permuted(&gate, 5));
        assert_ne!(permuted(&gate, 5), permuted(&gate, 6));
        assert_ne!(random_blob(5), random_blob(6));
        assert!(MaskedClip::new(&[0; PIXELS + 1], Substrate::Blur).is_none());
        assert!(MaskedClip::new(&[], Substrate::Blur).is_none());
    }
}

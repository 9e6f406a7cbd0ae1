//! Faithfulness of a map: insertion minus deletion under static masks.
//!
//! Takes a clip of face crops and one map for the whole clip. Gives the score with the map's best
//! 10, 20 and 40 % of the crop blurred away (deletion), and with only these kept (insertion). One
//! mask serves all frames, so that no map gains by flicker, which destroys motion and with it every
//! score. Areas are exact; controls are the same for the same seed. Independent of the model: the
//! caller scores frames, with the audio unchanged.
//!
//! The protocol (mask edge blurred with σ 2, substrate blurred with σ 10, mean logit difference z)
//! is RISE's insertion and deletion (Petsiuk et al. 2018) with one ranking per clip instead of one
//! per frame.

use super::blur::{PIXELS, SIDE, gaussian_blur};
use super::upsample::Bicubic;
use crate::core::geometry::Rect;
use crate::core::rng::SeededRng;

/// Shares of the crop's area that are deleted or inserted.
pub(crate) const AREAS: [f32; 3] = [0.10, 0.20, 0.40];

const MASK_EDGE_SIGMA: f32 = 2.0;
const SUBSTRATE_SIGMA: f32 = 10.0;

/// The mean over a clip of its raw maps (each `width` × `height` cells), ≥ 0, enlarged to the part
/// of the crop that they cover (`area`, in shares of its sides); 0 outside it ([`PIXELS`] values in
/// all). `None` if there is no map, a size does not fit, or the part is empty.
pub(crate) fn clip_map<'a>(
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

/// The mask of a map's best `area` (0..=1) of the crop: 1 inside, 0 outside, with a soft edge. Of
/// equal values the upper left ones are taken, so that the area is exact.
///
/// # Panics
/// Where `map` does not hold [`PIXELS`] values.
pub(crate) fn mask(map: &[f32], area: f32) -> Vec<f32> {
    assert_eq!(map.len(), PIXELS, "a map of {SIDE}x{SIDE}");
    let mut order: Vec<usize> = (0..PIXELS).collect();
    order.sort_by(|a, b| map[*b].total_cmp(&map[*a]).then(a.cmp(b)));
    let kept = (area.clamp(0.0, 1.0) * PIXELS as f32).round() as usize;
    let mut mask = vec![0.0; PIXELS];
    order[..kept].iter().for_each(|i| mask[*i] = 1.0);
    gaussian_blur(&mask, MASK_EDGE_SIGMA)
}

/// Replaces the masked parts of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Substrate {
    /// Every frame blurred: no detail is left, but coarse movement.
    Blur,
    /// The clip's mean frame, blurred, for all of it: nothing moves either.
    Still,
}

/// A clip of crops, and the same clip without any evidence.
#[derive(Clone, Debug)]
pub(crate) struct MaskedClip {
    crops: Vec<f32>,
    substrate: Vec<f32>,
}

impl MaskedClip {
    /// Creates it from `crops`: frame by frame, [`PIXELS`] grey values 0..=255 each. `None` if
    /// empty or not a whole number of frames.
    pub(crate) fn new(crops: &[u8], kind: Substrate) -> Option<Self> {
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

    #[cfg(test)]
    /// The original clip, frame by frame.
    pub(crate) fn crops(&self) -> &[f32] {
        &self.crops
    }

    /// The fully masked clip.
    pub(crate) fn substrate(&self) -> &[f32] {
        &self.substrate
    }

    /// The clip with the area of `mask` removed.
    pub(crate) fn deleted(&self, mask: &[f32]) -> Vec<f32> {
        mix(&self.crops, &self.substrate, mask)
    }

    /// The masked clip with the area of `mask` restored.
    pub(crate) fn inserted(&self, mask: &[f32]) -> Vec<f32> {
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

/// A clip's scores under masking: mean z, per area of [`AREAS`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Faithfulness {
    /// Mean z with the map's best areas deleted.
    pub deletion: [f32; 3],
    /// Mean z with only the map's best areas inserted.
    pub insertion: [f32; 3],
}

impl Faithfulness {
    /// Mean insertion minus mean deletion: the higher, the more faithful the map.
    pub(crate) fn gap(&self) -> f32 {
        let mean = |z: [f32; 3]| z.iter().sum::<f32>() / z.len() as f32;
        mean(self.insertion) - mean(self.deletion)
    }
}

/// Measures `map` ([`PIXELS`] values, one for the whole clip). `score` takes the frames (f32 grey
/// 0..=255, [`PIXELS`] each) and returns their mean z = z1 − z0.
///
/// # Errors
/// Errors of `score`.
pub(crate) fn measure<E>(
    clip: &MaskedClip,
    map: &[f32],
    mut score: impl FnMut(&[f32]) -> Result<f32, E>,
) -> Result<Faithfulness, E> {
    let mut scores = Faithfulness { deletion: [0.0; 3], insertion: [0.0; 3] };
    for (i, area) in AREAS.into_iter().enumerate() {
        let mask = mask(map, area);
        scores.deletion[i] = score(&clip.deleted(&mask))?;
        scores.insertion[i] = score(&clip.inserted(&mask))?;
    }
    Ok(scores)
}

#[cfg(test)]
/// Control: the gate values permuted over the channels.
pub(crate) fn permuted(gate: &[f32], seed: u64) -> Vec<f32> {
    let mut gate = gate.to_vec();
    SeededRng::new(seed).shuffle(&mut gate);
    gate
}

/// Control: a random map with blobs about as large as a 14 × 14 heatmap's ([`PIXELS`] values).
pub(crate) fn random_blob(seed: u64) -> Vec<f32> {
    let mut seeded = SeededRng::new(seed);
    let noise: Vec<f32> = (0..PIXELS).map(|_| seeded.next_f32()).collect();
    gaussian_blur(&noise, 12.0)
}

/// Control: a fixed mouth from the crop's geometry, without a model ([`PIXELS`] values). Its areas
/// are boxes of 8 : 5 around the mouth's place in crops of frontal faces.
pub(crate) fn mouth_box() -> Vec<f32> {
    let (x0, y0) = MOUTH;
    let apart = |x: usize, y: usize| {
        let across = (x as f32 + 0.5 - x0).abs() / 8.0;
        let down = (y as f32 + 0.5 - y0).abs() / 5.0;
        across.max(down)
    };
    (0..PIXELS).map(|i| 1.0 - apart(i % SIDE, i / SIDE) / SIDE as f32).collect()
}

/// Mouth centre in the crop: the mouth is about 0.55 half-sizes below the centre of a face box;
/// the crop shows 1.4 half-sizes on 112 pixels and starts 0.3 above that centre.
const MOUTH: (f32, f32) = (56.0, 68.0);

#[cfg(test)]
mod tests {
    use super::*;

    fn clip() -> MaskedClip {
        let mut seeded = SeededRng::new(3);
        let crops: Vec<u8> = (0..2 * PIXELS).map(|_| (seeded.next_u64() >> 56) as u8).collect();
        MaskedClip::new(&crops, Substrate::Blur).expect("two frames")
    }

    /// A model that depends on one place only: the contrast within a square.
    fn depends_on(x0: usize, y0: usize) -> impl FnMut(&[f32]) -> Result<f32, ()> {
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
    fn a_map_of_the_relevant_place_beats_every_control() {
        let gap = |map: &[f32]| measure(&clip(), map, depends_on(70, 20)).expect("scores").gap();
        let (right, wrong) = (gap(&square_map(70, 20)), gap(&square_map(10, 80)));
        assert!(right > 3.0 && wrong < -3.0, "{right} {wrong}");
        assert!(right > gap(&mouth_box()) + 1.0);
        assert!((0..5).all(|seed| right > gap(&random_blob(seed))));
    }

    #[test]
    fn masks_have_the_requested_area_and_stay_within_one() {
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
    fn an_empty_mask_changes_nothing_and_a_full_mask_gives_the_substrate() {
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
    fn a_map_is_zero_outside_the_area_it_covers() {
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
    fn a_still_substrate_has_no_motion() {
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

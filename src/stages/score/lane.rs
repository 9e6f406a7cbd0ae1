//! One track on its way through the face encoder.
//!
//! Takes the track's box and picture at every tick; gives an embedding, a place and evidence for
//! every tick, in order. Boxes are smoothed before cropping, so crops lag by the smoother's reach;
//! the encoder lags by its own delay and is flushed at the track's true end, so that its zero
//! padding is exactly that of a pass over the whole track.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::model::{FaceFeatures, FaceJob, FaceState, GateSource, ModelShape};
use crate::core::evidence::{Cells, TrackId};
use crate::core::geometry::Rect;
use crate::core::picture::Picture;
use crate::core::time::Tick;
use crate::stages::explain::{FeatureMap, Mode, raw_map};
use crate::stages::features::crop::{CROP_PIXELS, CropRect, Cropper, FaceSpot};
use crate::stages::features::smooth::{LAG_TICKS, SpotSmoother};

/// The grey of what lies outside the picture, as the released crops have it.
const OUTSIDE_GREY: u8 = 110;

/// Embeddings whose memory is kept for others.
const MOST_SPARE: usize = 32;

/// What is left of the feature map of one tick.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are Raw, and that lies here to need no memory"
)]
pub enum Evidence {
    /// Nothing: no heatmap was asked for.
    None,
    /// The map itself (h × w, raw units): the mode needs no more than face and gate.
    Raw(Cells),
    /// The feature map, as the mode still needs what the head will say.
    Held(Vec<f32>),
}

/// One encoded tick.
#[derive(Debug)]
pub struct Encoded {
    /// What the head reads.
    pub embedding: Vec<f32>,
    /// Where what the map covers lay in the picture.
    pub over: Rect,
    /// What the map can tell.
    pub evidence: Evidence,
    /// C × embedding: what each channel adds to the embedding, where ablation needs it.
    pub contributions: Option<Vec<f32>>,
}

/// A track's boxes, crops and embeddings.
pub struct Lane {
    /// Whose.
    pub track: TrackId,
    /// The track's first tick.
    pub first: Tick,
    smoother: SpotSmoother,
    cropper: Cropper,
    held: VecDeque<Arc<dyn Picture>>,
    crops: Vec<u8>,
    crop_len: usize,
    embedding_width: usize,
    map_area: Rect,
    places: VecDeque<Rect>,
    state: Option<FaceState>,
    discard: usize,
    flush: usize,
    ended: bool,
    encoded: VecDeque<Encoded>,
    /// Memory of embeddings that are not needed any more.
    spare: Vec<Vec<f32>>,
    /// The tick of the first entry of `encoded`.
    base: Tick,
    seen: i64,
}

impl Lane {
    /// A lane for a track that starts at `first`.
    pub fn new(track: TrackId, first: Tick, shape: &ModelShape) -> Self {
        Self::lagging(track, first, shape, LAG_TICKS)
    }

    /// The same with crops that follow their boxes by `crop_lag` ticks.
    pub fn lagging(track: TrackId, first: Tick, shape: &ModelShape, crop_lag: usize) -> Self {
        Self {
            track,
            first,
            smoother: SpotSmoother::lagging(crop_lag),
            cropper: Cropper::new(),
            held: VecDeque::new(),
            crops: Vec::new(),
            crop_len: shape.crop_len(),
            embedding_width: shape.embedding,
            map_area: shape.map_area,
            places: VecDeque::new(),
            state: Some(shape.fresh_face_state()),
            discard: shape.face_delay_ticks,
            flush: shape.face_delay_ticks,
            ended: false,
            encoded: VecDeque::new(),
            spare: Vec::new(),
            base: first,
            seen: 0,
        }
    }

    /// The tick after the last one pushed.
    pub const fn next(&self) -> Tick {
        self.first.offset(self.seen)
    }

    /// Values of one embedding.
    pub const fn embedding_width(&self) -> usize {
        self.embedding_width
    }

    /// Whether the track has ended.
    pub const fn ended(&self) -> bool {
        self.ended
    }

    /// The next tick's box and picture.
    pub fn push(&mut self, rect: Rect, picture: Arc<dyn Picture>) {
        self.seen += 1;
        self.held.push_back(picture);
        if let Some(smooth) = self.smoother.push(rect.into()) {
            self.crop(smooth);
        }
    }

    /// The track ends with the last tick pushed.
    pub fn end(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        for smooth in self.smoother.finish() {
            self.crop(smooth);
        }
    }

    fn crop(&mut self, spot: FaceSpot) {
        let Some(picture) = self.held.pop_front() else { return };
        let view = picture.view();
        let mut crop = [OUTSIDE_GREY; CROP_PIXELS];
        let mut over = Rect::default();
        // A box that is no face leaves the grey that lies outside every picture.
        if let Some(place) = CropRect::new(spot, view.width, view.height) {
            self.cropper.crop_grey(&view, place, &mut crop);
            over = part_of(place.rect(), self.map_area);
        }
        self.crops.extend_from_slice(&crop);
        self.places.push_back(over);
    }

    /// Whether the last job is still under way.
    pub const fn under_way(&self) -> bool {
        self.state.is_none()
    }

    /// The ticks whose crops wait for the encoder.
    pub fn cropped(&self) -> Range<Tick> {
        let back = |ticks: usize| i64::try_from(ticks).map_or(0, |ticks| -ticks);
        let until = self.next().offset(back(self.held.len()));
        until.offset(back(self.crops.len() / self.crop_len))..until
    }

    /// Crops that wait for the encoder, flushing included once the track has ended.
    pub fn waiting(&self) -> usize {
        self.crops.len() / self.crop_len + if self.ended { self.flush } else { 0 }
    }

    /// The next job of at most `most` ticks; `None` where nothing waits, or the last one is under way.
    pub fn take_job(&mut self, most: usize, mode: Mode) -> Option<FaceJob> {
        if self.under_way() {
            return None;
        }
        let real = (self.crops.len() / self.crop_len).min(most);
        let rest = if self.ended && real * self.crop_len == self.crops.len() {
            self.flush.min(most - real)
        } else {
            0
        };
        if real + rest == 0 {
            return None;
        }
        let mut crops = Vec::with_capacity((real + rest) * self.crop_len);
        crops.extend(self.crops.drain(..real * self.crop_len));
        crops.resize((real + rest) * self.crop_len, 0);
        self.flush -= rest;
        let mut valid = vec![1.0; real + rest];
        valid[real..].fill(0.0);
        let contributions = mode.needs_effects();
        Some(FaceJob { state: self.state.take()?, crops, valid, contributions })
    }

    /// Takes the answer to the last job.
    pub fn put(&mut self, features: FaceFeatures, shape: &ModelShape, mode: Mode) {
        let FaceFeatures { state, embeddings, maps, gates, contributions } = features;
        self.state = Some(state);
        let map_len = shape.map_len();
        for (i, embedding) in embeddings.chunks_exact(shape.embedding).enumerate() {
            // What lies before the track's start is padding.
            if self.discard > 0 {
                self.discard -= 1;
                continue;
            }
            let Some(over) = self.places.pop_front() else { break };
            let map = &maps[i * map_len..(i + 1) * map_len];
            let gate = gates.as_ref().map(|g| &g[i * shape.map_channels..][..shape.map_channels]);
            let evidence = evidence(shape, mode, map, gate);
            let per_tick = shape.map_channels * shape.embedding;
            let contributions =
                contributions.as_ref().map(|all| all[i * per_tick..][..per_tick].to_vec());
            let mut own = self.spare.pop().unwrap_or_default();
            own.clear();
            own.extend_from_slice(embedding);
            let embedding = own;
            self.encoded.push_back(Encoded { embedding, over, evidence, contributions });
        }
    }

    /// The ticks that are encoded and not yet forgotten.
    pub fn encoded_until(&self) -> Tick {
        self.base.offset(i64::try_from(self.encoded.len()).unwrap_or(0))
    }

    /// Whether nothing more will be encoded.
    pub fn complete(&self) -> bool {
        self.ended && self.encoded_until() >= self.next()
    }

    /// The encoded tick, where it is here.
    pub fn at(&self, tick: Tick) -> Option<&Encoded> {
        self.encoded.get(usize::try_from(tick.0 - self.base.0).ok()?)
    }

    /// Takes the memory of an embedding back, for one that comes.
    pub fn spare(&mut self, embedding: Vec<f32>) {
        // No more than a window holds is ever asked for at once.
        if self.spare.len() < MOST_SPARE {
            self.spare.push(embedding);
        }
    }

    /// Takes the first encoded tick out.
    pub fn pop(&mut self) -> Option<Encoded> {
        let first = self.encoded.pop_front()?;
        self.base = self.base.offset(1);
        Some(first)
    }
}

/// The part of `whole` between these shares of its sides.
fn part_of(whole: Rect, shares: Rect) -> Rect {
    let (w, h) = (whole.width(), whole.height());
    Rect::new(
        whole.x1 + shares.x1 * w,
        whole.y1 + shares.y1 * h,
        whole.x1 + shares.x2 * w,
        whole.y1 + shares.y2 * h,
    )
}

/// What to keep of a map: where the gate is known already, the heatmap itself is a five-hundredth
/// of the memory.
fn evidence(shape: &ModelShape, mode: Mode, map: &[f32], gate: Option<&[f32]>) -> Evidence {
    let early = match (mode, shape.gate) {
        (Mode::None, _) => return Evidence::None,
        (Mode::Paper | Mode::GateActivation, GateSource::Face | GateSource::None) => true,
        _ => false,
    };
    if !early {
        return Evidence::Held(map.to_vec());
    }
    let ones;
    let gate = match gate {
        Some(gate) => gate,
        None => {
            ones = vec![1.0; shape.map_channels];
            &ones
        }
    };
    raw(shape, mode, map, gate, None).map_or(Evidence::None, Evidence::Raw)
}

/// The raw evidence map; `None` where sizes do not fit, which the session's check rules out.
pub fn raw(
    shape: &ModelShape,
    mode: Mode,
    map: &[f32],
    gate: &[f32],
    effects: Option<&[f32]>,
) -> Option<Cells> {
    let map = FeatureMap::new(map, shape.map_channels, shape.map_height, shape.map_width)?;
    let mut out = Cells::from_elem(0.0, map.cells());
    raw_map(mode, &map, gate, effects, &mut out).ok()?;
    Some(out)
}

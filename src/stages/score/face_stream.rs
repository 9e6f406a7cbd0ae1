//! One track on its way through the face encoder.
//!
//! Takes the track's box and frame at every tick; gives an embedding, a place and evidence for
//! every tick, in order. Boxes are smoothed before cropping, so crops lag by the smoother's reach;
//! the encoder lags by its own delay and is flushed at the track's true end, so that its zero
//! padding is exactly that of a pass over the whole track.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::model::{FaceFeatures, FaceJob, FaceState, GateSource, ModelShape};
use crate::core::evidence::{Cells, TrackId};
use crate::core::frame::Image;
use crate::core::geometry::Rect;
use crate::core::time::Tick;
use crate::stages::explain::{FeatureMap, Mode, raw_map};
use crate::stages::features::crop::{CROP_PIXELS, CropRect, Cropper, FacePosition};
use crate::stages::features::smooth::{LAG_TICKS, PositionSmoother};

/// The grey of what lies outside the frame, as the released crops have it.
const OUTSIDE_GREY: u8 = 110;

/// Embeddings whose memory is kept for others.
const MAX_SPARE_BUFFERS: usize = 32;

/// What is left of the feature map of one tick.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are Raw, and that lies here to need no memory"
)]
pub enum TickEvidence {
    /// Nothing: no heatmap was asked for.
    None,
    /// The map itself (h × w, raw units): the mode needs no more than face and gate.
    Raw(Cells),
    /// The feature map, as the mode still needs what the head will say.
    Features(Vec<f32>),
}

/// One encoded tick.
#[derive(Debug)]
pub struct Encoded {
    /// What the head reads.
    pub embedding: Vec<f32>,
    /// Where what the map covers lay in the frame.
    pub over: Rect,
    /// What the map can tell.
    pub evidence: TickEvidence,
    /// C × embedding: what each channel adds to the embedding, where ablation needs it.
    pub contributions: Option<Vec<f32>>,
}

/// A track's boxes, crops and embeddings.
pub struct FaceStream {
    /// Whose.
    pub track: TrackId,
    /// The track's first tick.
    pub first: Tick,
    smoother: PositionSmoother,
    cropper: Cropper,
    pending_images: VecDeque<Arc<dyn Image>>,
    crops: Vec<u8>,
    crop_len: usize,
    embedding_width: usize,
    map_area: Rect,
    crop_rects: VecDeque<Rect>,
    state: Option<FaceState>,
    discard_ticks: usize,
    flush_ticks: usize,
    ended: bool,
    encoded: VecDeque<Encoded>,
    /// Memory of embeddings that are not needed any more.
    spare_buffers: Vec<Vec<f32>>,
    /// The tick of the first entry of `encoded`.
    base: Tick,
    pushed_ticks: i64,
}

impl FaceStream {
    /// A lane for a track that starts at `first`.
    pub fn new(track: TrackId, first: Tick, shape: &ModelShape) -> Self {
        Self::with_lag(track, first, shape, LAG_TICKS)
    }

    /// The same with crops that follow their boxes by `crop_lag_ticks` ticks.
    pub fn with_lag(
        track: TrackId,
        first: Tick,
        shape: &ModelShape,
        crop_lag_ticks: usize,
    ) -> Self {
        Self {
            track,
            first,
            smoother: PositionSmoother::with_lag(crop_lag_ticks),
            cropper: Cropper::new(),
            pending_images: VecDeque::new(),
            crops: Vec::new(),
            crop_len: shape.crop_len(),
            embedding_width: shape.embedding,
            map_area: shape.map_area,
            crop_rects: VecDeque::new(),
            state: Some(shape.fresh_face_state()),
            discard_ticks: shape.face_delay_ticks,
            flush_ticks: shape.face_delay_ticks,
            ended: false,
            encoded: VecDeque::new(),
            spare_buffers: Vec::new(),
            base: first,
            pushed_ticks: 0,
        }
    }

    /// The tick after the last one pushed.
    pub const fn next(&self) -> Tick {
        self.first.offset(self.pushed_ticks)
    }

    /// Values of one embedding.
    pub const fn embedding_width(&self) -> usize {
        self.embedding_width
    }

    /// Whether the track has ended.
    pub const fn ended(&self) -> bool {
        self.ended
    }

    /// The next tick's box and frame.
    pub fn push(&mut self, rect: Rect, image: Arc<dyn Image>) {
        self.pushed_ticks += 1;
        self.pending_images.push_back(image);
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

    fn crop(&mut self, position: FacePosition) {
        let Some(image) = self.pending_images.pop_front() else { return };
        let view = image.view();
        let mut crop = [OUTSIDE_GREY; CROP_PIXELS];
        let mut over = Rect::default();
        // A box that is no face leaves the grey that lies outside every frame.
        if let Some(place) = CropRect::new(position, view.width, view.height) {
            self.cropper.crop_grey(&view, place, &mut crop);
            over = sub_rect(place.rect(), self.map_area);
        }
        self.crops.extend_from_slice(&crop);
        self.crop_rects.push_back(over);
    }

    /// Whether the last job is still under way.
    pub const fn in_flight(&self) -> bool {
        self.state.is_none()
    }

    /// The ticks whose crops wait for the encoder.
    pub fn waiting_range(&self) -> Range<Tick> {
        let back = |ticks: usize| i64::try_from(ticks).map_or(0, |ticks| -ticks);
        let until = self.next().offset(back(self.pending_images.len()));
        until.offset(back(self.crops.len() / self.crop_len))..until
    }

    /// Crops that wait for the encoder, flushing included once the track has ended.
    pub fn waiting(&self) -> usize {
        self.crops.len() / self.crop_len + if self.ended { self.flush_ticks } else { 0 }
    }

    /// The next job of at most `max_ticks` ticks; `None` where nothing waits, or the last one is under way.
    pub fn take_job(&mut self, max_ticks: usize, mode: Mode) -> Option<FaceJob> {
        if self.in_flight() {
            return None;
        }
        let real = (self.crops.len() / self.crop_len).min(max_ticks);
        let rest = if self.ended && real * self.crop_len == self.crops.len() {
            self.flush_ticks.min(max_ticks - real)
        } else {
            0
        };
        if real + rest == 0 {
            return None;
        }
        let mut crops = Vec::with_capacity((real + rest) * self.crop_len);
        crops.extend(self.crops.drain(..real * self.crop_len));
        crops.resize((real + rest) * self.crop_len, 0);
        self.flush_ticks -= rest;
        let mut valid = vec![1.0; real + rest];
        valid[real..].fill(0.0);
        let contributions = mode.needs_effects();
        Some(FaceJob { state: self.state.take()?, crops, valid, contributions })
    }

    /// Takes the answer to the last job.
    pub fn push_features(&mut self, features: FaceFeatures, shape: &ModelShape, mode: Mode) {
        let FaceFeatures { state, embeddings, maps, gates, contributions } = features;
        self.state = Some(state);
        let map_len = shape.map_len();
        for (i, embedding) in embeddings.chunks_exact(shape.embedding).enumerate() {
            // What lies before the track's start is padding.
            if self.discard_ticks > 0 {
                self.discard_ticks -= 1;
                continue;
            }
            let Some(over) = self.crop_rects.pop_front() else { break };
            let map = &maps[i * map_len..(i + 1) * map_len];
            let gate = gates.as_ref().map(|g| &g[i * shape.map_channels..][..shape.map_channels]);
            let evidence = evidence(shape, mode, map, gate);
            let per_tick = shape.map_channels * shape.embedding;
            let contributions =
                contributions.as_ref().map(|all| all[i * per_tick..][..per_tick].to_vec());
            let mut own = self.spare_buffers.pop().unwrap_or_default();
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
    pub fn recycle(&mut self, embedding: Vec<f32>) {
        // No more than a window holds is ever asked for at once.
        if self.spare_buffers.len() < MAX_SPARE_BUFFERS {
            self.spare_buffers.push(embedding);
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
fn sub_rect(whole: Rect, shares: Rect) -> Rect {
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
fn evidence(shape: &ModelShape, mode: Mode, map: &[f32], gate: Option<&[f32]>) -> TickEvidence {
    let early = match (mode, shape.gate) {
        (Mode::None, _) => return TickEvidence::None,
        (Mode::Paper | Mode::GateActivation, GateSource::Face | GateSource::None) => true,
        _ => false,
    };
    if !early {
        return TickEvidence::Features(map.to_vec());
    }
    let ones;
    let gate = match gate {
        Some(gate) => gate,
        None => {
            ones = vec![1.0; shape.map_channels];
            &ones
        }
    };
    evidence_map(shape, mode, map, gate, None).map_or(TickEvidence::None, TickEvidence::Raw)
}

/// The raw evidence map; `None` where sizes do not fit, which the session's check rules out.
pub fn evidence_map(
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

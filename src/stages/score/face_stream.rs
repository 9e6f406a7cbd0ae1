//! One track's way through the face encoder.
//!
//! Takes the track's box and image at every tick; gives an embedding, an area and evidence for
//! every tick, in order. Boxes are smoothed before cropping, so crops lag by the smoother's delay.
//! The encoder lags by its own delay and is flushed at the track's true end, so that its zero
//! padding is exactly that of a pass over the whole track.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::explainer::Explainer;
use crate::core::evidence::{Cells, TrackId};
use crate::core::frame::Image;
use crate::core::geometry::Rect;
use crate::core::time::Tick;
use crate::models::explain::Mode;
use crate::models::speaker_model::{FaceFeatures, FaceJob, FaceState, GateSource, ModelShape};
use crate::stages::features::crop::{CROP_PIXELS, CropRect, Cropper, FacePosition};
use crate::stages::features::smooth::{LAG_TICKS, PositionSmoother};

/// Grey level outside the frame, as in the released crops.
const OUTSIDE_GREY: u8 = 110;

/// Maximum number of embedding buffers kept for reuse.
const MAX_SPARE_BUFFERS: usize = 32;

/// What remains of one tick's feature map.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are Raw, which is stored inline to avoid allocations"
)]
pub enum TickEvidence {
    /// Nothing: no heatmap was requested.
    None,
    /// The evidence map (h × w, raw units): the mode needs only the face and the gate.
    Raw(Cells),
    /// The feature map: the mode also needs the head's result.
    Features(Vec<f32>),
}

/// One encoded tick.
#[derive(Debug)]
pub struct Encoded {
    /// The head's input.
    pub embedding: Vec<f32>,
    /// The area of the frame that the map covers.
    pub over: Rect,
    /// The evidence of the map.
    pub evidence: TickEvidence,
    /// C × embedding: each channel's contribution to the embedding, if ablation needs it.
    pub contributions: Option<Vec<f32>>,
}

/// A track's boxes, crops and embeddings.
pub struct FaceStream {
    /// The track's number.
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
    /// Buffers of dropped embeddings.
    spare_buffers: Vec<Vec<f32>>,
    /// The tick of the first entry of `encoded`.
    base: Tick,
    pushed_ticks: i64,
    explainer: Box<dyn Explainer>,
}

impl FaceStream {
    /// Creates a stream for a track that starts at `first`.
    pub fn new(
        track: TrackId,
        first: Tick,
        shape: &ModelShape,
        explainer: Box<dyn Explainer>,
    ) -> Self {
        Self::with_lag(track, first, shape, explainer, LAG_TICKS)
    }

    /// As [`Self::new`], with crops that lag their boxes by `crop_lag_ticks` ticks.
    pub fn with_lag(
        track: TrackId,
        first: Tick,
        shape: &ModelShape,
        explainer: Box<dyn Explainer>,
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
            explainer,
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

    /// Pushes the next tick's box and image.
    pub fn push(&mut self, rect: Rect, image: Arc<dyn Image>) {
        self.pushed_ticks += 1;
        self.pending_images.push_back(image);
        if let Some(smooth) = self.smoother.push(rect.into()) {
            self.crop(smooth);
        }
    }

    /// Ends the track after the last tick pushed.
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
        // An implausible box gives a crop of the grey that lies outside the frame.
        if let Some(crop_rect) = CropRect::new(position, view.width, view.height) {
            self.cropper.crop_grey(&view, crop_rect, &mut crop);
            over = sub_rect(crop_rect.rect(), self.map_area);
        }
        self.crops.extend_from_slice(&crop);
        self.crop_rects.push_back(over);
    }

    /// Whether the last job is in the encoder.
    pub const fn in_flight(&self) -> bool {
        self.state.is_none()
    }

    /// The ticks whose crops wait for the encoder.
    pub fn waiting_range(&self) -> Range<Tick> {
        let back = |ticks: usize| i64::try_from(ticks).map_or(0, |ticks| -ticks);
        let until = self.next().offset(back(self.pending_images.len()));
        until.offset(back(self.crops.len() / self.crop_len))..until
    }

    /// Number of crops that wait for the encoder; includes the flush once the track has ended.
    pub fn waiting(&self) -> usize {
        self.crops.len() / self.crop_len + if self.ended { self.flush_ticks } else { 0 }
    }

    /// The next job of at most `max_ticks` ticks; `None` if no crop waits or a job is in flight.
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

    /// Pushes the result of the last job.
    pub fn push_features(&mut self, features: FaceFeatures, shape: &ModelShape, mode: Mode) {
        let FaceFeatures { state, embeddings, maps, gates, contributions } = features;
        self.state = Some(state);
        let map_len = shape.map_len();
        for (i, embedding) in embeddings.chunks_exact(shape.embedding).enumerate() {
            // The output before the track's start is padding.
            if self.discard_ticks > 0 {
                self.discard_ticks -= 1;
                continue;
            }
            let Some(over) = self.crop_rects.pop_front() else { break };
            let map = &maps[i * map_len..(i + 1) * map_len];
            let gate = gates.as_ref().map(|g| &g[i * shape.map_channels..][..shape.map_channels]);
            let evidence = evidence(self.explainer.as_ref(), shape, mode, map, gate);
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

    /// What makes the track's heatmaps.
    pub fn explainer(&mut self) -> &mut dyn Explainer {
        self.explainer.as_mut()
    }

    /// The end of the encoded ticks.
    pub fn encoded_until(&self) -> Tick {
        self.base.offset(i64::try_from(self.encoded.len()).unwrap_or(0))
    }

    /// Whether all ticks have been encoded.
    pub fn complete(&self) -> bool {
        self.ended && self.encoded_until() >= self.next()
    }

    /// The encoded tick, if it is held.
    pub fn at(&self, tick: Tick) -> Option<&Encoded> {
        self.encoded.get(usize::try_from(tick.0 - self.base.0).ok()?)
    }

    /// Returns an embedding's buffer for reuse.
    pub fn recycle(&mut self, embedding: Vec<f32>) {
        // A window never needs more buffers at once.
        if self.spare_buffers.len() < MAX_SPARE_BUFFERS {
            self.spare_buffers.push(embedding);
        }
    }

    /// Pops the first encoded tick.
    pub fn pop(&mut self) -> Option<Encoded> {
        let first = self.encoded.pop_front()?;
        self.base = self.base.offset(1);
        Some(first)
    }
}

/// The part of `whole` between these `shares` of its sides.
fn sub_rect(whole: Rect, shares: Rect) -> Rect {
    let (w, h) = (whole.width(), whole.height());
    Rect::new(
        whole.x1 + shares.x1 * w,
        whole.y1 + shares.y1 * h,
        whole.x1 + shares.x2 * w,
        whole.y1 + shares.y2 * h,
    )
}

/// What to keep of a map: if the gate is known already, the evidence map is enough, at a
/// five-hundredth of the memory.
fn evidence(
    explainer: &dyn Explainer,
    shape: &ModelShape,
    mode: Mode,
    map: &[f32],
    gate: Option<&[f32]>,
) -> TickEvidence {
    let head_not_needed = match (mode, shape.gate) {
        (Mode::None, _) => return TickEvidence::None,
        (Mode::Paper | Mode::GateActivation, GateSource::Face | GateSource::None) => true,
        _ => false,
    };
    if !head_not_needed {
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
    explainer.raw_map(mode, map, gate, None).map_or(TickEvidence::None, TickEvidence::Raw)
}

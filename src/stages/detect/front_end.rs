//! Detection and tracking as one: frames in, the same frames with their tracked faces out.
//!
//! Holds one frame back, so that the last frame of a shot can still be searched when the cut after
//! it is seen, and the frames that the tracker holds until their boxes are certain.

use std::collections::VecDeque;

use super::cuts::CutDetector;
use super::plan::{DetectPlan, PlanSettings, Search};
use super::{DetectError, FaceDetector};
use crate::core::frame::Frame;
use crate::core::geometry::FaceBox;
use crate::core::time::{Epoch, Span};
use crate::stages::track::{Policy, TrackedFrame, Tracker};

/// A frame on its way into the tracker.
struct HeldBack {
    frame: Frame,
    seen: Option<Vec<FaceBox>>,
    cut: bool,
}

/// Finds and follows faces.
pub struct FrontEnd {
    detector: Box<dyn FaceDetector + Send>,
    settings: PlanSettings,
    plan: DetectPlan,
    cuts: CutDetector,
    tracker: Tracker,
    held: Option<HeldBack>,
    in_tracker: VecDeque<Frame>,
    epoch: Epoch,
    prompt: bool,
}

/// A frame with what was found in it.
pub type Looked = (Frame, TrackedFrame);

impl FrontEnd {
    /// Looks with `detector`.
    pub fn new(
        detector: Box<dyn FaceDetector + Send>,
        settings: PlanSettings,
        policy: Policy,
    ) -> Self {
        Self {
            plan: DetectPlan::new(settings).in_parts(detector.gains_by_parts()),
            detector,
            settings,
            cuts: CutDetector::new(),
            tracker: Tracker::new(policy.with_detection_every(settings.stride)),
            held: None,
            in_tracker: VecDeque::new(),
            epoch: Epoch::default(),
            prompt: false,
        }
    }

    /// The same for a live stream: no frame is held back, so the last frame of a shot is searched
    /// in its turn only; people are numbered after the first `people`.
    #[must_use]
    pub fn prompt(mut self, people: u32) -> Self {
        self.tracker.number_after(people);
        self.prompt = true;
        self
    }

    /// From now on so much time lies between two searches: the way to spend less under load.
    pub const fn set_stride(&mut self, stride: Span) {
        self.settings.stride = stride;
        self.plan.set_stride(stride);
    }

    /// Faces followed so far.
    pub const fn people(&self) -> u32 {
        self.tracker.people()
    }

    /// Takes the next frame, appends those that are done to `out`.
    ///
    /// # Errors
    /// Where the detector fails.
    pub fn push(&mut self, frame: Frame, out: &mut Vec<Looked>) -> Result<(), DetectError> {
        if frame.id.epoch != self.epoch {
            out.extend(self.finish_epoch()?);
            let parts = self.detector.gains_by_parts();
            self.plan = DetectPlan::new(self.settings).in_parts(parts);
            self.cuts = CutDetector::new();
            self.epoch = frame.id.epoch;
        }
        let view = frame.image.view();
        let cut = self.cuts.push(&view);
        let searches = self.plan.next(frame.id.pts, (view.width, view.height), cut);
        self.search_held(searches.previous)?;
        let seen = searches.this.map(|search| self.search(&frame, search)).transpose()?;
        let this = HeldBack { frame, seen, cut };
        if self.prompt {
            self.track(Some(this), out);
        } else {
            let before = self.held.replace(this);
            self.track(before, out);
        }
        Ok(())
    }

    /// The stream has ended; gives everything that is still held.
    ///
    /// # Errors
    /// Where the detector fails.
    pub fn finish(&mut self) -> Result<Vec<Looked>, DetectError> {
        self.finish_epoch()
    }

    fn finish_epoch(&mut self) -> Result<Vec<Looked>, DetectError> {
        let mut out = Vec::new();
        let search = self.plan.finish();
        self.search_held(search)?;
        let last = self.held.take();
        self.track(last, &mut out);
        let tracked = self.tracker.finish();
        self.pair(tracked, &mut out);
        Ok(out)
    }

    /// Searches the frame that is held back, where the plan wants it.
    fn search_held(&mut self, search: Option<Search>) -> Result<(), DetectError> {
        let Some(search) = search else { return Ok(()) };
        if let Some(mut held) = self.held.take() {
            held.seen = Some(self.search(&held.frame, search)?);
            self.held = Some(held);
        }
        Ok(())
    }

    fn search(&mut self, frame: &Frame, search: Search) -> Result<Vec<FaceBox>, DetectError> {
        let view = frame.image.view();
        let faces = match search.part {
            None => self.detector.detect(&view, search.long_side_px)?,
            Some(part) => {
                let corner = (part.x as f32, part.y as f32);
                let long_side_px = search.part_long_side_px(part);
                let faces = self.detector.detect(&view.part(part), long_side_px)?;
                faces.into_iter().map(|face| face.shifted(corner)).collect()
            }
        };
        self.plan.saw(search, &faces);
        Ok(faces)
    }

    fn track(&mut self, held: Option<HeldBack>, out: &mut Vec<Looked>) {
        let Some(HeldBack { frame, seen, cut }) = held else { return };
        let tracked = self.tracker.push(frame.id, seen.as_deref(), cut);
        self.in_tracker.push_back(frame);
        self.pair(tracked, out);
    }

    /// The tracker gives every frame back once and in order.
    fn pair(&mut self, tracked: Vec<TrackedFrame>, out: &mut Vec<Looked>) {
        for tracked in tracked {
            out.extend(self.in_tracker.pop_front().map(|frame| (frame, tracked)));
        }
    }
}

#[cfg(test)]
#[path = "front_end_tests.rs"]
mod tests;

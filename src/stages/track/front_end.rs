//! Detection and tracking combined: takes frames, gives the same frames with their tracked faces.
//!
//! Holds back one frame, so that the last frame of a shot can be searched when the cut after it is
//! detected, and the frames that the tracker holds until their boxes are final.

use std::collections::VecDeque;

use super::{Policy, TrackedFrame, Tracker};
use crate::core::frame::Frame;
use crate::core::geometry::FaceBox;
use crate::core::time::{Epoch, Span};
use crate::models::face_detector::{DetectError, FaceDetector};
use crate::stages::detect::cuts::CutDetector;
use crate::stages::detect::plan::{DetectPlan, PlanSettings, Search};

/// A frame before the tracker.
struct HeldFrame {
    frame: Frame,
    detections: Option<Vec<FaceBox>>,
    cut: bool,
}

/// Detects and tracks faces.
pub(crate) struct FrontEnd {
    detector: Box<dyn FaceDetector + Send>,
    settings: PlanSettings,
    plan: DetectPlan,
    cuts: CutDetector,
    tracker: Tracker,
    held: Option<HeldFrame>,
    in_tracker: VecDeque<Frame>,
    epoch: Epoch,
    low_latency: bool,
}

/// A frame with its tracked faces.
pub(crate) type FrameWithFaces = (Frame, TrackedFrame);

impl FrontEnd {
    /// A front end that uses `detector`.
    pub(crate) fn new(
        detector: Box<dyn FaceDetector + Send>,
        settings: PlanSettings,
        policy: Policy,
    ) -> Self {
        Self {
            plan: DetectPlan::new(settings).use_regions(detector.benefits_from_regions()),
            detector,
            settings,
            cuts: CutDetector::new(),
            tracker: Tracker::new(policy.with_detection_interval(settings.stride)),
            held: None,
            in_tracker: VecDeque::new(),
            epoch: Epoch::default(),
            low_latency: false,
        }
    }

    /// The same for a live stream: no frame is held back, so the last frame of a shot gets no extra
    /// search. Track numbers continue after `people`.
    #[must_use]
    pub(crate) fn low_latency(mut self, people: u32) -> Self {
        self.tracker.number_from(people);
        self.low_latency = true;
        self
    }

    /// Sets the time between two searches; a longer one reduces the load.
    pub(crate) const fn set_stride(&mut self, stride: Span) {
        self.settings.stride = stride;
        self.plan.set_stride(stride);
    }

    /// Confirmed tracks so far.
    pub(crate) const fn people(&self) -> u32 {
        self.tracker.people()
    }

    /// Takes the next frame; appends finished frames to `out`.
    ///
    /// # Errors
    /// The detector failed.
    pub(crate) fn push(
        &mut self,
        frame: Frame,
        out: &mut Vec<FrameWithFaces>,
    ) -> Result<(), DetectError> {
        if frame.id.epoch != self.epoch {
            out.extend(self.finish_epoch()?);
            let regions = self.detector.benefits_from_regions();
            self.plan = DetectPlan::new(self.settings).use_regions(regions);
            self.cuts = CutDetector::new();
            self.epoch = frame.id.epoch;
        }
        let view = frame.image.view();
        let cut = self.cuts.push(&view);
        let searches = self.plan.next(frame.id.pts, (view.width, view.height), cut);
        self.search_held(searches.previous)?;
        let detections = searches.current.map(|search| self.search(&frame, search)).transpose()?;
        let current = HeldFrame { frame, detections, cut };
        if self.low_latency {
            self.track(Some(current), out);
        } else {
            let before = self.held.replace(current);
            self.track(before, out);
        }
        Ok(())
    }

    /// Ends the stream; returns all frames still held.
    ///
    /// # Errors
    /// The detector failed.
    pub(crate) fn finish(&mut self) -> Result<Vec<FrameWithFaces>, DetectError> {
        self.finish_epoch()
    }

    fn finish_epoch(&mut self) -> Result<Vec<FrameWithFaces>, DetectError> {
        let mut out = Vec::new();
        let search = self.plan.finish();
        self.search_held(search)?;
        let last = self.held.take();
        self.track(last, &mut out);
        let tracked = self.tracker.finish();
        self.pair(tracked, &mut out);
        Ok(out)
    }

    /// Searches the held frame if the plan requires it.
    fn search_held(&mut self, search: Option<Search>) -> Result<(), DetectError> {
        let Some(search) = search else { return Ok(()) };
        if let Some(mut held) = self.held.take() {
            held.detections = Some(self.search(&held.frame, search)?);
            self.held = Some(held);
        }
        Ok(())
    }

    fn search(&mut self, frame: &Frame, search: Search) -> Result<Vec<FaceBox>, DetectError> {
        let view = frame.image.view();
        let faces = match search.region {
            None => self.detector.detect(&view, search.long_side_px)?,
            Some(region) => {
                let corner = (region.x as f32, region.y as f32);
                let long_side_px = search.region_long_side_px(region);
                let faces = self.detector.detect(&view.crop(region), long_side_px)?;
                faces.into_iter().map(|face| face.shifted(corner)).collect()
            }
        };
        self.plan.update(search, &faces);
        Ok(faces)
    }

    fn track(&mut self, held: Option<HeldFrame>, out: &mut Vec<FrameWithFaces>) {
        let Some(HeldFrame { frame, detections, cut }) = held else { return };
        let tracked = self.tracker.push(frame.id, detections.as_deref(), cut);
        self.in_tracker.push_back(frame);
        self.pair(tracked, out);
    }

    /// Pairs tracked frames with their images: the tracker returns every frame once and in order.
    fn pair(&mut self, tracked: Vec<TrackedFrame>, out: &mut Vec<FrameWithFaces>) {
        for tracked in tracked {
            out.extend(self.in_tracker.pop_front().map(|frame| (frame, tracked)));
        }
    }
}

#[cfg(test)]
#[path = "front_end_tests.rs"]
mod tests;

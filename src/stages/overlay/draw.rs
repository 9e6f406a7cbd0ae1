//! The painter: one frame's evidence in, sprites out.
//!
//! Input: [`FrameEvidence`] and the frame's size. Output: sprites in blending order: heatmaps,
//! boxes, labels. Between frames it keeps the state of the stabilizers (positions of boxes and
//! labels, text sizes, numbers), a cache of painted sprites, and everyone's talk time for the bar
//! of its share. All three are bounded. None changes the values shown, except that numbers may be a
//! fifth of a second old. A face with a non-finite box or outside the frame is not drawn.

use std::collections::BTreeMap;

use super::box_outline::BoxOutline;
use super::box_stabilizer::{BoxStabilizer, Numbers};
use super::cache::{Pixels, SpriteCache};
use super::heat::HeatPainter;
use super::label::{BAR_STEPS, Background, Detail, Label, LabelPart, talk_chars};
use super::layout::{self, FaceVec, LabelRequest};
use super::pixel_rect::PixelRect;
use super::sprite::{Sprite, SpriteContent};
use super::style::{Sizes, State, Style};
use super::text::TextRenderer;
use crate::core::evidence::{FaceEvidence, FrameEvidence, TrackId, Verdict};

/// Draws the evidence of one video, frame after frame.
pub struct Painter {
    style: Style,
    text: TextRenderer,
    labels: SpriteCache<LabelPart>,
    heat: HeatPainter,
    stabilizers: BTreeMap<TrackId, BoxStabilizer>,
    talk: TalkTotals,
    frame_size: (u32, u32),
    frames_drawn: u64,
    /// An empty buffer for the next frame's sprites.
    recycled: Vec<Sprite>,
}

/// A face inside the frame, waiting for its label.
struct VisibleFace<'a> {
    face: &'a FaceEvidence,
    state: State,
    bounds: PixelRect,
    em_px: u32,
    numbers: Numbers,
}

/// Frames after which an absent person's stabilizer is dropped: some seconds.
const FORGET_AFTER_FRAMES: u64 = 250;

impl Painter {
    /// A painter that has drawn nothing yet.
    pub fn new(style: Style) -> Self {
        Self {
            style,
            text: TextRenderer::new(),
            labels: SpriteCache::new(),
            heat: HeatPainter::new(),
            stabilizers: BTreeMap::new(),
            talk: TalkTotals::default(),
            frame_size: (0, 0),
            frames_drawn: 0,
            recycled: Vec::new(),
        }
    }

    /// The sprites to blend over the next frame of `width` × `height` pixels, in order.
    pub fn draw(&mut self, evidence: &FrameEvidence, width: u32, height: u32) -> Vec<Sprite> {
        let frame_size = (width, height);
        if width == 0 || height == 0 {
            return Vec::new();
        }
        self.begin_frame(evidence, frame_size);
        let sizes = Sizes::of_frame(width, height);
        let mut sprites = std::mem::take(&mut self.recycled);
        if self.style.heat {
            self.draw_heat(evidence, frame_size, &mut sprites);
        }
        let mut visible: FaceVec<VisibleFace<'_>> = FaceVec::with_capacity(evidence.faces.len());
        for face in &evidence.faces {
            let state = State::of(face.verdict);
            let stabilizer = self.stabilizers.entry(face.track).or_insert_with(BoxStabilizer::new);
            stabilizer.last_drawn = self.frames_drawn;
            let rect = stabilizer.rect(face.rect);
            let line_px = sizes.line_px(state, rect.width().min(rect.height()));
            let outset = BoxOutline::outset(line_px);
            let Some(bounds) = PixelRect::around_face(rect, outset, frame_size) else {
                continue;
            };
            if self.style.boxes {
                Self::draw_box(BoxOutline::new(bounds, line_px, state), bounds, &mut sprites);
            }
            let em_px = stabilizer.em_px(sizes.em_px(rect.height()));
            let numbers = stabilizer.numbers(numbers(face.verdict), state, evidence.frame);
            visible.push(VisibleFace { face, state, bounds, em_px, numbers });
        }
        if self.style.labels {
            self.draw_labels(&visible, evidence.floor, &mut sprites);
        }
        sprites
    }

    /// Takes blended sprites back, to reuse their buffer.
    pub fn recycle(&mut self, mut sprites: Vec<Sprite>) {
        sprites.clear();
        self.recycled = sprites;
    }

    /// Drops the state of people who are gone, and everything that depends on an old frame size.
    fn begin_frame(&mut self, evidence: &FrameEvidence, frame_size: (u32, u32)) {
        self.frames_drawn += 1;
        if self.frame_size != frame_size {
            self.frame_size = frame_size;
            self.stabilizers.clear();
        }
        let now = self.frames_drawn;
        self.stabilizers.retain(|_, stabilizer| stabilizer.last_drawn + FORGET_AFTER_FRAMES > now);
        self.heat.retain(|track| evidence.faces.iter().any(|face| face.track == track));
        for face in &evidence.faces {
            self.talk.update(face.track, face.talk_seconds);
        }
    }

    fn draw_heat(
        &mut self,
        evidence: &FrameEvidence,
        frame_size: (u32, u32),
        sprites: &mut Vec<Sprite>,
    ) {
        for face in &evidence.faces {
            // A face without a score has no explanation.
            if let (Some(heat), Some(p)) = (&face.heat, face.verdict.p()) {
                let opacity = self.style.opacity;
                sprites.extend(self.heat.sprite(face.track, heat, p, opacity, frame_size));
            }
        }
    }

    fn draw_box(outline: BoxOutline, at: PixelRect, sprites: &mut Vec<Sprite>) {
        let strips = outline.strips(at);
        sprites.extend(
            strips.map(|(strip, rect)| Sprite { content: SpriteContent::Strip(strip), rect }),
        );
    }

    fn draw_labels(
        &mut self,
        visible: &[VisibleFace<'_>],
        floor: Option<TrackId>,
        sprites: &mut Vec<Sprite>,
    ) {
        let labels: FaceVec<Label> = visible.iter().map(|one| self.label(one, floor)).collect();
        let requests: FaceVec<LabelRequest> = visible
            .iter()
            .zip(&labels)
            .map(|(one, label)| {
                let size = |detail| Background { detail, ..label.background }.size(&self.text);
                let before = self
                    .stabilizers
                    .get(&one.face.track)
                    .and_then(|stabilizer| stabilizer.placement);
                LabelRequest { face: one.bounds, sizes: Detail::ALL.map(size), before }
            })
            .collect();
        let placed = layout::place_labels(&requests, self.frame_size);
        for ((one, label), found) in visible.iter().zip(labels).zip(placed) {
            let Some((placement, rect)) = found else {
                continue;
            };
            if let Some(stabilizer) = self.stabilizers.get_mut(&one.face.track) {
                stabilizer.placement = Some(placement);
            }
            let background = Background { detail: placement.detail, ..label.background };
            for (part, (x, y)) in (Label { background, ..label }).parts(&self.text) {
                let pixels = self.labels.get(part, || part.paint(&mut self.text));
                sprites.extend(pixels.map(|pixels| {
                    let (x, y) = (rect.x + x, rect.y + y);
                    let rect = PixelRect { x, y, w: pixels.width, h: pixels.height };
                    sprite(pixels, rect)
                }));
            }
        }
    }

    fn label(&self, one: &VisibleFace<'_>, floor: Option<TrackId>) -> Label {
        let face = one.face;
        let background = Background {
            detail: Detail::Full,
            em_px: one.em_px,
            id: face.track.0,
            state: one.state,
            floor: floor == Some(face.track),
            talk_chars: talk_chars(face.talk_seconds as u32),
            shares: one.numbers.audio_share.is_some(),
        };
        Label {
            background,
            score: one.numbers.score,
            audio_share: one.numbers.audio_share,
            talk_seconds: face.talk_seconds as u32,
            talk_share: to_bar_steps(self.talk.share(face.track)),
        }
    }
}

/// A share in steps of its bar.
fn to_bar_steps(share: f64) -> u8 {
    (share.clamp(0.0, 1.0) * f64::from(BAR_STEPS)).round() as u8
}

fn numbers(verdict: Verdict) -> Numbers {
    let shares = match verdict {
        Verdict::Scored { shares, .. } => shares,
        Verdict::Unknown(_) => None,
    };
    Numbers {
        score: verdict.p().map(|p| (p * 100.0).round() as u8),
        audio_share: shares.map(|shares| to_bar_steps(f64::from(shares.audio))),
    }
}

fn sprite(pixels: Pixels, rect: PixelRect) -> Sprite {
    Sprite { content: SpriteContent::Pixels(pixels.bgra), rect }
}

/// Everyone's talk time: a share is of all talk, not only of the people now in the frame.
#[derive(Default)]
struct TalkTotals {
    seconds: BTreeMap<TrackId, f64>,
    forgotten_seconds: f64,
}

/// People whose talk time is kept separately; older ones are only summed.
const MAX_PEOPLE: usize = 512;

impl TalkTotals {
    fn update(&mut self, track: TrackId, seconds: f64) {
        if seconds.is_finite() && seconds >= 0.0 {
            self.seconds.insert(track, seconds);
        }
        while self.seconds.len() > MAX_PEOPLE {
            self.forgotten_seconds += self.seconds.pop_first().map_or(0.0, |(_, seconds)| seconds);
        }
    }

    /// 0..=1; 0 before any talk.
    fn share(&self, track: TrackId) -> f64 {
        let all = self.forgotten_seconds + self.seconds.values().sum::<f64>();
        let own = self.seconds.get(&track).copied().unwrap_or(0.0);
        if all > 0.0 { own / all } else { 0.0 }
    }
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;

//! The painter: one frame's evidence in, sprites out.
//!
//! Takes [`FrameEvidence`] and the frame's size; gives sprites in blending order: heatmaps, boxes,
//! labels. Remembers between frames only what keeps the frame calm (where boxes and labels lie, the
//! size of letters, numbers until they can be read), what spares work (sprites painted before) and
//! everyone's talk time, for the bar of its share. All three are bounded, and none changes what a
//! frame says, but that numbers may be a fifth of a second old. A face that is no rectangle of finite
//! numbers or lies outside the frame is not drawn.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::box_stabilizer::{BoxStabilizer, Numbers};
use super::cache::{Pixels, SpriteCache};
use super::frame_box::{FrameBox, outer};
use super::heat::HeatPainter;
use super::label::{BAR_STEPS, Detail, Ground, Label};
use super::layout::{self, Wanted};
use super::part::{Part, talk_chars};
use super::style::{Sizes, State, Style};
use super::text::Text;
use super::{Paint, Place, Sprite};
use crate::core::evidence::{FaceEvidence, FrameEvidence, TrackId, Verdict};

/// Draws the evidence of one video, frame after frame.
pub struct Painter {
    style: Style,
    text: Text,
    labels: SpriteCache<Part>,
    heat: HeatPainter,
    box_stabilizer: BTreeMap<TrackId, BoxStabilizer>,
    talk: TalkTotals,
    image: (u32, u32),
    drawn: u64,
    /// Memory for sprites.
    spare: Vec<Sprite>,
}

/// A face on its way to its label.
struct Seen<'a> {
    face: &'a FaceEvidence,
    state: State,
    frame: Place,
    em_px: u32,
    numbers: Numbers,
}

/// As many as usual frames have faces need no memory of their own.
pub(super) type Few<T> = SmallVec<[T; 4]>;

/// Frames after which a person's label is forgotten: some seconds.
const FORGET_AFTER: u64 = 250;

impl Painter {
    /// A painter that has drawn nothing yet.
    pub fn new(style: Style) -> Self {
        Self {
            style,
            text: Text::new(),
            labels: SpriteCache::new(),
            heat: HeatPainter::new(),
            box_stabilizer: BTreeMap::new(),
            talk: TalkTotals::default(),
            image: (0, 0),
            drawn: 0,
            spare: Vec::new(),
        }
    }

    /// What there is to blend over the next frame, a frame of `width` × `height` pixels, in
    /// order.
    pub fn draw(&mut self, evidence: &FrameEvidence, width: u32, height: u32) -> Vec<Sprite> {
        let image = (width, height);
        if width == 0 || height == 0 {
            return Vec::new();
        }
        self.turn(evidence, image);
        let sizes = Sizes::of_frame(width, height);
        let mut sprites = std::mem::take(&mut self.spare);
        if self.style.heat {
            self.draw_heat(evidence, image, &mut sprites);
        }
        let mut seen: Few<Seen<'_>> = Few::with_capacity(evidence.faces.len());
        for face in &evidence.faces {
            let state = State::of(face.verdict);
            let box_stabilizer =
                self.box_stabilizer.entry(face.track).or_insert_with(BoxStabilizer::new);
            box_stabilizer.last_drawn = self.drawn;
            let rect = box_stabilizer.rect(face.rect);
            let line_px = sizes.line_px(state, rect.width().min(rect.height()));
            let Some(frame) = outer(rect, FrameBox::outset(line_px), image) else {
                continue;
            };
            if self.style.boxes {
                Self::draw_box(FrameBox::new(frame, line_px, state), frame, &mut sprites);
            }
            let em_px = box_stabilizer.em_px(sizes.em_px(rect.height()));
            let numbers = box_stabilizer.numbers(numbers(face.verdict), state, evidence.frame);
            seen.push(Seen { face, state, frame, em_px, numbers });
        }
        if self.style.labels {
            self.draw_labels(&seen, evidence.floor, &mut sprites);
        }
        sprites
    }

    /// Takes drawn sprites back: the next ones come in their memory.
    pub fn spare(&mut self, mut sprites: Vec<Sprite>) {
        sprites.clear();
        self.spare = sprites;
    }

    /// Turns the page: forgets who is gone, and everything that hangs on another frame size.
    fn turn(&mut self, evidence: &FrameEvidence, image: (u32, u32)) {
        self.drawn += 1;
        if self.image != image {
            self.image = image;
            self.box_stabilizer.clear();
        }
        let now = self.drawn;
        self.box_stabilizer
            .retain(|_, box_stabilizer| box_stabilizer.last_drawn + FORGET_AFTER > now);
        self.heat.keep_only(|track| evidence.faces.iter().any(|face| face.track == track));
        for face in &evidence.faces {
            self.talk.note(face.track, face.talk_seconds);
        }
    }

    fn draw_heat(
        &mut self,
        evidence: &FrameEvidence,
        image: (u32, u32),
        sprites: &mut Vec<Sprite>,
    ) {
        for face in &evidence.faces {
            // Without a score there is nothing to explain.
            if let (Some(heat), Some(p)) = (&face.heat, face.verdict.p()) {
                let opacity = self.style.opacity;
                sprites.extend(self.heat.sprite(face.track, heat, p, opacity, image));
            }
        }
    }

    fn draw_box(frame: FrameBox, at: Place, sprites: &mut Vec<Sprite>) {
        let strips = frame.laid(at);
        sprites.extend(strips.map(|(strip, place)| Sprite { paint: Paint::Strip(strip), place }));
    }

    fn draw_labels(
        &mut self,
        seen: &[Seen<'_>],
        floor: Option<TrackId>,
        sprites: &mut Vec<Sprite>,
    ) {
        let labels: Few<Label> = seen.iter().map(|one| self.label(one, floor)).collect();
        let wanted: Few<Wanted> = seen
            .iter()
            .zip(&labels)
            .map(|(one, label)| {
                let size = |detail| Ground { detail, ..label.ground }.size(&self.text);
                let before = self
                    .box_stabilizer
                    .get(&one.face.track)
                    .and_then(|box_stabilizer| box_stabilizer.choice);
                Wanted { face: one.frame, sizes: Detail::ALL.map(size), before }
            })
            .collect();
        let placed = layout::place(&wanted, self.image);
        for ((one, label), found) in seen.iter().zip(labels).zip(placed) {
            let Some((choice, place)) = found else {
                continue;
            };
            if let Some(box_stabilizer) = self.box_stabilizer.get_mut(&one.face.track) {
                box_stabilizer.choice = Some(choice);
            }
            let ground = Ground { detail: choice.detail, ..label.ground };
            for (part, (x, y)) in (Label { ground, ..label }).parts(&self.text) {
                let pixels = self.labels.get(part, || part.paint(&mut self.text));
                sprites.extend(pixels.map(|pixels| {
                    let (x, y) = (place.x + x, place.y + y);
                    let place = Place { x, y, w: pixels.width, h: pixels.height };
                    sprite(pixels, place)
                }));
            }
        }
    }

    fn label(&self, one: &Seen<'_>, floor: Option<TrackId>) -> Label {
        let face = one.face;
        let ground = Ground {
            detail: Detail::Full,
            em_px: one.em_px,
            id: face.track.0,
            state: one.state,
            floor: floor == Some(face.track),
            talk_chars: talk_chars(face.talk_seconds as u32),
            shares: one.numbers.audio_share.is_some(),
        };
        Label {
            ground,
            score: one.numbers.score,
            audio_share: one.numbers.audio_share,
            talk_seconds: face.talk_seconds as u32,
            talk_share: steps(self.talk.share(face.track)),
        }
    }
}

/// A share in steps of its bar.
fn steps(share: f64) -> u8 {
    (share.clamp(0.0, 1.0) * f64::from(BAR_STEPS)).round() as u8
}

fn numbers(verdict: Verdict) -> Numbers {
    let shares = match verdict {
        Verdict::Scored { shares, .. } => shares,
        Verdict::Unknown(_) => None,
    };
    Numbers {
        score: verdict.p().map(|p| (p * 100.0).round() as u8),
        audio_share: shares.map(|shares| steps(f64::from(shares.audio))),
    }
}

fn sprite(pixels: Pixels, place: Place) -> Sprite {
    Sprite { paint: Paint::Pixels(pixels.bgra), place }
}

/// Everyone's talk time, so that a share is of all talk and not only of those now in the frame.
#[derive(Default)]
struct TalkTotals {
    seconds: BTreeMap<TrackId, f64>,
    departed: f64,
}

/// People whose talk time is kept apart; the oldest beyond that are only summed.
const MAX_PEOPLE: usize = 512;

impl TalkTotals {
    fn note(&mut self, track: TrackId, seconds: f64) {
        if seconds.is_finite() && seconds >= 0.0 {
            self.seconds.insert(track, seconds);
        }
        while self.seconds.len() > MAX_PEOPLE {
            self.departed += self.seconds.pop_first().map_or(0.0, |(_, seconds)| seconds);
        }
    }

    /// 0..=1; 0 while nobody has talked.
    fn share(&self, track: TrackId) -> f64 {
        let all = self.departed + self.seconds.values().sum::<f64>();
        let own = self.seconds.get(&track).copied().unwrap_or(0.0);
        if all > 0.0 { own / all } else { 0.0 }
    }
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;

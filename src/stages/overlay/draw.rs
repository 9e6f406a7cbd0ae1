//! The painter: one frame's evidence in, sprites out.
//!
//! Takes [`FrameEvidence`] and the picture's size; gives sprites in blending order: heatmaps, boxes,
//! labels. Remembers between frames only what keeps the picture calm (where boxes and labels lie, the
//! size of letters, numbers until they can be read), what spares work (sprites painted before) and
//! everyone's talk time, for the bar of its share. All three are bounded, and none changes what a
//! frame says, but that numbers may be a fifth of a second old. A face that is no rectangle of finite
//! numbers or lies outside the picture is not drawn.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::cache::{Pixels, SpriteCache};
use super::calm::{Calm, Numbers};
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
    calm: BTreeMap<TrackId, Calm>,
    talk: TalkTotals,
    picture: (u32, u32),
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

/// As many as usual pictures have faces need no memory of their own.
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
            calm: BTreeMap::new(),
            talk: TalkTotals::default(),
            picture: (0, 0),
            drawn: 0,
            spare: Vec::new(),
        }
    }

    /// What there is to blend over the next frame, a picture of `width` × `height` pixels, in
    /// order.
    pub fn draw(&mut self, evidence: &FrameEvidence, width: u32, height: u32) -> Vec<Sprite> {
        let picture = (width, height);
        if width == 0 || height == 0 {
            return Vec::new();
        }
        self.turn(evidence, picture);
        let sizes = Sizes::of_picture(width, height);
        let mut sprites = std::mem::take(&mut self.spare);
        if self.style.heat {
            self.draw_heat(evidence, picture, &mut sprites);
        }
        let mut seen: Few<Seen<'_>> = Few::with_capacity(evidence.faces.len());
        for face in &evidence.faces {
            let state = State::of(face.verdict);
            let calm = self.calm.entry(face.track).or_insert_with(Calm::new);
            calm.last_drawn = self.drawn;
            let rect = calm.rect(face.rect);
            let line_px = sizes.line_px(state, rect.width().min(rect.height()));
            let Some(frame) = outer(rect, FrameBox::outset(line_px), picture) else {
                continue;
            };
            if self.style.boxes {
                Self::draw_box(FrameBox::new(frame, line_px, state), frame, &mut sprites);
            }
            let em_px = calm.em_px(sizes.em_px(rect.height()));
            let numbers = calm.numbers(numbers(face.verdict), state, evidence.frame);
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

    /// Turns the page: forgets who is gone, and everything that hangs on another picture size.
    fn turn(&mut self, evidence: &FrameEvidence, picture: (u32, u32)) {
        self.drawn += 1;
        if self.picture != picture {
            self.picture = picture;
            self.calm.clear();
        }
        let now = self.drawn;
        self.calm.retain(|_, calm| calm.last_drawn + FORGET_AFTER > now);
        self.heat.keep_only(|track| evidence.faces.iter().any(|face| face.track == track));
        for face in &evidence.faces {
            self.talk.note(face.track, face.talk_seconds);
        }
    }

    fn draw_heat(
        &mut self,
        evidence: &FrameEvidence,
        picture: (u32, u32),
        sprites: &mut Vec<Sprite>,
    ) {
        for face in &evidence.faces {
            // Without a score there is nothing to explain.
            if let (Some(heat), Some(p)) = (&face.heat, face.verdict.p()) {
                let opacity = self.style.opacity;
                sprites.extend(self.heat.sprite(face.track, heat, p, opacity, picture));
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
                let before = self.calm.get(&one.face.track).and_then(|calm| calm.choice);
                Wanted { face: one.frame, sizes: Detail::ALL.map(size), before }
            })
            .collect();
        let placed = layout::place(&wanted, self.picture);
        for ((one, label), found) in seen.iter().zip(labels).zip(placed) {
            let Some((choice, place)) = found else {
                continue;
            };
            if let Some(calm) = self.calm.get_mut(&one.face.track) {
                calm.choice = Some(choice);
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
            shares: one.numbers.sound_share.is_some(),
        };
        Label {
            ground,
            score: one.numbers.score,
            sound_share: one.numbers.sound_share,
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
        sound_share: shares.map(|shares| steps(f64::from(shares.audio))),
    }
}

fn sprite(pixels: Pixels, place: Place) -> Sprite {
    Sprite { paint: Paint::Pixels(pixels.bgra), place }
}

/// Everyone's talk time, so that a share is of all talk and not only of those now in the picture.
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

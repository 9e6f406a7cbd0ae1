//! A speaker package run as its manifest says, the plain way.

use locutor::models::Package;
use locutor::models::manifest::SpeakerManifest;
use locutor::onnx::session::{self, OpenGraph};

use super::CPU;

pub(crate) struct Speaker {
    pub(crate) manifest: SpeakerManifest,
    face: OpenGraph,
    audio: OpenGraph,
    head: OpenGraph,
}

pub(crate) struct Faces {
    pub(crate) embeddings: Vec<f32>,
    pub(crate) maps: Vec<f32>,
    pub(crate) gate: Option<Vec<f32>>,
    pub(crate) states: Vec<Vec<f32>>,
}

pub(crate) struct Head {
    pub(crate) logits: Vec<f32>,
    pub(crate) forward_states: Vec<f32>,
    pub(crate) gate: Option<Vec<f32>>,
}

impl Head {
    pub(crate) fn probabilities(&self) -> Vec<f32> {
        self.logits.chunks(2).map(|z| 1.0 / (1.0 + (z[0] - z[1]).exp())).collect()
    }
}

impl Speaker {
    pub(crate) fn open(package: &Package) -> Self {
        let manifest = package.speaker().expect("a speaker").clone();
        let open = |file| session::open(package, file, &CPU).expect("proven");
        Self {
            face: open(&manifest.face.file),
            audio: open(&manifest.audio.file),
            head: open(&manifest.head.file),
            manifest,
        }
    }

    /// States of `tracks` new tracks.
    pub(crate) fn fresh(&self, tracks: usize) -> Vec<Vec<f32>> {
        let states = self.manifest.face.states.iter();
        states.map(|s| vec![0.0; tracks * s.shape.iter().product::<usize>()]).collect()
    }

    /// One run of the face encoder.
    pub(crate) fn run_faces(
        &mut self,
        crops: &[f32],
        valid: &[f32],
        tracks: usize,
        states: Vec<Vec<f32>>,
    ) -> Faces {
        let face = &self.manifest.face;
        let ticks = valid.len() / tracks;
        let crop_dims = [tracks, ticks, 112, 112];
        let valid_dims = [tracks, ticks];
        let state_dims: Vec<Vec<usize>> =
            face.states.iter().map(|s| [&[tracks], s.shape.as_slice()].concat()).collect();
        let mut inputs = vec![
            (face.frames.as_str(), crop_dims.as_slice(), crops),
            (face.valid.as_str(), valid_dims.as_slice(), valid),
        ];
        for ((state, dims), values) in face.states.iter().zip(&state_dims).zip(&states) {
            inputs.push((state.input.as_str(), dims, values));
        }
        let mut outputs = vec![face.embedding.name.as_str(), face.map.name.as_str()];
        outputs.extend(face.states.iter().map(|s| s.output.as_str()));
        outputs.extend(face.gate.iter().map(|gate| gate.as_str()));
        let results = self.face.run(&inputs, &outputs).expect("a run");
        let mut results = results.into_iter().map(|t| t.values().to_vec());
        let mut next = || results.next().expect("as many as asked for");
        let (embeddings, maps) = (next(), next());
        let states = face.states.iter().map(|_| next()).collect();
        Faces { embeddings, maps, states, gate: face.gate.as_ref().map(|_| next()) }
    }

    /// A whole track of `ticks` crops, fed in pieces of these sizes by turns; with the flush at
    /// the end, and without the first outputs, which mean nothing.
    pub(crate) fn encode_faces(&mut self, crops: &[f32], ticks: usize, pieces: &[usize]) -> Faces {
        let delay = self.manifest.face.delay_ticks;
        // What stands in a flush frame must not matter.
        let crops = [crops, &noise(99, delay * 112 * 112, 255.0)].concat();
        let valid = [vec![1.0; ticks], vec![0.0; delay]].concat();
        let mut all = Faces { embeddings: vec![], maps: vec![], gate: None, states: self.fresh(1) };
        let (mut at, mut turn) = (0, pieces.iter().cycle());
        while at < valid.len() {
            let to = valid.len().min(at + turn.next().expect("pieces are not empty"));
            let states = std::mem::take(&mut all.states);
            let crops = &crops[at * 112 * 112..to * 112 * 112];
            let part = self.run_faces(crops, &valid[at..to], 1, states);
            all.embeddings.extend(part.embeddings);
            all.maps.extend(part.maps);
            all.states = part.states;
            at = to;
        }
        let face = &self.manifest.face;
        all.embeddings.drain(..delay * face.embedding.width);
        all.maps.drain(..delay * face.map.channels * face.map.height * face.map.width);
        all
    }

    pub(crate) fn encode_audio(&mut self, rows: &[f32]) -> Vec<f32> {
        let audio = &self.manifest.audio;
        let dims = [1, rows.len() / 13, 13];
        let inputs = [(audio.rows.as_str(), dims.as_slice(), rows)];
        let results = self.audio.run(&inputs, &[audio.embedding.name.as_str()]).expect("a run");
        results[0].values().to_vec()
    }

    /// The head over one window, from a carried state or zero.
    pub(crate) fn head(&mut self, audio: &[f32], face: &[f32], state: Option<&[f32]>) -> Head {
        let head = &self.manifest.head;
        let width = self.manifest.face.embedding.width;
        let dims = [1, face.len() / width, width];
        let state_dims = [1, head.forward_state.width];
        let zeros = vec![0.0; head.forward_state.width];
        let inputs = [
            (head.audio.as_str(), dims.as_slice(), audio),
            (head.face.as_str(), dims.as_slice(), face),
            (head.forward_state.name.as_str(), state_dims.as_slice(), state.unwrap_or(&zeros)),
        ];
        let mut outputs = vec![head.score.as_str(), head.forward_states.as_str()];
        outputs.extend(head.gate.iter().map(|gate| gate.name.as_str()));
        let results = self.head.run(&inputs, &outputs).expect("a run");
        let values = |n: usize| results.get(n).map(|t| t.values().to_vec());
        Head {
            logits: values(0).expect("the score"),
            forward_states: values(1).expect("the states"),
            gate: values(2),
        }
    }
}

/// The largest distance between two rows of numbers.
pub(crate) fn far(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "as many numbers");
    // A NaN must not pass as near.
    a.iter().zip(b).fold(0.0, |most, (a, b)| {
        let d = (a - b).abs();
        if d.is_nan() { f32::INFINITY } else { d.max(most) }
    })
}

/// Reproducible numbers, evenly from 0 to `most`.
pub(crate) fn noise(seed: u32, count: usize, most: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 24) as f32 * most
    };
    (0..count).map(|_| next()).collect()
}

//! A bound graph gives what the same graph gives unbound, states carried included.

use locutor::models::Package;
use locutor::models::registry::{Role, find};
use locutor::models::speaker_model::{FaceJob, HeadJob};
use locutor::onnx::bound::{BindingPlan, BoundGraph, StateSpec, TensorSpec};
use locutor::onnx::speaker::SpeakerGraphs;

use crate::speaker::{far, noise};
use crate::{CPU, TINY, tiny_speaker};

fn spec(name: &str, dims: &[usize]) -> TensorSpec {
    TensorSpec { name: name.into(), dims: dims.into() }
}

/// The face encoder of `package` for `tracks` tracks with `ticks` frames each.
fn bound_face(package: &Package, tracks: usize, ticks: usize) -> BoundGraph {
    let face = &package.speaker().expect("a speaker").face;
    let map = &face.map;
    let plan = BindingPlan {
        inputs: vec![
            spec(face.frames.as_str(), &[tracks, ticks, 112, 112]),
            spec(face.valid.as_str(), &[tracks, ticks]),
        ],
        outputs: vec![
            spec(face.embedding.name.as_str(), &[tracks, ticks, face.embedding.width]),
            spec(map.name.as_str(), &[tracks, ticks, map.channels, map.height, map.width]),
        ],
        states: face
            .states
            .iter()
            .map(|state| StateSpec {
                input: state.input.as_str().into(),
                output: state.output.as_str().into(),
                dims: [&[tracks], state.shape.as_slice()].concat(),
            })
            .collect(),
    };
    BoundGraph::open(package, &face.file, &CPU, &plan).expect("bound")
}

fn faces(package: &Package) {
    let (tracks, ticks) = (2, 3);
    let mut bound = bound_face(package, tracks, ticks);
    assert!(!bound.replayed() && !bound.pinned(), "a CPU does neither");
    let mut graphs = SpeakerGraphs::open(package, &CPU).expect("open").with_max_batch_size(tracks);
    let shape = graphs.shape().clone();
    let mut states = vec![shape.fresh_face_state(); tracks];
    for round in 0..5 {
        // After three calls the tracks end and others begin: an odd number, as states lie in two
        // places by turns.
        if round == 3 {
            bound.reset_states().expect("cleared");
            states = vec![shape.fresh_face_state(); tracks];
        }
        let crops: Vec<u8> = noise(round, tracks * ticks * shape.crop_len(), 255.0)
            .iter()
            .map(|v| *v as u8)
            .collect();
        let jobs = states.drain(..).zip(crops.chunks(ticks * shape.crop_len()));
        let job = |(state, crops): (_, &[u8])| FaceJob {
            state,
            crops: crops.to_vec(),
            valid: vec![1.0; ticks],
            contributions: false,
        };
        let unbound = graphs.faces.encode(jobs.map(job).collect()).expect("a run");
        let frames = bound.input(0).expect("frames");
        frames.iter_mut().zip(&crops).for_each(|(to, from)| *to = f32::from(*from));
        bound.input(1).expect("valid").fill(1.0);
        bound.run().expect("a run");
        let all = |part: fn(&locutor::models::speaker_model::FaceFeatures) -> &Vec<f32>| {
            unbound.iter().flat_map(|f| part(f).clone()).collect::<Vec<f32>>()
        };
        let embeddings = all(|f| &f.embeddings);
        assert!(far(bound.output(0).expect("embeddings"), &embeddings) <= 1e-6, "{round}");
        assert!(far(bound.output(1).expect("maps"), &all(|f| &f.maps)) <= 1e-6, "{round}");
        for at in 0..shape.face_states.len() {
            let states: Vec<f32> = unbound.iter().flat_map(|f| f.state.0[at].clone()).collect();
            assert!(far(&bound.state(at).expect("a state"), &states) <= 1e-6, "{round}: {at}");
        }
        states = unbound.into_iter().map(|f| f.state).collect();
    }
}

fn head(package: &Package) {
    let (rows, ticks) = (3, 14);
    let head = package.speaker().expect("a speaker").head.clone();
    let mut graphs = SpeakerGraphs::open(package, &CPU).expect("open");
    let (width, state) = (graphs.shape().embedding, graphs.shape().forward_state);
    let plan = BindingPlan {
        inputs: vec![
            spec(head.audio.as_str(), &[rows, ticks, width]),
            spec(head.face.as_str(), &[rows, ticks, width]),
            spec(head.forward_state.name.as_str(), &[rows, state]),
        ],
        outputs: vec![spec(head.score.as_str(), &[rows, ticks, 2])],
        states: Vec::new(),
    };
    let mut bound = BoundGraph::open(package, &head.file, &CPU, &plan).expect("bound");
    for seed in 0..2 {
        let values = |part: u32, n: usize| noise(10 * seed + part, n, 1.0);
        let job = HeadJob {
            rows,
            ticks,
            audio: values(1, rows * ticks * width),
            face: values(2, rows * ticks * width),
            forward: values(3, rows * state),
        };
        for (at, given) in [&job.audio, &job.face, &job.forward].into_iter().enumerate() {
            bound.input(at).expect("an input").copy_from_slice(given);
        }
        bound.run().expect("a run");
        let unbound = graphs.audio_head.run_heads(vec![job]).expect("a run");
        assert!(far(bound.output(0).expect("logits"), &unbound[0].logits) <= 1e-6);
    }
}

#[test]
fn a_bound_graph_gives_what_the_unbound_one_gives() {
    let own = find(Role::Speaker, Some("locutor")).expect("the program carries it");
    let tiny: Vec<_> = TINY.iter().map(|network| tiny_speaker(*network)).collect();
    for package in tiny.iter().map(|(_, package)| package).chain([&own]) {
        faces(package);
        head(package);
    }
}

#[test]
fn a_plan_that_does_not_fit_is_refused() {
    let own = find(Role::Speaker, Some("locutor")).expect("the program carries it");
    let face = &own.speaker().expect("a speaker").face;
    let mut bound = bound_face(&own, 1, 1);
    let error = bound.input(2).expect_err("there are two").to_string();
    assert!(error.ends_with("the plan has no input 2"), "{error}");
    assert!(bound.output(2).is_err() && bound.state(9).is_err());
    let plan = BindingPlan {
        inputs: vec![spec(face.frames.as_str(), &[1, 1, 50, 50])],
        ..BindingPlan::default()
    };
    let Err(error) = BoundGraph::open(&own, &face.file, &CPU, &plan) else {
        panic!("a frame of another size and no states");
    };
    assert!(error.to_string().contains(" failed: "), "{error}");
}

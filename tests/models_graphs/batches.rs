//! Jobs of several tracks and streams in one run of a graph: as good as each by itself.

use locutor::models::Package;
use locutor::models::registry::{Role, find};
use locutor::models::speaker_model::{CrossFaceJob, FaceFeatures, FaceJob, HeadJob, ModelShape};
use locutor::models::tiny::TinyNetwork;
use locutor::onnx::speaker::{AudioJob, SpeakerGraphs};

use crate::speaker::{far, noise};
use crate::{CPU, TINY, tiny_speaker};

/// Jobs of these ticks, with the states that `before` left behind.
fn face_jobs(shape: &ModelShape, ticks: &[usize], before: &[FaceFeatures]) -> Vec<FaceJob> {
    let job = |(i, &ticks): (usize, &usize)| FaceJob {
        state: before.get(i).map_or_else(|| shape.fresh_face_state(), |f| f.state.clone()),
        crops: noise(i as u32 + 1, ticks * shape.crop_len(), 255.0)
            .iter()
            .map(|v| *v as u8)
            .collect(),
        // One track ends within its last job.
        valid: (0..ticks).map(|t| if i == 2 && t + 1 == ticks { 0.0 } else { 1.0 }).collect(),
        contributions: shape.contributions && i % 2 == 0,
    };
    ticks.iter().enumerate().map(job).collect()
}

fn same(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    assert!(far(a, b) <= 1e-5, "{what}: {}", far(a, b));
}

fn same_faces(together: &[FaceFeatures], alone: &[FaceFeatures]) {
    assert_eq!(together.len(), alone.len());
    for (a, b) in together.iter().zip(alone) {
        same(&a.embeddings, &b.embeddings, "embeddings");
        same(&a.maps, &b.maps, "maps");
        assert_eq!(a.gates.is_some(), b.gates.is_some());
        same(a.gates.as_deref().unwrap_or(&[]), b.gates.as_deref().unwrap_or(&[]), "gates");
        assert_eq!(a.contributions.is_some(), b.contributions.is_some());
        let adds = |f: &FaceFeatures| f.contributions.clone().unwrap_or_default();
        same(&adds(a), &adds(b), "contributions");
        assert_eq!(a.state.0.len(), b.state.0.len());
        a.state.0.iter().zip(&b.state.0).for_each(|(a, b)| same(a, b, "state"));
    }
}

/// The graphs of `package`, run job by job and with these numbers of jobs in one run.
fn alone_and_together(
    package: &Package,
    counts: [usize; 2],
) -> (SpeakerGraphs, Vec<SpeakerGraphs>) {
    let open = || SpeakerGraphs::open(package, &CPU).expect("open");
    let alone = open();
    assert_eq!(alone.max_batch_size(), 1, "a CPU gains nothing from more");
    (alone, counts.map(|jobs| open().with_max_batch_size(jobs)).into())
}

fn faces(package: &Package) {
    let (mut alone, together) = alone_and_together(package, [2, 512]);
    let shape = alone.shape().clone();
    let rounds = [[3, 2, 3, 3, 2], [1, 1, 1, 1, 1]];
    let mut one = Vec::new();
    let mut expected = Vec::new();
    for ticks in rounds {
        one = alone.faces.encode(face_jobs(&shape, &ticks, &one)).expect("a run");
        expected.push(one.iter().map(copy).collect::<Vec<_>>());
    }
    for mut graphs in together {
        let mut features = Vec::new();
        for (ticks, expected) in rounds.iter().zip(&expected) {
            features = graphs.faces.encode(face_jobs(&shape, ticks, &features)).expect("a run");
            same_faces(&features, expected);
        }
    }
}

fn copy(features: &FaceFeatures) -> FaceFeatures {
    FaceFeatures {
        state: features.state.clone(),
        embeddings: features.embeddings.clone(),
        maps: features.maps.clone(),
        gates: features.gates.clone(),
        contributions: features.contributions.clone(),
    }
}

fn heads(package: &Package) {
    let (mut alone, together) = alone_and_together(package, [2, 512]);
    let shape = alone.shape().clone();
    let jobs = || -> Vec<HeadJob> {
        let job = |(i, &(rows, ticks)): (usize, &(usize, usize))| {
            let values = |seed: usize, n: usize| noise((10 * i + seed) as u32, n, 1.0);
            HeadJob {
                rows,
                ticks,
                audio: values(1, rows * ticks * shape.embedding),
                face: values(2, rows * ticks * shape.embedding),
                forward: values(3, rows * shape.forward_state),
            }
        };
        [(3, 14), (1, 9), (2, 14), (3, 9), (1, 14)].iter().enumerate().map(job).collect()
    };
    let expected = alone.audio_head.run_heads(jobs()).expect("a run");
    for mut graphs in together {
        for (a, b) in graphs.audio_head.run_heads(jobs()).expect("a run").iter().zip(&expected) {
            same(&a.logits, &b.logits, "logits");
            same(&a.forward, &b.forward, "forward states");
            same(a.gates.as_deref().unwrap_or(&[]), b.gates.as_deref().unwrap_or(&[]), "gates");
        }
    }
}

fn audios(package: &Package) {
    let (mut alone, together) = alone_and_together(package, [2, 512]);
    let shape = alone.shape().clone();
    let jobs = || -> Vec<AudioJob> {
        let job = |(i, &ticks): (usize, &usize)| AudioJob {
            rows: noise(i as u32 + 1, ticks * shape.rows_per_tick * shape.row_width, 9.0),
            ticks,
        };
        [30, 25, 30, 30].iter().enumerate().map(job).collect()
    };
    let expected = alone.audio_head.encode_audios(jobs()).expect("a run");
    for mut graphs in together {
        let found = graphs.audio_head.encode_audios(jobs()).expect("a run");
        assert_eq!(found.len(), expected.len());
        found.iter().zip(&expected).for_each(|(a, b)| same(a, b, "audio"));
    }
}

fn cross_face(package: &Package) {
    let (mut alone, together) = alone_and_together(package, [2, 512]);
    let jobs = || -> Vec<CrossFaceJob> {
        let job = |(i, &ticks): (usize, &usize)| CrossFaceJob {
            score: noise(3 * i as u32 + 1, ticks, 3.0),
            rival: noise(3 * i as u32 + 2, ticks, 3.0),
            present: (0..ticks).map(|t| f32::from(u8::from(t % 3 > 0))).collect(),
        };
        [55, 7, 55, 55].iter().enumerate().map(job).collect()
    };
    let expected = alone.audio_head.run_cross_faces(jobs()).expect("a run");
    for mut graphs in together {
        let found = graphs.audio_head.run_cross_faces(jobs()).expect("a run");
        assert_eq!(found.len(), expected.len());
        found.iter().zip(&expected).for_each(|(a, b)| same(a, b, "cross-face rescoring"));
    }
}

#[test]
fn jobs_in_one_run_are_answered_as_each_by_itself() {
    let own = find(Role::Speaker, Some("locutor")).expect("the program carries it");
    let tiny: Vec<_> = TINY.iter().map(|network| tiny_speaker(*network)).collect();
    for package in tiny.iter().map(|(_, package)| package).chain([&own]) {
        faces(package);
        heads(package);
        audios(package);
        cross_face(package);
    }
}

#[test]
fn a_job_of_the_wrong_size_is_refused_and_not_mixed_with_others() {
    let (_folder, package) = tiny_speaker(TinyNetwork::LightAsd);
    let mut graphs = SpeakerGraphs::open(&package, &CPU).expect("open").with_max_batch_size(8);
    let shape = graphs.shape().clone();
    let mut jobs = face_jobs(&shape, &[2, 2, 2], &[]);
    jobs[1].state.0[0].pop();
    let error = graphs.faces.encode(jobs).expect_err("a state is too short").to_string();
    assert!(error.contains("failed in its face graph"), "{error}");
}

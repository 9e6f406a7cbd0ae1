//! The recordings in `../shared/clips`, each through the whole program with the real models.

use crate::kit::{annotate, check_conserved, real_models};
use crate::needs::shared;

/// Whether the face of `clip` is found, and scored where it is said to be: most of these show
/// somebody all the time.
fn goes_through(clip: &str) {
    let (Some(clips), Some(models)) = (shared("clips"), real_models()) else { return };
    let input = clips.join(clip);
    let run = annotate(models, &input, "mp4", &[], 0);
    let (before, after) = check_conserved(&input, 1, &run);
    assert!(before.damage.is_empty() && after.damage.is_empty(), "{before:?} {after:?}");
    let with_faces = run.records.frames.iter().filter(|f| !f.contains(r#""faces":[]"#)).count();
    assert!(with_faces * 2 > before.frames, "{with_faces} of {} frames", before.frames);
    assert!(run.records.rows > 0, "no face has a score");
    assert!(run.records.of("degraded").is_empty());
}

macro_rules! clips {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $name() {
                goes_through($file);
            }
        )*

        #[test]
        fn none_is_forgotten() {
            let Some(clips) = shared("clips") else { return };
            let tested = [$($file),*];
            for entry in std::fs::read_dir(clips).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let media = [".mp4", ".avi", ".mpg"].iter().any(|e| name.ends_with(e));
                assert!(!media || tested.contains(&name.as_str()), "{name} has no test");
            }
        }
    };
}

clips! {
    aoc_512: "aoc_512.mp4",
    clearer_001: "clearer_001.avi",
    debate_mexca: "debate_mexca.mp4",
    dj_video4: "dj_video4.mp4",
    grid_bbaf2n: "grid_bbaf2n.mpg",
    grid_brbk7n: "grid_brbk7n.mpg",
    grid_lbax4n: "grid_lbax4n.mpg",
    grid_lbbc2a: "grid_lbbc2a.mpg",
    grid_pwij3p: "grid_pwij3p.mpg",
    grid_sbia1a: "grid_sbia1a.mpg",
    hamilton_short: "hamilton_short.mp4",
    hill_512: "hill_512.mp4",
    jfk_wav2lip: "jfk_wav2lip.mp4",
    ls_demo1: "ls_demo1.mp4",
    ls_demo2: "ls_demo2.mp4",
    meeting_comedy: "meeting_comedy.mp4",
    mexca_5s: "mexca_5s.mp4",
    vr_face1: "vr_face1.mp4",
    vr_face2: "vr_face2.mp4",
    vr_face3: "vr_face3.mp4",
}

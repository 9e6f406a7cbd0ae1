//! Every pipeline file is one.

use locutor::config::any::{AnyPipeline, parse_any};
use locutor::config::camera::secret::Secrets;

use crate::tree::{none_of, root, sources, text};

#[test]
fn every_pipeline_file_parses() {
    let files = sources(&["pipelines"], &["toml"]);
    assert!(!files.is_empty(), "there is no pipeline file");
    let mut wrong = Vec::new();
    for file in files {
        let content = text(&file).expect("TOML is text");
        // Their credentials are not here.
        let read = parse_any(&content, &root().join(&file), &Secrets::NotLookedUp);
        wrong.extend(read.err().map(|error| error.to_string()));
    }
    none_of("every file in pipelines/ is a pipeline", &wrong);
}

/// A camera's file as the program sees it, with what its name and folder say left out.
fn camera(text: &str) -> String {
    let path = root().join("pipelines/camera.toml");
    match parse_any(text, &path, &Secrets::NotLookedUp) {
        Ok(AnyPipeline::Camera(camera)) => format!("{camera:#?}"),
        other => panic!("no camera: {other:?}"),
    }
}

#[test]
fn the_cameras_reference_shows_every_default() {
    let reference = text("pipelines/camera.toml".as_ref()).expect("TOML is text");
    // What has no default stays: the address, and where each sink writes to.
    let required = ["uri =", "type =", "directory =", "path =", "broker =", "spool ="];
    let heads = ["[[sink]]", "[source]"];
    let kept = reference.lines().filter(|line| {
        heads.iter().any(|head| line.starts_with(head))
            || required.iter().any(|key| line.starts_with(key))
    });
    let least: Vec<&str> = kept.collect();
    assert!(least.len() < reference.lines().count() / 2, "{least:#?}");
    assert_eq!(camera(&reference), camera(&least.join("\n")));
}

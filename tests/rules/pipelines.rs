//! Every pipeline file is one.

use crate::tree::{none_of, root, sources, text};

#[test]
fn every_pipeline_file_parses() {
    let files = sources(&["pipelines"], &["toml"]);
    assert!(!files.is_empty(), "there is no pipeline file");
    let mut wrong = Vec::new();
    for file in files {
        let content = text(&file).expect("TOML is text");
        if let Err(error) = locutor::config::file::parse(&content, &root().join(&file)) {
            wrong.push(error.to_string());
        }
    }
    none_of("every file in pipelines/ is a pipeline", &wrong);
}

//! The repository's own files: what git tracks, and what is new and not ignored.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository, relative to its root.
pub fn files() -> Vec<PathBuf> {
    let list = Command::new("git")
        // The checkout may belong to another user than the one who tests.
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"])
        .arg("--exclude-standard")
        .current_dir(root())
        .output()
        .expect("git is needed to know the repository's files");
    let complaint = String::from_utf8_lossy(&list.stderr);
    assert!(list.status.success(), "git ls-files failed: {complaint}");
    let names = String::from_utf8(list.stdout).expect("file names are UTF-8 here");
    let files = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    // A file that was deleted and not yet committed is still listed.
    let files: Vec<_> = files.filter(|file| root().join(file).is_file()).collect();
    assert!(files.len() > 50, "git lists {} files only", files.len());
    files
}

/// Every file with one of these extensions below one of these folders.
pub fn sources(folders: &[&str], extensions: &[&str]) -> Vec<PathBuf> {
    let wanted = |file: &PathBuf| {
        folders.iter().any(|folder| file.starts_with(folder))
            && file.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted))
    };
    files().into_iter().filter(wanted).collect()
}

/// A file's text; `None` where it is no text.
pub fn text(file: &Path) -> Option<String> {
    String::from_utf8(std::fs::read(root().join(file)).expect("a listed file can be read")).ok()
}

/// Fails with every place that breaks the rule.
pub fn none_of(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "{rule}; mend these:\n  {}\n", places.join("\n  "));
}

//! `locutor check`: checks that camera files can run together, and shows what will run.
//!
//! [`check_together`] is pure. [`environment()`] examines this machine without changing it. No line and
//! no error holds a secret.

mod environment;
mod gst;
mod summary;

use std::path::PathBuf;

pub use environment::environment;
pub use summary::{Estimate, render};

use crate::config::ConfigError;
use crate::config::camera::{Camera, Serve, sinks};

/// Whether the cameras can run in one process.
///
/// # Errors
/// Where two share a name, a mount or a folder, or their `[serve]` settings differ.
pub fn check_together(cameras: &[(PathBuf, Camera)]) -> Result<(), ConfigError> {
    for (i, (path, camera)) in cameras.iter().enumerate() {
        for (other_path, other) in &cameras[..i] {
            let invalid = |key: &str, problem: String| ConfigError::Invalid {
                key: format!("{}: {key}", path.display()),
                problem,
            };
            let there = other_path.display();
            if camera.name == other.name {
                let problem = format!("is `{}`, as in {there}; write another", camera.name);
                return Err(invalid("name", problem));
            }
            if !same_serve(&camera.serve, &other.serve) {
                let problem = format!(
                    "differs from {there}; one process has one RTSP server and one health page"
                );
                return Err(invalid("serve", problem));
            }
            let taken: Vec<_> = other.sinks.iter().flat_map(sinks::places).collect();
            for place in camera.sinks.iter().flat_map(sinks::places) {
                if taken.contains(&place) {
                    let problem = format!("writes to {place}, as in {there}; write another");
                    return Err(invalid("sink", problem));
                }
            }
        }
    }
    Ok(())
}

/// Whether the settings agree. A file without an RTSP sink leaves RTSP open.
fn same_serve(a: &Serve, b: &Serve) -> bool {
    let rtsp = match (&a.rtsp, &b.rtsp) {
        (Some(a), Some(b)) => {
            let user =
                |l: &Option<crate::core::credentials::Login>| l.as_ref().map(|l| l.user.clone());
            a.listen == b.listen
                && a.tls == b.tls
                && a.max_readers == b.max_readers
                && user(&a.login) == user(&b.login)
        }
        _ => true,
    };
    rtsp && a.health == b.health
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::camera::file::parse;
    use crate::config::camera::secret::Secrets;
    use crate::core::exit::Exit;

    fn camera(name: &str, more: &str) -> (PathBuf, Camera) {
        let path = PathBuf::from(format!("/c/{name}.toml"));
        let text = format!("[source]\nuri = \"rtsp://h/1?pwd=hunter2\"\n{more}");
        let camera = parse(&text, Path::new(&path), &Secrets::NotLookedUp).expect("a camera");
        (path, camera)
    }

    #[test]
    fn what_two_files_may_not_share_is_reported() {
        let record = "[[sink]]\ntype = \"record\"\ndirectory = \"/kept\"\n";
        let a = camera("a", record);
        assert!(check_together(&[a.clone(), camera("b", "")]).is_ok());
        let error = |b| check_together(&[a.clone(), b]).expect_err("refused").to_string();
        assert!(error(camera("a", "")).contains("name: is `a`, as in /c/a.toml"));
        assert!(error(camera("b", record)).contains("sink: writes to /kept/%Y"));
        let other = camera("b", "[serve]\nhealth = \"off\"\n");
        assert!(error(other).contains("/c/b.toml: serve: differs from /c/a.toml"));
    }

    #[test]
    fn the_summary_holds_no_secrets() {
        let (_, a) = camera("a", "[[sink]]\ntype = \"rtsp-server\"\n");
        let queues = vec![("score→overlay".to_owned(), 4, 1 << 20)];
        let estimate = Estimate { latency_ms: 700, memory_bytes: 1 << 20, queues };
        let text = render(&a, Some(&estimate));
        assert!(text.contains("rtsp://h/1?…") && !text.contains("hunter2"), "{text}");
        for line in ["700 ms", "score→overlay: 4 items, 1.0 MiB", "rtsp-server: the mount /a"] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    #[test]
    fn the_environment_is_examined_and_not_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("bound").port();
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("written");
        let (kept, file) = (folder.path().join("new/kept"), file.join("under"));
        let more = format!(
            "[[sink]]\ntype = \"record\"\ndirectory = {kept:?}\n[[sink]]\ntype = \"events\"\n\
             path = {file:?}\n[serve]\nhealth = \"127.0.0.1:{port}\"\n"
        );
        let problems = environment(&[camera("a", &more)]);
        let messages: Vec<_> = problems.iter().map(|t| t.message.as_str()).collect();
        let has = |what: &str| messages.iter().any(|w| w.contains(what));
        assert!(has(&format!("127.0.0.1:{port}: another program listens there")), "{messages:?}");
        assert!(has("file"), "{messages:?}");
        assert!(!has("kept"), "{messages:?}");
        assert!(!kept.exists(), "nothing is created");
        assert!(problems.iter().all(|t| t.exit == Exit::CannotCreate), "{problems:?}");
    }

    #[test]
    fn certificate_files_are_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "nothing").expect("written");
        for file in [folder.path(), &empty, &folder.path().join("none.pem")] {
            let text = format!("[source]\nuri = \"rtsps://h/1\"\ntls_ca_file = {file:?}\n");
            let path = folder.path().join("a.toml");
            let camera = parse(&text, &path, &Secrets::NotLookedUp).expect("a camera");
            let problems = environment(&[(path, camera)]);
            let wanted = format!("tls_ca_file: {}", file.display());
            assert!(problems.iter().any(|t| t.message.starts_with(&wanted)), "{problems:?}");
        }
    }
}

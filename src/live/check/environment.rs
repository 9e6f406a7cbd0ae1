//! Checks that this machine has what cameras need: elements, packages, ports, writable folders, free
//! disk space.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use super::gst;
use crate::config::camera::Camera;
use crate::core::exit::Exit;
use crate::models::registry::{Role, find};
use crate::stages::sink::events::tls::certificates;
use crate::stages::sink::settings::SinkSettings;

/// A problem of this machine, with its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentProblem {
    /// The problem, and what to do.
    pub message: String,
    /// The exit code.
    pub exit: Exit,
}

/// All problems of this machine, worst first; empty where the cameras can run.
pub fn environment(cameras: &[(PathBuf, Camera)]) -> Vec<EnvironmentProblem> {
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let mut blocked: Vec<String> = Vec::new();
    let mut ports: BTreeSet<SocketAddr> = BTreeSet::new();
    for (_, camera) in cameras {
        missing.extend(gst::missing(camera));
        for (role, name) in [(Role::Speaker, &camera.package), (Role::Detector, &camera.detector)] {
            missing.extend(find(role, name.as_deref()).err().map(|e| e.to_string()));
        }
        ports.extend(camera.serve.rtsp.as_ref().map(|rtsp| rtsp.listen));
        ports.extend(camera.serve.health);
        blocked.extend(camera.sinks.iter().filter_map(|sink| check_writable(sink).err()));
        missing.extend(unreadable_certificates(camera));
    }
    blocked.extend(ports.into_iter().filter_map(|address| check_port(address).err()));
    let problem = |exit| move |message| EnvironmentProblem { message, exit };
    let missing = missing.into_iter().map(problem(Exit::Unavailable));
    missing.chain(blocked.into_iter().map(problem(Exit::CannotCreate))).collect()
}

/// Errors of the files with certificates and keys, each with its configuration key.
fn unreadable_certificates(camera: &Camera) -> impl Iterator<Item = String> {
    let own = camera.serve.rtsp.iter().filter_map(|rtsp| rtsp.tls.as_ref());
    let own = own.flat_map(|(cert, key)| {
        let opened = std::fs::read(key).map(drop).map_err(|e| format!("{}: {e}", key.display()));
        [certificates(cert).map(drop), opened]
    });
    let own = own.filter_map(|read| read.err().map(|e| format!("serve: {e}")));
    let ca_files = ca_files(camera).filter_map(|file| certificates(file).err());
    own.chain(ca_files.map(|e| format!("tls_ca_file: {e}")))
}

/// The files of trusted certificates.
fn ca_files(camera: &Camera) -> impl Iterator<Item = &PathBuf> {
    let of_sinks = camera.sinks.iter().filter_map(|sink| match sink {
        SinkSettings::RtspPush { tls_ca_file, .. } | SinkSettings::Webhook { tls_ca_file, .. } => {
            tls_ca_file.as_ref()
        }
        SinkSettings::Mqtt(mqtt) => mqtt.tls_ca_file.as_ref(),
        _ => None,
    });
    camera.source.tls_ca_file.iter().chain(of_sinks)
}

fn check_port(address: SocketAddr) -> Result<(), String> {
    TcpListener::bind(address).map(drop).map_err(|e| match e.kind() {
        ErrorKind::AddrInUse => {
            format!("{address}: another program listens there; stop it or write another port")
        }
        _ => format!("{address}: cannot listen: {e}"),
    })
}

/// Checks that a sink can write to its folder, and that there is room.
fn check_writable(sink: &SinkSettings) -> Result<(), String> {
    let (folder, required) = match sink {
        SinkSettings::Record(r) => (r.directory.as_path(), r.min_free_bytes),
        SinkSettings::Hls { directory, .. } => (directory.as_path(), 0),
        SinkSettings::Mqtt(mqtt) => (mqtt.spool.as_path(), mqtt.spool_bytes),
        SinkSettings::File { path } | SinkSettings::Events { path, .. } => {
            (path.parent().unwrap_or(Path::new(".")), 0)
        }
        SinkSettings::RtspServer { .. }
        | SinkSettings::RtspPush { .. }
        | SinkSettings::Webhook { .. } => return Ok(()),
    };
    let shown = folder.display();
    // Missing folders are created when the stream starts, in the nearest existing one.
    let existing =
        folder.ancestors().map(|f| if f.as_os_str().is_empty() { Path::new(".") } else { f });
    let existing = existing.into_iter().find(|f| f.exists()).unwrap_or(Path::new("/"));
    // An unnamed file leaves nothing behind.
    tempfile::tempfile_in(existing).map_err(|e| {
        format!(
            "{shown}: cannot be written to ({e} in {}); fix it, or choose another folder",
            existing.display()
        )
    })?;
    let stat = rustix::fs::statvfs(existing).map_err(|e| format!("{shown}: {e}"))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < required {
        let mib = |bytes: u64| bytes >> 20;
        return Err(format!(
            "{shown}: {} MiB are free, but {} MiB are required; make room",
            mib(free),
            mib(required)
        ));
    }
    Ok(())
}

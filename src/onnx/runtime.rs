//! Finds and loads the ONNX Runtime library.
//!
//! Gives the path and version of the loaded library, or an error that lists the searched folders
//! and how to get it. Search order: `ORT_DYLIB_PATH` (a file or a folder; nothing else is tried
//! then), `.ort/onnxruntime/capi` (an unpacked wheel) under the crate's and the current folder, the
//! program's folder, `$XDG_DATA_HOME/locutor/onnxruntime`, the system's library folders.
//!
//! The library stays loaded until the program ends. Its messages go to `tracing`: errors as
//! warnings, warnings (about graphs, not for users) as debug. Failures are also returned as errors.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use thiserror::Error;

/// The loaded library.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuntimeInfo {
    /// The file that was loaded.
    pub path: PathBuf,
    /// Its version, as `1.32.0`, or `unknown`.
    pub version: String,
}

/// The oldest supported version.
const MIN_VERSION: &str = if cfg!(feature = "pinned") { "1.23" } else { "1.17" };

/// ONNX Runtime cannot be loaded.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// No library in any folder.
    #[error(
        "ONNX Runtime was not found. Get it with `pip download onnxruntime --no-deps` and unpack \
         the wheel into .ort/ here (unzip -d .ort onnxruntime-*.whl), or set ORT_DYLIB_PATH to a \
         libonnxruntime.so of version {MIN_VERSION} or newer. Looked in: {}",
        list(.searched)
    )]
    NotFound {
        /// The folders, in search order.
        searched: Vec<PathBuf>,
    },
    /// `ORT_DYLIB_PATH` does not exist.
    #[error("ORT_DYLIB_PATH is {path}, but there is no libonnxruntime.so; correct or unset it", path = .path.display())]
    InvalidPath {
        /// Its value.
        path: PathBuf,
    },
    /// A library that cannot be loaded.
    #[error(
        "{path} cannot be loaded as ONNX Runtime: {problem}; \
         get version {MIN_VERSION} or newer for this machine, or set ORT_DYLIB_PATH to another one",
        path = .path.display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// The loader's message.
        problem: String,
    },
}

fn list(folders: &[PathBuf]) -> String {
    folders.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

static LOADED: Mutex<Option<(Environment, RuntimeInfo)>> = Mutex::new(None);

/// Loads ONNX Runtime; later calls return the first result.
///
/// # Errors
/// [`RuntimeError`]; a later call tries again.
pub fn load() -> Result<RuntimeInfo, RuntimeError> {
    environment().map(|(_, info)| info)
}

/// The runtime's environment, needed to create sessions.
pub(super) fn environment() -> Result<(Environment, RuntimeInfo), RuntimeError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pair) = &*loaded {
        return Ok(pair.clone());
    }
    let path = find_library(&|name| env::var_os(name))?;
    let broken = |problem: String| RuntimeError::Broken { path: path.clone(), problem };
    let builder = ort::init_from(&path).map_err(|error| broken(error.to_string()))?;
    let environment = builder
        .with_name(env!("CARGO_PKG_NAME"))
        .with_telemetry(false)
        .with_logger(Arc::new(log))
        .build()
        .map_err(|error| broken(error.to_string()))?;
    environment.set_log_level(LogLevel::Warning);
    let info = RuntimeInfo { version: version(ort::info(), &path), path };
    Ok(loaded.insert((environment, info)).clone())
}

fn log(level: LogLevel, _category: &str, _id: &str, location: &str, message: &str) {
    match level {
        LogLevel::Error | LogLevel::Fatal => tracing::warn!(location, "ONNX Runtime: {message}"),
        _ => tracing::debug!(location, "ONNX Runtime: {message}"),
    }
}

/// The library's version: from the name of the real file, else from its build information.
fn version(build_info: &str, path: &Path) -> String {
    let from_build = build_info.split("git-branch=rel-").nth(1);
    let from_build = from_build.and_then(|rest| rest.split([',', ' ']).next());
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let from_name = name.split(".so.").nth(1);
    from_name.filter(|v| v.contains('.')).or(from_build).unwrap_or("unknown").to_owned()
}

/// The first library in the search folders; `var` reads an environment variable.
fn find_library(var: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Result<PathBuf, RuntimeError> {
    let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set("ORT_DYLIB_PATH") {
        let found =
            if path.is_dir() { library_in(&path) } else { path.is_file().then(|| path.clone()) };
        return found.ok_or(RuntimeError::InvalidPath { path });
    }
    let wheel = Path::new(".ort/onnxruntime/capi");
    let mut folders: Vec<PathBuf> = Vec::new();
    folders.extend(set("CARGO_MANIFEST_DIR").map(|root| root.join(wheel)));
    folders.extend(env::current_dir().ok().map(|here| here.join(wheel)));
    if let Some(program) = env::current_exe().ok().as_deref().and_then(Path::parent) {
        // Beside an installed program, and in a source checkout.
        folders.extend([program.to_path_buf(), program.join("../lib")]);
        folders.push(program.join("../..").join(wheel));
    }
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    folders.extend(data.map(|data| data.join("locutor/onnxruntime")));
    let arch = format!("/usr/lib/{}-linux-gnu", env::consts::ARCH);
    let system = [
        "/usr/local/lib",
        "/usr/local/lib64",
        &arch,
        "/usr/lib",
        "/usr/lib64",
        "/opt/onnxruntime/lib",
    ];
    folders.extend(system.map(PathBuf::from));
    folders.dedup();
    match folders.iter().find_map(|folder| library_in(folder)) {
        Some(path) => Ok(path),
        None => Err(RuntimeError::NotFound { searched: folders }),
    }
}

/// `libonnxruntime.so` in a folder, or else the newest `libonnxruntime.so.VERSION`.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let plain = format!("{}onnxruntime{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let version = |name: &str| -> Option<Vec<u32>> {
        let rest = name.strip_prefix(&plain)?;
        if rest.is_empty() {
            // Installers link the plain name to the right version.
            return Some(vec![u32::MAX]);
        }
        rest.strip_prefix('.')?.split('.').map(|part| part.parse().ok()).collect()
    };
    let names =
        fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest = names.filter_map(|name| Some((version(&name)?, name))).max();
    newest.map(|(_, name)| folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, name: &str) {
        fs::create_dir_all(folder).expect("a folder");
        fs::write(folder.join(name), b"").expect("a file");
    }

    #[test]
    fn the_newest_library_of_a_folder_is_used() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(library_in(folder.path()), None);
        touch(folder.path(), "libonnxruntime_providers_shared.so");
        assert_eq!(library_in(folder.path()), None);
        touch(folder.path(), "libonnxruntime.so.1.9.0");
        touch(folder.path(), "libonnxruntime.so.1.32.0");
        let found = library_in(folder.path()).expect("a library");
        assert!(found.ends_with("libonnxruntime.so.1.32.0"), "{found:?}");
        touch(folder.path(), "libonnxruntime.so");
        let found = library_in(folder.path()).expect("a library");
        assert!(found.ends_with("libonnxruntime.so"), "{found:?}");
    }

    #[test]
    fn ort_dylib_path_is_the_only_path_tried() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("none.so");
        let set = |name: &str| (name == "ORT_DYLIB_PATH").then(|| missing.clone().into_os_string());
        let error = find_library(&set).expect_err("nothing is there").to_string();
        let wanted = format!(
            "ORT_DYLIB_PATH is {}, but there is no libonnxruntime.so; correct or unset it",
            missing.display()
        );
        assert_eq!(error, wanted);
        touch(folder.path(), "libonnxruntime.so.1.32.0");
        let set = |name: &str| (name == "ORT_DYLIB_PATH").then(|| folder.path().into());
        let library = folder.path().join("libonnxruntime.so.1.32.0");
        assert_eq!(find_library(&set).expect("found"), library);
    }

    #[test]
    fn an_unpacked_wheel_is_found_before_the_system() {
        let root = tempfile::tempdir().expect("a folder");
        let wheel = root.path().join(".ort/onnxruntime/capi");
        touch(&wheel, "libonnxruntime.so.1.32.0");
        let set = |name: &str| (name == "CARGO_MANIFEST_DIR").then(|| root.path().into());
        assert_eq!(find_library(&set).expect("found"), wheel.join("libonnxruntime.so.1.32.0"));
    }

    #[test]
    fn the_version_is_read_from_the_name_or_the_build() {
        let info = "ORT Build Info: git-branch=rel-1.31.2, git-commit-id=0, build type=Release";
        assert_eq!(version("", Path::new("libonnxruntime.so.1.32.0")), "1.32.0");
        assert_eq!(version(info, Path::new("libonnxruntime.so")), "1.31.2");
        assert_eq!(version("", Path::new("libonnxruntime.so")), "unknown");
    }
}

//! What is asked of the runtime for each provider.
//!
//! Takes a [`Provider`] and how its session will be run; gives the execution providers with their
//! settings. Full precision is the default, and is said, as the libraries' own is less.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use ort::ep::{self, ExecutionProviderDispatch};

use super::session::Provider;

/// How a session will be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Calls {
    /// With any shapes.
    Free,
    /// With the same shapes in the same memory every time, so that a GPU can replay the first call.
    Replayed,
}

/// What a session on `provider` asks the runtime for, best first; none is the CPU.
pub(super) fn providers(provider: Provider, calls: Calls) -> Vec<ExecutionProviderDispatch> {
    let replayed = calls == Calls::Replayed;
    // Said either way, as the library's own default is less precision.
    let cuda = |gpu: u16, tf32| {
        let cuda = ep::CUDA::default().with_device_id(gpu.into()).with_tf32(tf32);
        // A convolution's first call at a new shape tries all ways; shapes change with every
        // number of faces, so that only fixed ones are worth that.
        let search = if replayed {
            ep::cuda::ConvAlgorithmSearch::Exhaustive
        } else {
            ep::cuda::ConvAlgorithmSearch::Heuristic
        };
        cuda.with_conv_algorithm_search(search)
    };
    match provider {
        Provider::Cpu => vec![],
        Provider::Cuda { gpu, tf32 } => {
            vec![cuda(gpu, tf32).with_cuda_graph(replayed).build().error_on_failure()]
        }
        Provider::TensorRt { gpu, half } => {
            let mut tensorrt = ep::TensorRT::default()
                .with_device_id(gpu.into())
                .with_fp16(half)
                .with_cuda_graph(replayed);
            // Building an engine takes minutes: once for a machine is enough.
            if let Some(folder) = engine_cache(&|name| std::env::var_os(name)) {
                let folder = folder.display();
                tensorrt = tensorrt
                    .with_engine_cache(true)
                    .with_engine_cache_path(&folder)
                    .with_timing_cache(true)
                    .with_timing_cache_path(&folder);
            }
            let rest = cuda(gpu, false).build().error_on_failure();
            vec![tensorrt.build().error_on_failure(), rest]
        }
    }
}

/// The folder for TensorRT's engines, made where it is missing: under `$CACHE_DIRECTORY` (a
/// service's own), `$XDG_CACHE_HOME/locutor` or `~/.cache/locutor`. `None` where none can be had.
fn engine_cache(var: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let folder = set("CACHE_DIRECTORY").or_else(|| Some(home()?.join("locutor")))?.join("tensorrt");
    // An engine is code: nobody else may put one there.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    match made {
        Ok(()) => Some(folder),
        Err(error) => {
            let folder = folder.display();
            tracing::warn!("TensorRT builds its engines anew at every start: {folder}: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_kept_in_the_services_or_the_users_own_cache() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |name: &str| root.path().join(name).into_os_string();
        let place = |service: bool, cache: bool, home: bool| {
            engine_cache(&|name| match name {
                "CACHE_DIRECTORY" => service.then(|| at("service")),
                "XDG_CACHE_HOME" => cache.then(|| at("cache")),
                "HOME" => home.then(|| at("home")),
                _ => None,
            })
        };
        let under = |path: &str| Some(root.path().join(path));
        assert_eq!(place(true, true, true), under("service/tensorrt"));
        assert_eq!(place(false, true, true), under("cache/locutor/tensorrt"));
        assert_eq!(place(false, false, true), under("home/.cache/locutor/tensorrt"));
        assert_eq!(place(false, false, false), None);
        assert!(root.path().join("home/.cache/locutor/tensorrt").is_dir());
        std::fs::write(root.path().join("file"), b"").expect("a file");
        let blocked = engine_cache(&|name| (name == "CACHE_DIRECTORY").then(|| at("file")));
        assert_eq!(blocked, None, "a cache that cannot be made is done without");
    }
}

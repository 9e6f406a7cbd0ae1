//! The execution providers, and the runtime's settings for each.
//!
//! Takes a [`Provider`] and the session's [`CallShapes`]; gives the runtime's execution providers
//! with their settings. Full precision is the default and set explicitly, as the libraries default
//! to less.

use std::fmt;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use ort::ep::{self, ExecutionProviderDispatch};

use crate::models::device::Device;

/// An execution provider.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Provider {
    /// ONNX Runtime's own kernels.
    Cpu,
    /// CUDA.
    Cuda {
        /// The GPU's number.
        gpu: u16,
        /// See [`Device::Cuda`].
        tf32: bool,
    },
    /// TensorRT, and CUDA for operators that TensorRT lacks.
    TensorRt {
        /// The GPU's number.
        gpu: u16,
        /// See [`Device::TensorRt`].
        half: bool,
    },
}

impl Provider {
    /// The GPU's number; `None` for the CPU.
    pub const fn gpu(self) -> Option<u16> {
        match self {
            Self::Cpu => None,
            Self::Cuda { gpu, .. } | Self::TensorRt { gpu, .. } => Some(gpu),
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Cpu => Device::Cpu.fmt(f),
            Self::Cuda { gpu, tf32 } => Device::Cuda { gpu, tf32 }.fmt(f),
            Self::TensorRt { gpu, half } => Device::TensorRt { gpu, half }.fmt(f),
        }
    }
}

/// The shapes of a session's calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CallShapes {
    /// They change from call to call.
    Dynamic,
    /// Every call has the same shapes in the same memory: a GPU can replay it as a CUDA graph.
    Fixed,
}

/// The runtime's providers for `provider`, preferred first; none means the CPU.
pub(super) fn providers(provider: Provider, shapes: CallShapes) -> Vec<ExecutionProviderDispatch> {
    let replayed = shapes == CallShapes::Fixed;
    // Set either way, as the library defaults to less precision.
    let cuda = |gpu: u16, tf32| {
        let cuda = ep::CUDA::default().with_device_id(gpu.into()).with_tf32(tf32);
        // Exhaustive search tries all algorithms at the first call with a new shape. Shapes change
        // with the number of faces, so it pays off for fixed shapes only.
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
            // Building an engine takes minutes: cache it.
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

/// The folder for TensorRT's engines, created if missing: under `$CACHE_DIRECTORY` (set for a
/// service), `$XDG_CACHE_HOME/locutor` or `~/.cache/locutor`. `None` if it cannot be created.
fn engine_cache(var: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let folder = set("CACHE_DIRECTORY").or_else(|| Some(home()?.join("locutor")))?.join("tensorrt");
    // An engine is code: no other user may write there.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    match made {
        Ok(()) => Some(folder),
        Err(error) => {
            let folder = folder.display();
            tracing::warn!(
                "no engine cache, TensorRT rebuilds its engines at every start: {folder}: {error}"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_cached_for_the_service_or_the_user() {
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
        assert_eq!(blocked, None, "no cache if the folder cannot be created");
    }
}

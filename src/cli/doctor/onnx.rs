//! Inspects ONNX Runtime: the library, its execution providers, and what it actually runs on.

use std::path::{Path, PathBuf};

use ort::ep::ExecutionProvider;
use ort::session::builder::SessionBuilder;

use super::report::{ProviderStatus, Runtime};
use crate::models::Package;
use crate::models::device::Device;
use crate::models::registry;
use crate::onnx::providers::Provider;
use crate::onnx::runtime::{self, RuntimeError};
use crate::onnx::session::{SessionOptions, open};

/// An execution provider that is only queried by name.
///
/// The crate can query the library for one provider, but cannot list them. Its own provider types
/// each need a cargo feature, which would build this program for that provider.
macro_rules! known_providers {
    ($($kind:ident = $name:literal => $device:expr;)+) => {
        $(struct $kind;

        impl ExecutionProvider for $kind {
            const NAME: &'static str = $name;

            fn register(&self, _builder: &mut SessionBuilder) -> ort::Result<()> {
                Err(ort::Error::new("this provider is only queried"))
            }
        })+

        /// The known providers that the library has.
        fn providers() -> Vec<ProviderStatus> {
            let all = [$((
                $kind::is_available().unwrap_or(false),
                ProviderStatus { name: $kind::NAME, device: $device },
            )),+];
            all.into_iter().filter(|(here, _)| *here).map(|(_, found)| found).collect()
        }
    };
}

known_providers! {
    TensorRt = "TensorrtExecutionProvider" => Some("tensorrt");
    Cuda = "CUDAExecutionProvider" => Some("cuda");
    Cpu = "CPUExecutionProvider" => Some("cpu");
    TensorRtRtx = "NvTensorRTRTXExecutionProvider" => None;
    MiGraphX = "MIGraphXExecutionProvider" => None;
    Rocm = "ROCMExecutionProvider" => None;
    OpenVino = "OpenVINOExecutionProvider" => None;
    Dnnl = "DnnlExecutionProvider" => None;
    Qnn = "QNNExecutionProvider" => None;
    VitisAi = "VitisAIExecutionProvider" => None;
    Cann = "CANNExecutionProvider" => None;
    Acl = "ACLExecutionProvider" => None;
    ArmNn = "ArmNNExecutionProvider" => None;
    Xnnpack = "XnnpackExecutionProvider" => None;
    WebGpu = "WebGpuExecutionProvider" => None;
    CoreMl = "CoreMLExecutionProvider" => None;
    Azure = "AzureExecutionProvider" => None;
}

/// The library. Opens the detector's graph, if there is one, to see what `auto` runs on.
pub(super) fn inspect(detector: Option<&Package>) -> Runtime {
    let info = match runtime::load() {
        Ok(info) => info,
        Err(error) => {
            let path = match &error {
                RuntimeError::Broken { path, .. } => Some(path.display().to_string()),
                RuntimeError::NotFound { .. } | RuntimeError::InvalidPath { .. } => None,
            };
            let set = std::env::var_os("ORT_DYLIB_PATH").is_some_and(|value| !value.is_empty());
            let (problem, fix) = (Some(error.to_string()), Some(how_to_get(&error, set)));
            return Runtime { path, problem, fix, ..Runtime::default() };
        }
    };
    let mut found = Runtime {
        path: Some(info.path.display().to_string()),
        version: Some(info.version),
        providers: providers(),
        ..Runtime::default()
    };
    let run = |device: Device| {
        let package = detector?;
        let file = &package.detector().ok()?.file;
        Some(open(package, file, &SessionOptions { device, intra_threads: 1 }).map(|g| g.provider))
    };
    let has_cuda = found.providers.iter().any(|p| p.device == Some("cuda"));
    match has_cuda.then(|| run(Device::Cuda { gpu: 0, tf32: false })).flatten() {
        Some(Ok(provider)) => found.auto_device = Some(provider.to_string()),
        Some(Err(error)) => {
            // The library breaks lines at any place.
            let words: Vec<_> = error.to_string().split_whitespace().map(str::to_owned).collect();
            found.gpu_problem = Some(words.join(" "));
            found.auto_device = Some(Provider::Cpu.to_string());
        }
        None if has_cuda => {}
        None => found.auto_device = Some(Provider::Cpu.to_string()),
    }
    found
}

/// The command that installs the library where it is searched for.
fn how_to_get(error: &RuntimeError, variable_is_set: bool) -> String {
    match error {
        // While the variable is set no other path is tried: fetching a library would not help.
        RuntimeError::InvalidPath { .. } => "unset ORT_DYLIB_PATH".to_owned(),
        RuntimeError::Broken { .. } if variable_is_set => "unset ORT_DYLIB_PATH".to_owned(),
        // The broken one may be found first.
        RuntimeError::Broken { .. } => {
            format!("{} && export ORT_DYLIB_PATH={}", fetch(&folder()), folder().display())
        }
        RuntimeError::NotFound { .. } => fetch(&folder()),
    }
}

/// Where [`runtime`] searches for the user's library, whatever the working directory.
fn folder() -> PathBuf {
    registry::user_directory().with_file_name("onnxruntime")
}

fn fetch(folder: &Path) -> String {
    format!(
        "d=$(mktemp -d) && python3 -m pip download -q --no-deps --only-binary=:all: -d $d \
         onnxruntime && unzip -q -o -j $d/*.whl 'onnxruntime/capi/libonnxruntime*' -d {}",
        folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_runs_on_the_cpu() {
        let found = inspect(None);
        if found.path.is_none() {
            crate::needs::skip(format_args!("ONNX Runtime: {:?}", found.problem));
            return;
        }
        let cpu = ProviderStatus { name: "CPUExecutionProvider", device: Some("cpu") };
        assert!(found.providers.contains(&cpu), "{:?}", found.providers);
        assert!(found.problem.is_none());
    }

    #[test]
    fn a_wrong_variable_is_unset_and_a_missing_library_fetched() {
        let wrong = RuntimeError::InvalidPath { path: "x".into() };
        assert_eq!(how_to_get(&wrong, true), "unset ORT_DYLIB_PATH");
        let broken = RuntimeError::Broken { path: "x".into(), problem: "old".into() };
        assert_eq!(how_to_get(&broken, true), "unset ORT_DYLIB_PATH");
        let other = how_to_get(&broken, false);
        assert!(other.contains("pip download"), "{other}");
        assert!(other.contains("export ORT_DYLIB_PATH=/"), "{other}");
        let none = RuntimeError::NotFound { searched: vec![] };
        let command = how_to_get(&none, false);
        assert!(command.contains("pip download"), "{command}");
        assert!(command.ends_with("/locutor/onnxruntime"), "{command}");
    }
}

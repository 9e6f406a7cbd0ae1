//! Opening a package's graph on a device, proven against its manifest.
//!
//! Takes a checked [`Package`], one of its files and [`SessionOptions`]; gives an [`OpenGraph`]
//! whose inputs and outputs are the ones that the manifest says, and the provider that it runs on.
//! Threads do not spin: idle cores belong to decoding and encoding. A provider that was asked for
//! and cannot be had is an error; only `auto` may choose the CPU, and the provider in use is told.
//!
//! A session is run by one owner (`&mut self`); there is no lock here and none is needed.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use ort::ep::{self, ExecutionProvider as _};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType, TensorRef};
use thiserror::Error;

use super::providers::{Calls, providers};
use super::runtime::{self, RuntimeError};
use crate::models::contract::{self, Signature, TensorFound};
use crate::models::device::Device;
use crate::models::manifest::FileName;
use crate::models::tensor::Tensor;
use crate::models::{ModelError, Package, Place};

/// How a graph is to be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionOptions {
    /// Where.
    pub device: Device,
    /// Threads that share one operator on the CPU; 0 is taken as 1.
    pub intra_threads: usize,
}

/// What a graph runs on.
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
    /// TensorRT; CUDA for what TensorRT cannot do.
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

/// Why a graph cannot be opened or run.
#[derive(Debug, Error)]
pub enum SessionError {
    /// There is no ONNX Runtime.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The graph is not what its manifest says.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A device that was asked for cannot be had.
    #[error(
        "device {device} cannot be used: {problem}; \
         use --device cpu, or an ONNX Runtime and driver that have it"
    )]
    Device {
        /// The device.
        device: Device,
        /// What stands in the way.
        problem: String,
    },
    /// The runtime refuses the graph.
    #[error("{file} cannot be opened: {problem}", file = .file.display())]
    Open {
        /// The graph.
        file: PathBuf,
        /// The runtime's word on it.
        problem: String,
    },
    /// A run failed.
    #[error("{file} failed: {problem}", file = .file.display())]
    Run {
        /// The graph.
        file: PathBuf,
        /// The runtime's word on it.
        problem: String,
    },
}

/// A float input of a run: its name, its shape and its values, last dimension fastest.
pub type Input<'a> = (&'a str, &'a [usize], &'a [f32]);

/// A graph that is open, proven and ready to run.
#[derive(Debug)]
pub struct OpenGraph {
    /// The runtime's session, for callers that want to keep values on the device.
    pub session: Session,
    /// What it runs on.
    pub provider: Provider,
    pub(super) file: PathBuf,
    /// What the last run was asked for: the next one mostly is asked the same.
    wanted: Option<Wanted>,
}

/// Outputs of a run; those that nobody asked for are not computed.
struct Wanted {
    names: Vec<String>,
    options: RunOptions<HasSelectedOutputs>,
}

impl Wanted {
    fn new(names: &[&str]) -> ort::Result<Self> {
        let selected = names.iter().fold(OutputSelector::no_default(), |all, name| all.with(*name));
        let names = names.iter().map(ToString::to_string).collect();
        Ok(Self { names, options: RunOptions::new()?.with_outputs(selected) })
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.names)
    }
}

/// Opens a graph of a package.
///
/// # Errors
/// No runtime, a device that cannot be had, a graph that the runtime refuses, or one that differs
/// from its manifest: that error names both sides.
pub fn open(
    package: &Package,
    file: &FileName,
    options: &SessionOptions,
) -> Result<OpenGraph, SessionError> {
    open_for(package, file, options, Calls::Free)
}

/// The same for `calls` of a certain kind.
pub(super) fn open_for(
    package: &Package,
    file: &FileName,
    options: &SessionOptions,
    calls: Calls,
) -> Result<OpenGraph, SessionError> {
    let contract =
        package.manifest().model.contracts().into_iter().find(|contract| contract.file == *file);
    let path = package.path(file);
    let source = match package.place() {
        Place::Dir(_) => Source { path: &path, bytes: None },
        Place::BuiltIn(_) => Source { path: &path, bytes: Some(package.read(file)?) },
    };
    let graph = open_source(&source, options, calls)?;
    if let Some(contract) = contract {
        contract::prove(&contract, &signature(&graph.session))
            .map_err(|mismatch| ModelError::Contract { file: path, mismatch })?;
    }
    Ok(graph)
}

/// A graph in a file, or one that the program carries.
struct Source<'a> {
    path: &'a Path,
    bytes: Option<Cow<'static, [u8]>>,
}

/// Opens a graph without a manifest to prove it against.
fn open_source(
    source: &Source<'_>,
    options: &SessionOptions,
    calls: Calls,
) -> Result<OpenGraph, SessionError> {
    let (provider, automatic) = match options.device {
        Device::Cpu => (Provider::Cpu, false),
        Device::Cuda { gpu, tf32 } => (Provider::Cuda { gpu, tf32 }, false),
        Device::TensorRt { gpu, half } => (Provider::TensorRt { gpu, half }, false),
        Device::Auto => {
            runtime::environment()?;
            let cuda = ep::CUDA::is_available().unwrap_or(false);
            (if cuda { Provider::Cuda { gpu: 0, tf32: false } } else { Provider::Cpu }, cuda)
        }
    };
    match open_on(source, provider, options, calls) {
        Err(SessionError::Device { problem, .. }) if automatic => {
            tracing::warn!("no GPU can be used ({problem}); running on the CPU");
            open_on(source, Provider::Cpu, options, calls)
        }
        other => other,
    }
}

fn open_on(
    source: &Source<'_>,
    provider: Provider,
    options: &SessionOptions,
    calls: Calls,
) -> Result<OpenGraph, SessionError> {
    let (environment, _) = runtime::environment()?;
    let file = source.path;
    let refused = |problem: String| SessionError::Open { file: file.into(), problem };
    let builder =
        configure(Session::builder(&environment).map_err(|e| refused(e.to_string()))?, options)
            .map_err(|e| refused(e.to_string()))?;
    let providers = providers(provider, calls);
    let unusable = |error: &dyn fmt::Display| SessionError::Device {
        device: options.device,
        problem: error.to_string(),
    };
    let mut builder = builder.with_execution_providers(&providers).map_err(|e| unusable(&e))?;
    let opened = match &source.bytes {
        Some(bytes) => builder.commit_from_memory(bytes),
        None => builder.commit_from_file(file),
    };
    let session = opened.map_err(|error| {
        // A GPU that is missing is found only now. A graph that is at fault itself would not open
        // on the CPU either.
        if provider != Provider::Cpu && open_on(source, Provider::Cpu, options, calls).is_ok() {
            unusable(&error)
        } else {
            refused(error.to_string())
        }
    })?;
    Ok(OpenGraph { session, provider, file: file.into(), wanted: None })
}

fn configure(builder: SessionBuilder, options: &SessionOptions) -> ort::Result<SessionBuilder> {
    Ok(builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.intra_threads.max(1))?
        .with_inter_threads(1)?
        // Numbers of tracks and ticks change from run to run: a pattern for each would only keep
        // memory (50 MB at four tracks), not time.
        .with_memory_pattern(false)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?)
}

/// What a session says of its own inputs and outputs.
fn signature(session: &Session) -> Signature {
    let found = |outlet: &Outlet| {
        let element = match outlet.dtype().tensor_type() {
            Some(TensorElementType::Float32) => "float32".to_owned(),
            Some(other) => other.to_string(),
            None => outlet.dtype().to_string(),
        };
        let dims = outlet
            .dtype()
            .tensor_shape()
            .map(|shape| shape.iter().map(|&d| usize::try_from(d).ok()).collect());
        TensorFound { name: outlet.name().to_owned(), element, dims: dims.unwrap_or_default() }
    };
    Signature {
        inputs: session.inputs().iter().map(found).collect(),
        outputs: session.outputs().iter().map(found).collect(),
    }
}

impl OpenGraph {
    /// Runs the graph and copies out the outputs of these names, in their order.
    ///
    /// # Errors
    /// [`SessionError::Run`] where a shape does not fit its values or the graph.
    pub fn run(
        &mut self,
        inputs: &[Input<'_>],
        outputs: &[&str],
    ) -> Result<Vec<Tensor>, SessionError> {
        self.run_into(inputs, outputs, Vec::new())
    }

    /// The same into the memory of `spare`, what an earlier run gave.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_into(
        &mut self,
        inputs: &[Input<'_>],
        outputs: &[&str],
        spare: Vec<Tensor>,
    ) -> Result<Vec<Tensor>, SessionError> {
        let mut spare = spare.into_iter();
        self.run_with(inputs, outputs, |shape, data| {
            let dims = shape.iter().map(|&d| usize::try_from(d).unwrap_or(0));
            let mut tensor = spare.next().unwrap_or_default();
            tensor.refill(dims, data).then_some(tensor)
        })
    }

    /// The same with what `take` makes of each output's shape and values, in the runtime's own
    /// memory; `None` is a fault.
    pub(super) fn run_with<T>(
        &mut self,
        inputs: &[Input<'_>],
        outputs: &[&str],
        mut take: impl FnMut(&[i64], &[f32]) -> Option<T>,
    ) -> Result<Vec<T>, SessionError> {
        let file = &self.file;
        let failed = |problem: String| SessionError::Run { file: file.clone(), problem };
        let mut values: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
        for &(name, shape, data) in inputs {
            let value = TensorRef::from_array_view((shape, data));
            let value = value.map_err(|e| failed(format!("input `{name}`: {e}")))?;
            values.push((name, value.into()));
        }
        let chosen = self.wanted.as_ref().filter(|w| w.names.iter().eq(outputs));
        if chosen.is_none() {
            let wanted = Wanted::new(outputs).map_err(|e| failed(e.to_string()))?;
            self.wanted = Some(wanted);
        }
        let results = match &self.wanted {
            Some(wanted) => self.session.run_with_options(values, &wanted.options),
            None => self.session.run(values),
        };
        let results = results.map_err(|e| failed(e.to_string()))?;
        let taken = |name: &&str| {
            let value = results.get(name).ok_or_else(|| failed(format!("no output `{name}`")))?;
            let (shape, data) =
                value.try_extract_tensor::<f32>().map_err(|e| failed(e.to_string()))?;
            take(shape, data)
                .ok_or_else(|| failed(format!("output `{name}` does not fit its shape")))
        };
        outputs.iter().map(taken).collect()
    }
}

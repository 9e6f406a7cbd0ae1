//! Opens a package's graph on a device and verifies it against its manifest.
//!
//! Takes a checked [`Package`], one of its files and [`SessionOptions`]. Gives an [`OpenGraph`]
//! whose inputs and outputs match the manifest, and its execution provider. Threads do not spin:
//! idle cores belong to decoding and encoding. A requested provider that is unavailable is an
//! error; only `auto` falls back to the CPU, and the provider in use is reported.
//!
//! A session has one owner (`&mut self`) and needs no lock.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use ort::ep::{self, ExecutionProvider as _};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType, TensorRef};
use thiserror::Error;

use super::providers::{CallShapes, Provider, providers};
use super::runtime::{self, RuntimeError};
use crate::models::contract::{self, Signature, TensorInfo};
use crate::models::device::Device;
use crate::models::manifest::FileName;
use crate::models::speaker_model::InferenceError;
use crate::models::tensor::Tensor;
use crate::models::{ModelError, Package, PackageLocation};

/// How a graph is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionOptions {
    /// The device.
    pub device: Device,
    /// Threads for one operator on the CPU; 0 means 1.
    pub intra_threads: usize,
}

/// A graph cannot be opened or run.
#[derive(Debug, Error)]
pub enum SessionError {
    /// ONNX Runtime cannot be loaded.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The graph does not match its manifest.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A requested device is unavailable.
    #[error(
        "device {device} cannot be used: {problem}; \
         use --device cpu, or an ONNX Runtime and driver that have it"
    )]
    Device {
        /// The device.
        device: Device,
        /// The reason.
        problem: String,
    },
    /// The runtime rejects the graph.
    #[error("{file} cannot be opened: {problem}", file = .file.display())]
    Open {
        /// The graph.
        file: PathBuf,
        /// The runtime's message.
        problem: String,
    },
    /// A run failed.
    #[error("{file} failed: {problem}", file = .file.display())]
    Run {
        /// The graph.
        file: PathBuf,
        /// The runtime's message.
        problem: String,
    },
}

impl SessionError {
    /// The error of `graph`, a speaker graph of `package`.
    pub(super) fn in_speaker_graph(&self, package: &str, graph: &'static str) -> InferenceError {
        InferenceError { package: package.to_owned(), graph, reason: self.to_string() }
    }
}

/// A float input of a run: its name, its shape and its values, last dimension fastest.
pub type Input<'a> = (&'a str, &'a [usize], &'a [f32]);

/// A graph that is open, verified and ready to run.
#[derive(Debug)]
pub struct OpenGraph {
    /// The runtime's session, for callers that keep values on the device.
    pub session: Session,
    /// The execution provider.
    pub provider: Provider,
    pub(super) file: PathBuf,
    /// The last run's outputs, as the next run mostly wants the same.
    last_outputs: Option<SelectedOutputs>,
}

/// The outputs of a run; others are not computed.
struct SelectedOutputs {
    names: Vec<String>,
    options: RunOptions<HasSelectedOutputs>,
}

impl SelectedOutputs {
    fn new(names: &[&str]) -> ort::Result<Self> {
        let selected = names.iter().fold(OutputSelector::no_default(), |all, name| all.with(*name));
        let names = names.iter().map(ToString::to_string).collect();
        Ok(Self { names, options: RunOptions::new()?.with_outputs(selected) })
    }
}

impl fmt::Debug for SelectedOutputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.names)
    }
}

/// Opens a graph of a package.
///
/// # Errors
/// No runtime, an unavailable device, a graph that the runtime rejects, or one that differs from
/// its manifest; that error names both.
pub fn open(
    package: &Package,
    file: &FileName,
    options: &SessionOptions,
) -> Result<OpenGraph, SessionError> {
    open_with_shapes(package, file, options, CallShapes::Dynamic)
}

/// Like [`open`], for fixed or dynamic shapes.
pub(super) fn open_with_shapes(
    package: &Package,
    file: &FileName,
    options: &SessionOptions,
    shapes: CallShapes,
) -> Result<OpenGraph, SessionError> {
    let contract =
        package.manifest().model.contracts().into_iter().find(|contract| contract.file == *file);
    let path = package.path(file);
    let source = match package.location() {
        PackageLocation::Dir(_) => GraphSource { path: &path, bytes: None },
        PackageLocation::BuiltIn(_) => {
            GraphSource { path: &path, bytes: Some(package.read(file)?) }
        }
    };
    let graph = open_source(&source, options, shapes)?;
    if let Some(contract) = contract {
        contract::verify(&contract, &signature(&graph.session))
            .map_err(|mismatch| ModelError::Contract { file: path, mismatch })?;
    }
    Ok(graph)
}

/// A graph in a file or built in.
struct GraphSource<'a> {
    path: &'a Path,
    bytes: Option<Cow<'static, [u8]>>,
}

/// Opens a graph without verifying it.
fn open_source(
    source: &GraphSource<'_>,
    options: &SessionOptions,
    shapes: CallShapes,
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
    match open_on(source, provider, options, shapes) {
        Err(SessionError::Device { problem, .. }) if automatic => {
            tracing::warn!("no GPU can be used ({problem}); running on the CPU");
            open_on(source, Provider::Cpu, options, shapes)
        }
        other => other,
    }
}

fn open_on(
    source: &GraphSource<'_>,
    provider: Provider,
    options: &SessionOptions,
    shapes: CallShapes,
) -> Result<OpenGraph, SessionError> {
    let (environment, _) = runtime::environment()?;
    let file = source.path;
    let open_error = |problem: String| SessionError::Open { file: file.into(), problem };
    let builder =
        configure(Session::builder(&environment).map_err(|e| open_error(e.to_string()))?, options)
            .map_err(|e| open_error(e.to_string()))?;
    let providers = providers(provider, shapes);
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
        // A missing GPU shows only now. An invalid graph does not open on the CPU either.
        if provider != Provider::Cpu && open_on(source, Provider::Cpu, options, shapes).is_ok() {
            unusable(&error)
        } else {
            open_error(error.to_string())
        }
    })?;
    Ok(OpenGraph { session, provider, file: file.into(), last_outputs: None })
}

fn configure(builder: SessionBuilder, options: &SessionOptions) -> ort::Result<SessionBuilder> {
    Ok(builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.intra_threads.max(1))?
        .with_inter_threads(1)?
        // Numbers of tracks and ticks change from run to run: a memory pattern for each costs
        // memory (50 MB at four tracks) and saves no time.
        .with_memory_pattern(false)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?)
}

/// A session's inputs and outputs.
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
        TensorInfo { name: outlet.name().to_owned(), element, dims: dims.unwrap_or_default() }
    };
    Signature {
        inputs: session.inputs().iter().map(found).collect(),
        outputs: session.outputs().iter().map(found).collect(),
    }
}

impl OpenGraph {
    /// Runs the graph and returns copies of the named outputs, in order.
    ///
    /// # Errors
    /// [`SessionError::Run`] if a shape does not fit its values or the graph.
    pub fn run(
        &mut self,
        inputs: &[Input<'_>],
        outputs: &[&str],
    ) -> Result<Vec<Tensor>, SessionError> {
        self.run_into(inputs, outputs, Vec::new())
    }

    /// Like [`Self::run`], reusing the memory of `spare`, an earlier run's result.
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

    /// Like [`Self::run`], converting each output with `take`, which gets its shape and values in
    /// the runtime's memory; `None` is an error.
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
        let chosen = self.last_outputs.as_ref().filter(|w| w.names.iter().eq(outputs));
        if chosen.is_none() {
            let last_outputs = SelectedOutputs::new(outputs).map_err(|e| failed(e.to_string()))?;
            self.last_outputs = Some(last_outputs);
        }
        let results = match &self.last_outputs {
            Some(last_outputs) => self.session.run_with_options(values, &last_outputs.options),
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

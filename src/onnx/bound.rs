//! A graph with fixed shapes whose inputs and outputs are bound to memory that is allocated once.
//!
//! Takes a package's graph and a [`BindingPlan`] of its shapes. Gives a [`BoundGraph`]: inputs are
//! written in place, outputs are read in place, and the state output of one call is the state input
//! of the next, without a copy.
//!
//! On a GPU the graph's tensors stay at fixed addresses in device memory. The host writes and reads
//! page-locked memory if the runtime allows it (cargo feature `pinned`), otherwise ordinary memory.
//! Each input is copied once before a call and each output once after it; states are never copied.
//! Fixed addresses also allow CUDA graphs: if the runtime accepts the graph, the first call is
//! captured and later calls replay it. On the CPU host and graph share memory; nothing is copied.
//!
//! A CUDA graph belongs to the thread that captured it: run a bound graph on the thread that opened
//! it.

use std::path::PathBuf;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, NoSelectedOutputs, RunOptions, Session};
use ort::value::Tensor;

use super::providers::{CallShapes, Provider};
use super::session::{OpenGraph, SessionError, SessionOptions, open_with_shapes};
use crate::models::Package;
use crate::models::device::Device;
use crate::models::manifest::FileName;

/// A tensor's name and its fixed shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TensorSpec {
    /// The graph's name for it.
    pub name: String,
    /// All dimensions.
    pub dims: Vec<usize>,
}

/// A state: an output of one call and an input of the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateSpec {
    /// The graph's input.
    pub input: String,
    /// The graph's output.
    pub output: String,
    /// All dimensions.
    pub dims: Vec<usize>,
}

/// The shapes of every call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BindingPlan {
    /// Inputs, written by the host.
    pub inputs: Vec<TensorSpec>,
    /// Outputs, read by the host; others are not available.
    pub outputs: Vec<TensorSpec>,
    /// States, carried from call to call.
    pub states: Vec<StateSpec>,
}

/// A tensor that the host writes or reads.
#[derive(Debug)]
struct Slot {
    name: String,
    host: Tensor<f32>,
    /// The graph's copy on the device, if separate.
    device: Option<Tensor<f32>>,
}

impl Slot {
    const fn graph_tensor(&mut self) -> &mut Tensor<f32> {
        match &mut self.device {
            Some(device) => device,
            None => &mut self.host,
        }
    }
}

/// A graph that is open, bound and ready to run.
pub struct BoundGraph {
    /// One without states. With states two that alternate: the state outputs of one are the state
    /// inputs of the other.
    bindings: Vec<Binding>,
    turn: usize,
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
    states: Vec<[Tensor<f32>; 2]>,
    replayed: bool,
    pinned: bool,
    provider: Provider,
    file: PathBuf,
    // Dropped last: memory and bindings belong to the session.
    session: Session,
}

/// The session's memory.
struct Memory {
    host: Allocator,
    device: Option<Allocator>,
    pinned: bool,
}

impl Memory {
    fn of(session: &Session, provider: Provider) -> ort::Result<Self> {
        let Some(gpu) = provider.gpu() else {
            return Ok(Self { host: Allocator::default(), device: None, pinned: false });
        };
        let on = |place, memory| {
            let info = MemoryInfo::new(place, gpu.into(), AllocatorType::Device, memory)?;
            Allocator::new(session, info)
        };
        let device = Some(on(AllocationDevice::CUDA, MemoryType::Default)?);
        // Runtimes before 1.23 report page-locked memory as host-accessible. Later ones do so in
        // another call, which `ort` makes with the feature `pinned`.
        let pinned = on(AllocationDevice::CUDA_PINNED, MemoryType::CPUInput).ok();
        let pinned = pinned.filter(|memory| memory.memory_info().is_cpu_accessible());
        Ok(match pinned {
            Some(host) => Self { host, device, pinned: true },
            None => Self { host: Allocator::default(), device, pinned: false },
        })
    }

    /// A tensor of zeros.
    fn slot(&self, spec: &TensorSpec) -> ort::Result<Slot> {
        let mut host = Tensor::<f32>::new(&self.host, spec.dims.as_slice())?;
        host.try_extract_tensor_mut::<f32>()?.1.fill(0.0);
        let mut slot = Slot { name: spec.name.clone(), host, device: None };
        if let Some(memory) = &self.device {
            let mut device = Tensor::<f32>::new(memory, spec.dims.as_slice())?;
            slot.host.copy_into(&mut device)?;
            slot.device = Some(device);
        }
        Ok(slot)
    }
}

impl BoundGraph {
    /// Opens `file` of `package` and binds it. A GPU replays calls as a CUDA graph if the runtime
    /// accepts that for this graph, see [`Self::replayed`].
    ///
    /// # Errors
    /// A graph that cannot be opened, or fails with these shapes.
    pub fn open(
        package: &Package,
        file: &FileName,
        options: &SessionOptions,
        plan: &BindingPlan,
    ) -> Result<Self, SessionError> {
        // TensorRT keeps one CUDA graph; states need two.
        let one_capture = matches!(options.device, Device::TensorRt { .. });
        if plan.states.is_empty() || !one_capture {
            let captured =
                open_with_shapes(package, file, options, CallShapes::Fixed).and_then(|graph| {
                    let replayed = graph.provider.gpu().is_some();
                    Self::bind(graph, plan, replayed)?.warmed_up()
                });
            match captured {
                // A graph that partly runs on the CPU cannot be captured.
                Err(
                    error @ (SessionError::Open { .. }
                    | SessionError::Run { .. }
                    | SessionError::Device { .. }),
                ) => tracing::debug!("not captured as a CUDA graph: {error}"),
                // `auto` may have chosen the CPU, though a GPU can run the graph without capture.
                Ok(graph) if graph.provider == Provider::Cpu && options.device == Device::Auto => {}
                other => return other,
            }
        }
        let graph = open_with_shapes(package, file, options, CallShapes::Dynamic)?;
        Self::bind(graph, plan, false)?.warmed_up()
    }

    fn bind(graph: OpenGraph, plan: &BindingPlan, replayed: bool) -> Result<Self, SessionError> {
        let OpenGraph { session, provider, file, .. } = graph;
        let failed =
            |e: ort::Error| SessionError::Run { file: file.clone(), problem: e.to_string() };
        let memory = Memory::of(&session, provider).map_err(failed)?;
        let slots = |specs: &[TensorSpec]| -> ort::Result<Vec<Slot>> {
            specs.iter().map(|spec| memory.slot(spec)).collect()
        };
        let mut inputs = slots(&plan.inputs).map_err(failed)?;
        let mut outputs = slots(&plan.outputs).map_err(failed)?;
        let state = |spec: &StateSpec| {
            let spec = TensorSpec { name: spec.input.clone(), dims: spec.dims.clone() };
            let tensor = || memory.slot(&spec).map(|slot| slot.device.unwrap_or(slot.host));
            Ok([tensor()?, tensor()?])
        };
        let states: ort::Result<Vec<[Tensor<f32>; 2]>> = plan.states.iter().map(state).collect();
        let mut states = states.map_err(failed)?;
        let mut bindings = Vec::new();
        for turn in 0..if states.is_empty() { 1 } else { 2 } {
            let slots = (&mut inputs[..], &mut outputs[..]);
            let bound = binding(&session, turn, slots, (&plan.states, &mut states), replayed);
            bindings.push(bound.map_err(failed)?);
        }
        let pinned = memory.pinned;
        Ok(Self {
            bindings,
            turn: 0,
            inputs,
            outputs,
            states,
            replayed,
            pinned,
            provider,
            file,
            session,
        })
    }

    /// Runs each binding once, which captures it, and resets the states.
    fn warmed_up(mut self) -> Result<Self, SessionError> {
        for _ in 0..self.bindings.len() {
            self.run()?;
        }
        self.reset_states()?;
        Ok(self)
    }

    /// The execution provider.
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    /// Whether the GPU replays calls as a CUDA graph.
    pub const fn replayed(&self) -> bool {
        self.replayed
    }

    /// Whether host memory is page-locked.
    pub const fn pinned(&self) -> bool {
        self.pinned
    }

    /// The values of the plan's input `at`, to be written before a call; they are kept afterwards.
    ///
    /// # Errors
    /// If the plan has no such input.
    pub fn input(&mut self, at: usize) -> Result<&mut [f32], SessionError> {
        let file = &self.file;
        let slot = self.inputs.get_mut(at).ok_or_else(|| no_such_tensor(file, "input", at))?;
        let values = slot.host.try_extract_tensor_mut::<f32>();
        Ok(values.map_err(|e| run_failed(file, &e))?.1)
    }

    /// The values of the plan's output `at` after the last call.
    ///
    /// # Errors
    /// If the plan has no such output.
    pub fn output(&self, at: usize) -> Result<&[f32], SessionError> {
        let slot = self.outputs.get(at).ok_or_else(|| no_such_tensor(&self.file, "output", at))?;
        Ok(slot.host.try_extract_tensor::<f32>().map_err(|e| run_failed(&self.file, &e))?.1)
    }

    /// One call: computes outputs and next states from inputs and states.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn run(&mut self) -> Result<(), SessionError> {
        self.call().map_err(|e| run_failed(&self.file, &e))
    }

    fn call(&mut self) -> ort::Result<()> {
        for slot in &mut self.inputs {
            if let Some(device) = &mut slot.device {
                slot.host.copy_into(device)?;
            }
        }
        if let Some((binding, options)) = self.bindings.get(self.turn) {
            self.session.run_binding_with_options(binding, options)?;
        }
        self.turn = (self.turn + 1) % self.bindings.len().max(1);
        for slot in &mut self.outputs {
            if let Some(device) = &slot.device {
                device.copy_into(&mut slot.host)?;
            }
        }
        Ok(())
    }

    /// Resets all states to zeros, as for new tracks.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn reset_states(&mut self) -> Result<(), SessionError> {
        let turn = self.turn;
        let clear = |tensor: &mut Tensor<f32>| {
            let zeros = vec![0.0; tensor.shape().num_elements()];
            let dims: Vec<i64> = tensor.shape().to_vec();
            Tensor::from_array((dims, zeros))?.copy_into(tensor)
        };
        let cleared = self.states.iter_mut().try_for_each(|pair| clear(&mut pair[turn]));
        cleared.map_err(|e| run_failed(&self.file, &e))
    }

    /// A copy of the plan's state `at`, the input of the next call.
    ///
    /// # Errors
    /// If the plan has no such state, or the runtime fails.
    pub fn state(&self, at: usize) -> Result<Vec<f32>, SessionError> {
        let pair = self.states.get(at).ok_or_else(|| no_such_tensor(&self.file, "state", at))?;
        let tensor = pair.get(self.turn).unwrap_or(&pair[0]);
        let copy = || -> ort::Result<Vec<f32>> {
            let host = tensor.to(AllocationDevice::CPU, 0)?;
            Ok(host.try_extract_tensor::<f32>()?.1.to_vec())
        };
        copy().map_err(|e| run_failed(&self.file, &e))
    }
}

/// Bound inputs and outputs, and the options of a call.
type Binding = (IoBinding, RunOptions<NoSelectedOutputs>);

/// Binds all tensors for the calls of `turn`: states are read from its side, written to the other.
fn binding(
    session: &Session,
    turn: usize,
    (inputs, outputs): (&mut [Slot], &mut [Slot]),
    (specs, states): (&[StateSpec], &mut [[Tensor<f32>; 2]]),
    replayed: bool,
) -> ort::Result<Binding> {
    let mut binding = session.create_binding()?;
    for slot in inputs {
        let name = slot.name.clone();
        binding.bind_input(name, slot.graph_tensor())?;
    }
    for slot in outputs {
        let name = slot.name.clone();
        binding.bind_output(name, slot.graph_tensor())?;
    }
    for (spec, pair) in specs.iter().zip(states) {
        binding.bind_input(spec.input.as_str(), &pair[turn])?;
        binding.bind_output(spec.output.as_str(), &mut pair[1 - turn])?;
    }
    let mut options = RunOptions::new()?;
    if replayed {
        // Each turn has its own CUDA graph, as addresses differ.
        options.set("gpu_graph_id", (turn + 1).to_string())?;
    }
    Ok((binding, options))
}

fn run_failed(file: &std::path::Path, error: &ort::Error) -> SessionError {
    SessionError::Run { file: file.into(), problem: error.to_string() }
}

fn no_such_tensor(file: &std::path::Path, kind: &str, at: usize) -> SessionError {
    SessionError::Run { file: file.into(), problem: format!("the plan has no {kind} {at}") }
}

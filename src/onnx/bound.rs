//! A graph with inputs and outputs of fixed shapes in memory that is allocated once.
//!
//! Takes a package's graph and a [`Plan`] of its shapes; gives a [`BoundGraph`] whose inputs are
//! written in place, whose outputs are read in place, and whose states stay where they are: what
//! one call gives as a state is what the next one takes, without a copy.
//!
//! On a GPU the graph's own tensors lie in the device's memory, at addresses that never change, and
//! the host writes and reads page-locked memory where the runtime lets it (cargo feature `pinned`),
//! else ordinary memory. Between the two there is one copy an input before a call, and one an output
//! after it; states are never copied. Fixed addresses are also what CUDA graphs need: where the
//! runtime accepts that, the first call is recorded and the others replay it. On the CPU both sides
//! are the same memory and nothing is copied.
//!
//! A recorded graph belongs to the thread that recorded it: run a bound graph where it was opened.

use std::path::PathBuf;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, NoSelectedOutputs, RunOptions, Session};
use ort::value::Tensor;

use super::providers::Calls;
use super::session::{OpenGraph, Provider, SessionError, SessionOptions, open_for};
use crate::models::Package;
use crate::models::device::Device;
use crate::models::manifest::FileName;

/// A tensor's name and its fixed shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// The graph's name for it.
    pub name: String,
    /// All dimensions.
    pub dims: Vec<usize>,
}

/// A state: the output of one call that is an input of the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatePort {
    /// The graph's input.
    pub input: String,
    /// The graph's output.
    pub output: String,
    /// All dimensions.
    pub dims: Vec<usize>,
}

/// The shapes of every call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// What the host writes.
    pub inputs: Vec<Port>,
    /// What the host reads; other outputs are not handed out.
    pub outputs: Vec<Port>,
    /// What goes from call to call.
    pub states: Vec<StatePort>,
}

/// A tensor that the host writes or reads.
#[derive(Debug)]
struct Slot {
    name: String,
    host: Tensor<f32>,
    /// Where the graph has it, if that is somewhere else.
    device: Option<Tensor<f32>>,
}

impl Slot {
    const fn graphs_own(&mut self) -> &mut Tensor<f32> {
        match &mut self.device {
            Some(device) => device,
            None => &mut self.host,
        }
    }
}

/// A graph that is open, bound and ready to run.
pub struct BoundGraph {
    /// One where nothing is carried; else two that are taken by turns, the one's state outputs being
    /// the other's state inputs.
    bindings: Vec<Binding>,
    turn: usize,
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
    states: Vec<[Tensor<f32>; 2]>,
    replayed: bool,
    pinned: bool,
    provider: Provider,
    file: PathBuf,
    // The last to go: memory and bindings are the session's.
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
        // Before its version 1.23 the runtime says of page-locked memory that the host may use it,
        // and since then by another call, which `ort` makes with the feature `pinned`.
        let pinned = on(AllocationDevice::CUDA_PINNED, MemoryType::CPUInput).ok();
        let pinned = pinned.filter(|memory| memory.memory_info().is_cpu_accessible());
        Ok(match pinned {
            Some(host) => Self { host, device, pinned: true },
            None => Self { host: Allocator::default(), device, pinned: false },
        })
    }

    /// A tensor of zeros.
    fn slot(&self, port: &Port) -> ort::Result<Slot> {
        let mut host = Tensor::<f32>::new(&self.host, port.dims.as_slice())?;
        host.try_extract_tensor_mut::<f32>()?.1.fill(0.0);
        let mut slot = Slot { name: port.name.clone(), host, device: None };
        if let Some(memory) = &self.device {
            let mut device = Tensor::<f32>::new(memory, port.dims.as_slice())?;
            slot.host.copy_into(&mut device)?;
            slot.device = Some(device);
        }
        Ok(slot)
    }
}

impl BoundGraph {
    /// Opens `file` of `package` and binds it. A GPU replays its calls where the runtime accepts
    /// that for this graph; what came of it tells [`Self::replayed`].
    ///
    /// # Errors
    /// Where the graph cannot be opened, or is run with these shapes in vain.
    pub fn open(
        package: &Package,
        file: &FileName,
        options: &SessionOptions,
        plan: &Plan,
    ) -> Result<Self, SessionError> {
        // TensorRT keeps one recording, and states take two.
        let one_only = matches!(options.device, Device::TensorRt { .. });
        if plan.states.is_empty() || !one_only {
            let recorded = open_for(package, file, options, Calls::Replayed).and_then(|graph| {
                let replayed = graph.provider.gpu().is_some();
                Self::bind(graph, plan, replayed)?.tried()
            });
            match recorded {
                // Not every graph can be recorded: what runs on the CPU in part cannot.
                Err(
                    error @ (SessionError::Open { .. }
                    | SessionError::Run { .. }
                    | SessionError::Device { .. }),
                ) => tracing::debug!("not recorded: {error}"),
                // By `auto` the CPU may have been taken for what a GPU can do without recording.
                Ok(graph) if graph.provider == Provider::Cpu && options.device == Device::Auto => {}
                other => return other,
            }
        }
        Self::bind(open_for(package, file, options, Calls::Free)?, plan, false)?.tried()
    }

    fn bind(graph: OpenGraph, plan: &Plan, replayed: bool) -> Result<Self, SessionError> {
        let OpenGraph { session, provider, file, .. } = graph;
        let failed =
            |e: ort::Error| SessionError::Run { file: file.clone(), problem: e.to_string() };
        let memory = Memory::of(&session, provider).map_err(failed)?;
        let slots = |ports: &[Port]| -> ort::Result<Vec<Slot>> {
            ports.iter().map(|port| memory.slot(port)).collect()
        };
        let mut inputs = slots(&plan.inputs).map_err(failed)?;
        let mut outputs = slots(&plan.outputs).map_err(failed)?;
        let state = |port: &StatePort| {
            let port = Port { name: port.input.clone(), dims: port.dims.clone() };
            let tensor = || memory.slot(&port).map(|slot| slot.device.unwrap_or(slot.host));
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

    /// The same after a call for each recording, and with fresh states.
    fn tried(mut self) -> Result<Self, SessionError> {
        for _ in 0..self.bindings.len() {
            self.run()?;
        }
        self.forget()?;
        Ok(self)
    }

    /// What it runs on.
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    /// Whether calls are replayed by the GPU.
    pub const fn replayed(&self) -> bool {
        self.replayed
    }

    /// Whether the host's side is page-locked memory.
    pub const fn pinned(&self) -> bool {
        self.pinned
    }

    /// The values of the plan's input `at`, to be written before a call; they stay for later ones.
    ///
    /// # Errors
    /// Where the plan has no such input.
    pub fn input(&mut self, at: usize) -> Result<&mut [f32], SessionError> {
        let file = &self.file;
        let slot = self.inputs.get_mut(at).ok_or_else(|| no_port(file, "input", at))?;
        let values = slot.host.try_extract_tensor_mut::<f32>();
        Ok(values.map_err(|e| run_failed(file, &e))?.1)
    }

    /// The values of the plan's output `at` after the last call.
    ///
    /// # Errors
    /// Where the plan has no such output.
    pub fn output(&self, at: usize) -> Result<&[f32], SessionError> {
        let slot = self.outputs.get(at).ok_or_else(|| no_port(&self.file, "output", at))?;
        Ok(slot.host.try_extract_tensor::<f32>().map_err(|e| run_failed(&self.file, &e))?.1)
    }

    /// One call: from the inputs and the states to the outputs and the next states.
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

    /// All states are those of new tracks again: zeros.
    ///
    /// # Errors
    /// Where the runtime fails.
    pub fn forget(&mut self) -> Result<(), SessionError> {
        let turn = self.turn;
        let clear = |tensor: &mut Tensor<f32>| {
            let zeros = vec![0.0; tensor.shape().num_elements()];
            let dims: Vec<i64> = tensor.shape().to_vec();
            Tensor::from_array((dims, zeros))?.copy_into(tensor)
        };
        let cleared = self.states.iter_mut().try_for_each(|pair| clear(&mut pair[turn]));
        cleared.map_err(|e| run_failed(&self.file, &e))
    }

    /// A copy of the plan's state `at` as the next call will take it.
    ///
    /// # Errors
    /// Where the plan has no such state, or the runtime fails.
    pub fn state(&self, at: usize) -> Result<Vec<f32>, SessionError> {
        let pair = self.states.get(at).ok_or_else(|| no_port(&self.file, "state", at))?;
        let tensor = pair.get(self.turn).unwrap_or(&pair[0]);
        let copy = || -> ort::Result<Vec<f32>> {
            let host = tensor.to(AllocationDevice::CPU, 0)?;
            Ok(host.try_extract_tensor::<f32>()?.1.to_vec())
        };
        copy().map_err(|e| run_failed(&self.file, &e))
    }
}

/// A call's own inputs and outputs, and how it is made.
type Binding = (IoBinding, RunOptions<NoSelectedOutputs>);

/// Binds everything for the calls of `turn`: states come from its side and go to the other.
fn binding(
    session: &Session,
    turn: usize,
    (inputs, outputs): (&mut [Slot], &mut [Slot]),
    (ports, states): (&[StatePort], &mut [[Tensor<f32>; 2]]),
    replayed: bool,
) -> ort::Result<Binding> {
    let mut binding = session.create_binding()?;
    for slot in inputs {
        let name = slot.name.clone();
        binding.bind_input(name, slot.graphs_own())?;
    }
    for slot in outputs {
        let name = slot.name.clone();
        binding.bind_output(name, slot.graphs_own())?;
    }
    for (port, pair) in ports.iter().zip(states) {
        binding.bind_input(port.input.as_str(), &pair[turn])?;
        binding.bind_output(port.output.as_str(), &mut pair[1 - turn])?;
    }
    let mut options = RunOptions::new()?;
    if replayed {
        // One recording for each turn, as their addresses differ.
        options.set("gpu_graph_id", (turn + 1).to_string())?;
    }
    Ok((binding, options))
}

fn run_failed(file: &std::path::Path, error: &ort::Error) -> SessionError {
    SessionError::Run { file: file.into(), problem: error.to_string() }
}

fn no_port(file: &std::path::Path, kind: &str, at: usize) -> SessionError {
    SessionError::Run { file: file.into(), problem: format!("no {kind} {at} was planned") }
}

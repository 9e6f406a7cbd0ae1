//! `locutor bench`: what the whole path costs, the minimum that it can cost, and how many faces a
//! device can follow.

use serde::Serialize;

use super::BenchArgs;
use super::terminal::{fail, print, print_json};
use crate::bench::report::Report;
use crate::bench::throughput::report::Throughput;
use crate::bench::throughput::{self, BATCHES, FRAMES_PER_CALL, on_gpu};
use crate::bench::{BenchOptions, bench as measure};
use crate::core::exit::Exit;
use crate::models::device::Device;
use crate::run::RunError;

/// What was measured.
#[derive(Serialize)]
struct BenchOutput {
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    whole: Option<Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    throughput: Option<Throughput>,
}

/// Runs `locutor bench`.
pub(super) fn bench(args: &BenchArgs) -> Exit {
    let device = match args.device.parse() {
        Ok(device) => device,
        Err(error) => return fail(Exit::Usage, format!("--device: {error}")),
    };
    match figures(args, device) {
        Ok(BenchOutput { whole: None, throughput: None }) => {
            let help = "give a recording, or --throughput to measure inference alone";
            fail(Exit::Usage, help)
        }
        Ok(figures) if args.json => print_json(&figures),
        Ok(BenchOutput { whole, throughput }) => {
            let whole = whole.map(|report| report.to_text());
            let throughput = throughput.map(|figures| figures.to_text());
            let texts: Vec<String> = whole.into_iter().chain(throughput).collect();
            print(&texts.join("\n"))
        }
        Err(error) => fail(error.exit(), error),
    }
}

fn figures(args: &BenchArgs, device: Device) -> Result<BenchOutput, RunError> {
    let requested = args.throughput || !args.batches.is_empty() || args.frames.is_some();
    let faces = requested || on_gpu(device, &args.package)?;
    let whole = args.clip.as_deref().map(|clip| {
        let options = BenchOptions {
            packages: args.package.clone(),
            detector: args.detector.clone(),
            device,
            repeats: args.repeat,
        };
        measure(clip, &options)
    });
    let whole = whole.transpose()?;
    let throughput = faces.then(|| {
        let batches = if args.batches.is_empty() { BATCHES.to_vec() } else { args.batches.clone() };
        throughput::throughput(&throughput::ThroughputOptions {
            packages: args.package.clone(),
            detector: args.detector.clone(),
            device,
            batches,
            frames_per_call: args.frames.unwrap_or(FRAMES_PER_CALL),
        })
    });
    Ok(BenchOutput { whole, throughput: throughput.transpose()? })
}

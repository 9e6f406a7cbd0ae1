//! `locutor bench`: what the whole path costs beside the least that it can cost.

use super::BenchArgs;
use super::terminal::{fail, print, print_json};
use crate::bench::{Wishes, bench as measure};
use crate::core::exit::Exit;

/// Runs `locutor bench`.
pub fn bench(args: &BenchArgs) -> Exit {
    let device = match args.device.parse() {
        Ok(device) => device,
        Err(error) => return fail(Exit::Usage, format!("--device: {error}")),
    };
    let wishes = Wishes {
        packages: args.package.clone(),
        detector: args.detector.clone(),
        device,
        repeats: args.repeat,
    };
    match measure(&args.clip, &wishes) {
        Ok(report) if args.json => print_json(&report),
        Ok(report) => print(&report.to_text()),
        Err(error) => fail(error.exit(), error),
    }
}

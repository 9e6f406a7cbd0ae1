//! `locutor check`: whether files can be run, and what would be run.

use crate::cli::CheckArgs;
use crate::cli::terminal::print;
use crate::config::any::{AnyPipeline, read_any_with};
use crate::config::camera::secret::Secrets;
use crate::core::exit::Exit;
use crate::live::check::{Estimate, check_together, environment, render};
use crate::models::registry::{Role, find};

/// Runs `locutor check`. Without `--environment` credentials are not looked up.
pub(super) fn check(args: &CheckArgs) -> Exit {
    let secrets = if args.environment { Secrets::System } else { Secrets::NotLookedUp };
    let (mut cameras, mut text, mut failed) = (Vec::new(), String::new(), false);
    for path in &args.files {
        match read_any_with(path, &secrets) {
            Ok(AnyPipeline::Camera(camera)) => cameras.push((path.clone(), *camera)),
            Ok(AnyPipeline::Recording(run)) => {
                text.push_str(&format!("{}: a recording, run once\n", run.input.display()));
            }
            Err(e) => {
                eprintln!("locutor: {e}");
                failed = true;
            }
        }
    }
    if let Err(e) = check_together(&cameras) {
        eprintln!("locutor: {e}");
        failed = true;
    }
    if failed {
        return Exit::Config;
    }
    for (_, camera) in &cameras {
        // --environment reports a missing package.
        let package = find(Role::Speaker, camera.package.as_deref()).ok();
        let manifest = package.as_ref().and_then(|package| package.speaker().ok());
        text.push_str(&render(camera, manifest.and_then(|m| Estimate::of(camera, m)).as_ref()));
    }
    let problems = if args.environment { environment(&cameras) } else { Vec::new() };
    let printed = print(&text);
    for problem in &problems {
        eprintln!("locutor: {}", problem.message);
    }
    problems.first().map_or(printed, |problem| problem.exit)
}

//! `locutor check`: whether files can be run, and what will be run.

use crate::cli::CheckArgs;
use crate::cli::terminal::print;
use crate::config::AnyPipeline;
use crate::config::any::read_any_with;
use crate::config::camera::secret::Secrets;
use crate::core::exit::Exit;
use crate::live::check::{Expectation, environment, render, together};
use crate::models::shelf::{Role, find};

/// Runs `locutor check`. Without `--environment` credentials are not looked up.
pub fn check(args: &CheckArgs) -> Exit {
    let secrets = if args.environment { Secrets::System } else { Secrets::NotLookedUp };
    let (mut cameras, mut text, mut wrong) = (Vec::new(), String::new(), false);
    for path in &args.files {
        match read_any_with(path, &secrets) {
            Ok(AnyPipeline::Camera(camera)) => cameras.push((path.clone(), *camera)),
            Ok(AnyPipeline::Recording(run)) => {
                text.push_str(&format!("{}: a recording, run once\n", run.input.display()));
            }
            Err(e) => {
                eprintln!("locutor: {e}");
                wrong = true;
            }
        }
    }
    if let Err(e) = together(&cameras) {
        eprintln!("locutor: {e}");
        wrong = true;
    }
    if wrong {
        return Exit::Config;
    }
    for (_, camera) in &cameras {
        // A package that is not here is told by --environment.
        let package = find(Role::Speaker, camera.package.as_deref()).ok();
        let manifest = package.as_ref().and_then(|package| package.speaker().ok());
        text.push_str(&render(camera, manifest.and_then(|m| Expectation::of(camera, m)).as_ref()));
    }
    let troubles = if args.environment { environment(&cameras) } else { Vec::new() };
    let printed = print(&text);
    for trouble in &troubles {
        eprintln!("locutor: {}", trouble.words);
    }
    troubles.first().map_or(printed, |trouble| trouble.exit)
}

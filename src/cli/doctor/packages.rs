//! Inspects the model packages: which are installed, whether they are intact, which are used.

use super::report::{Better, Models, PackageStatus, RoleStatus, again};
use crate::cli::models::graph_check::{GraphCheck, check_graphs};
use crate::cli::models::installed;
use crate::models::registry::{self, RegistryError, Role};
use crate::models::{Package, PackageLocation};

/// The report, and the detector to check the runtime with.
pub(super) struct Inspection {
    pub report: Models,
    #[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "only a runtime uses it"))]
    pub detector: Option<Package>,
}

/// The installed packages.
pub(super) fn inspect() -> Inspection {
    let packages: Vec<PackageStatus> = installed().iter().map(package).collect();
    let speaker = registry::find(Role::Speaker, None);
    let detector = registry::find(Role::Detector, None);
    let report = Models {
        looked_in: registry::directories().iter().map(|d| d.display().to_string()).collect(),
        speaker: role(&speaker, &packages),
        detector: role(&detector, &packages),
        packages,
    };
    Inspection { report, detector: detector.ok() }
}

fn package(location: &PackageLocation) -> PackageStatus {
    let mut found = PackageStatus {
        name: location.name(),
        dir: location.to_string(),
        kind: None,
        licence: None,
        checksums_verified: false,
        graphs_verified: None,
        problem: None,
    };
    // The manifest may be readable if files are damaged: then kind and licence are known.
    if let Ok(described) = Package::open_unverified(location) {
        found.kind = Some(described.manifest().model.kind());
        found.licence = Some(described.manifest().common.licence.clone());
    }
    match Package::open_at(location) {
        Err(error) => found.problem = Some(error.to_string()),
        Ok(whole) => {
            found.checksums_verified = true;
            match check_graphs(&whole) {
                GraphCheck::Verified { .. } => found.graphs_verified = Some(true),
                GraphCheck::NoRuntime(_) => {}
                GraphCheck::Mismatch(problem) => {
                    found.graphs_verified = Some(false);
                    found.problem = Some(problem);
                }
            }
        }
    }
    found
}

fn role(found: &Result<Package, RegistryError>, packages: &[PackageStatus]) -> RoleStatus {
    let listed = |name: &str| packages.iter().find(|p| p.name == name);
    match found {
        Ok(package) => {
            let uses = Some(package.location().name());
            match listed(&package.location().name()).and_then(|p| Some((p, p.problem.clone()?))) {
                Some((p, problem)) => {
                    let fix = Some(again(&p.name, &p.dir));
                    RoleStatus { uses, fix, problem: Some(problem), better: None }
                }
                None => RoleStatus { better: better_than(package), uses, ..RoleStatus::default() },
            }
        }
        Err(RegistryError::NoneInstalled { what, how, searched }) => {
            let searched: Vec<_> = searched.iter().map(|d| d.display().to_string()).collect();
            let problem = format!("no {what} is installed (looked in {})", searched.join(", "));
            let fix = Some((*how).to_owned());
            RoleStatus { problem: Some(problem), fix, ..RoleStatus::default() }
        }
        Err(error) => {
            let problem = error.to_string();
            let fix = match packages.iter().find(|p| p.problem.as_ref() == Some(&problem)) {
                Some(broken) => again(&broken.name, &broken.dir),
                None => "locutor models verify".to_owned(),
            };
            RoleStatus { problem: Some(problem), fix: Some(fix), ..RoleStatus::default() }
        }
    }
}

/// The built-in detector needs no import, but YuNet finds more faces.
fn better_than(package: &Package) -> Option<Better> {
    let built_in = package.detector().is_ok() && package.location().dir().is_none();
    built_in.then_some(Better {
        why: "YuNet finds more faces, mainly small and turned ones",
        command: "fetch onnx/yunet_n_dynamic.onnx from the repository \
                  ShiqiYu/libfacedetection.train (Apache-2.0), then run: locutor models import \
                  yunet yunet_n_dynamic.onnx",
    })
}

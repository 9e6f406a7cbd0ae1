//! Built-in packages, so that the program runs with nothing imported.
//!
//! Their files are in the repository's `models/` and are compiled into the binary. A package
//! directory of the same name takes precedence.

/// A built-in package.
#[derive(Debug)]
pub struct BuiltIn {
    /// Its name, for `--package` and `--detector`.
    pub name: &'static str,
    /// The text of its `model.toml`.
    pub manifest: &'static str,
    /// Its files by name.
    pub files: &'static [(&'static str, &'static [u8])],
}

impl BuiltIn {
    /// The bytes of a file.
    pub fn file(&self, name: &str) -> Option<&'static [u8]> {
        self.files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
    }
}

/// The text of a package's manifest, and its files.
macro_rules! built_in {
    ($name:literal, $($file:literal),+) => {
        BuiltIn {
            name: $name,
            manifest: include_str!(
                concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $name, "/model.toml")
            ),
            files: &[$((
                $file,
                include_bytes!(
                    concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $name, "/", $file)
                ),
            )),+],
        }
    };
}

/// All of them.
pub(crate) static BUILT_IN: &[BuiltIn] = &[
    built_in!("locutor", "face.onnx", "audio.onnx", "head.onnx", "cross_face.onnx"),
    built_in!("locutor-faces", "faces.onnx"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::package::{Package, PackageLocation};

    #[test]
    fn every_built_in_package_is_whole() {
        for built_in in BUILT_IN {
            let location = PackageLocation::BuiltIn(built_in);
            let package = Package::open_at(&location).expect(built_in.name);
            assert_eq!(package.manifest().common.name, built_in.name);
        }
    }
}

//! The importer: what it refuses, in which words, and that it leaves nothing behind.

#[path = "support/needs.rs"]
mod needs;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use locutor::models::import::{ImportKind, import};
use locutor::models::tiny;
use proptest::prelude::*;

fn upstream(file: &str) -> Option<PathBuf> {
    needs::shared(&format!("models/{file}"))
}

/// A stored zip archive of these records.
fn archive(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut zip = zip::ZipWriter::new(&mut bytes);
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, data) in records {
        zip.start_file(*name, stored).expect("a record");
        zip.write_all(data).expect("its bytes");
    }
    zip.finish().expect("an archive");
    bytes.into_inner()
}

/// Imports `bytes` as `kind` and gives the error without the path in front; nothing may be left.
fn refusal(kind: ImportKind, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("weights.model");
    std::fs::write(&file, bytes).expect("written");
    let out = folder.path().join("out");
    std::fs::create_dir(&out).expect("a folder");
    let error =
        import(kind, std::slice::from_ref(&file), &out.join("package")).expect_err("refused");
    let left = std::fs::read_dir(&out).expect("a folder").count();
    assert_eq!(left, 0, "something was left behind");
    let error = error.to_string();
    let start = format!("{} ", file.display());
    error.strip_prefix(&start).unwrap_or_else(|| panic!("no file in {error:?}")).to_owned()
}

/// A pickled dictionary with one entry `w` that the given instructions put on the stack.
fn dictionary(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02}X\x01\0\0\0w".as_slice(), value, b"s."].concat()
}

/// A tensor of a float storage of 4 numbers, record `0`, by offset, size and stride.
fn tensor(offset: u8, size: u8, stride: u8) -> Vec<u8> {
    let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ";
    let call = b"ctorch._utils\n_rebuild_tensor_v2\n(";
    let view = [b'K', offset, b'K', size, 0x85, b'K', stride, 0x85];
    [call.as_slice(), storage, &view, b"\x89N", b"tR"].concat()
}

fn check_refusals(table: Vec<(&str, Vec<u8>, &str)>) {
    for (what, bytes, reason) in table {
        let wanted = format!("is not a checkpoint that can be read: {reason}");
        assert_eq!(refusal(ImportKind::LightAsd, &bytes), wanted, "{what}");
    }
}

#[test]
fn what_is_no_checkpoint_is_refused_with_its_reason() {
    check_refusals(vec![
        ("nothing", vec![], "the file is empty"),
        (
            "a text",
            b"version https://git-lfs".to_vec(),
            "it is not a zip archive as torch.save writes",
        ),
        (
            "an old checkpoint",
            b"\x80\x02\x8a\x0al\xfc".to_vec(),
            "it is in PyTorch's format before 1.6; save it again with a newer torch.save",
        ),
        ("another archive", archive(&[("x.txt", b"x")]), "the archive has no data.pkl"),
        (
            "two archives in one",
            archive(&[("x/data.pkl", b"N."), ("y/data.pkl", b"N.")]),
            "the archive has more than one data.pkl",
        ),
    ]);
}

#[test]
fn a_pickle_of_anything_but_tensors_is_refused_with_its_reason() {
    let pickle = |bytes: &[u8]| archive(&[("x/data.pkl", bytes)]);
    check_refusals(vec![
        ("an empty pickle", pickle(b""), "its pickle ends in the middle"),
        ("a cut pickle", pickle(b"\x80\x02}X\xff\0\0\0w"), "its pickle ends in the middle"),
        ("a new protocol", pickle(b"\x80\x05N."), "its pickle is of protocol 5, not 2 to 4"),
        ("an empty stack", pickle(b"\x80\x02."), "its pickle is malformed"),
        ("no mark", pickle(b"\x80\x02t."), "its pickle is malformed"),
        ("no dictionary", pickle(b"\x80\x02N."), "it is not a dictionary of tensors by name"),
        ("no tensors", pickle(b"\x80\x02}."), "it is not a dictionary of tensors by name"),
        ("a number", pickle(&dictionary(b"K\x01")), "it is not a dictionary of tensors by name"),
        (
            "a program",
            pickle(b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R."),
            "its pickle names `posix.system`, which is not needed for weights and is never \
                 run; save the network's state_dict() instead",
        ),
        (
            "a whole module",
            pickle(b"\x80\x02cmodel.Model\nASD_Model\n)\x81."),
            "its pickle names `model.Model.ASD_Model`, which is not needed for weights and is \
                 never run; save the network's state_dict() instead",
        ),
        (
            "an unknown instruction",
            pickle(b"\x80\x02\x81."),
            "its pickle has an instruction that no state dictionary needs (0x81 at byte 2)",
        ),
        (
            "a tensor beyond its storage",
            pickle(&dictionary(&tensor(1, 4, 1))),
            "its pickle describes a tensor that reaches beyond its storage",
        ),
        (
            "a tensor larger than its storage",
            pickle(&dictionary(&tensor(0, 255, 0))),
            "its pickle describes a tensor that reaches beyond its storage",
        ),
    ]);
}

#[test]
fn a_checkpoint_of_another_network_is_refused() {
    let bytes = archive(&[("x/data.pkl", &dictionary(&tensor(0, 4, 1))), ("x/data/0", &[0; 16])]);
    assert_eq!(
        refusal(ImportKind::LightAsd, &bytes),
        "is not a Light-ASD checkpoint: it has no tensor \
         `model.visualEncoder.block1.s_3.weight`; is it the checkpoint of another network?"
    );
    assert_eq!(
        refusal(ImportKind::LrAsd, &bytes),
        "is not an LR-ASD checkpoint: it has no tensor \
         `model.visualEncoder.block1.s_1.weight`; is it the checkpoint of another network?"
    );
}

#[test]
fn what_is_no_yunet_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let package = tiny::write(folder.path(), 1).expect("packages").speaker;
    let head = std::fs::read(package.path(&package.speaker().expect("a speaker").head.file));
    let audio = std::fs::read(package.path(&package.speaker().expect("a speaker").audio.file));
    let table: [(&[u8], &str); 4] = [
        (b"", "is not a YuNet face detector: it is not an ONNX file (it has no graph)"),
        (b"PK\x03\x04", "is not a YuNet face detector: it is not an ONNX file"),
        (&head.expect("a graph"), "is not a YuNet face detector: it has 3 inputs, not one"),
        (
            &audio.expect("a graph"),
            "is not a YuNet face detector: its input `rows` is not a frame [B,3,H,W]",
        ),
    ];
    for (bytes, wanted) in table {
        assert_eq!(refusal(ImportKind::YuNet, bytes), wanted);
    }
}

#[test]
fn the_number_of_files_is_one() {
    let error = import(ImportKind::YuNet, &[], Path::new("out")).expect_err("no file").to_string();
    assert_eq!(
        error,
        "importing yunet takes one file (onnx/yunet_n_dynamic.onnx of \
         github.com/ShiqiYu/libfacedetection.train), but 0 were given"
    );
    assert_eq!(
        "light_asd".parse::<ImportKind>().expect_err("no kind").to_string(),
        "`light_asd` cannot be imported; use light-asd, lr-asd or yunet"
    );
    for kind in ImportKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
}

#[test]
fn a_package_replaces_a_package_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("p");
    tiny::write_detector(&dir).expect("written");
    std::fs::write(dir.join("stray.txt"), b"x").expect("written");
    tiny::write_detector(&dir).expect("a package is replaced");
    assert!(!dir.join("stray.txt").exists(), "the old package is gone as a whole");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "only the package");

    let other = folder.path().join("photos");
    std::fs::create_dir(&other).expect("a folder");
    std::fs::write(other.join("a.jpg"), b"x").expect("written");
    let error = tiny::write_detector(&other).expect_err("not replaced").to_string();
    assert_eq!(
        error,
        format!(
            "{} exists and is not a model package, so it is not replaced; \
             choose another directory or remove it",
            other.display()
        )
    );
    assert_eq!(std::fs::read(other.join("a.jpg")).expect("still there"), b"x");
}

#[test]
fn a_damaged_upstream_checkpoint_is_refused() {
    let Some(file) = upstream("asd/lightasd_pretrain_AVA_CVPR.model") else {
        return;
    };
    let whole = std::fs::read(file).expect("the checkpoint");
    let cut = refusal(ImportKind::LightAsd, &whole[..whole.len() / 2]);
    let wanted = "is not a checkpoint that can be read: \
                  its zip directory is missing or damaged, is it truncated? (";
    assert!(cut.starts_with(wanted), "{cut}");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let flipped = refusal(ImportKind::LightAsd, &flipped);
    assert!(flipped.contains("checksum"), "{flipped}");
    let other = refusal(ImportKind::LrAsd, &whole);
    assert!(other.starts_with("is not an LR-ASD checkpoint: it has no tensor "), "{other}");
}

#[test]
fn upstream_files_become_packages() {
    let files = [
        (ImportKind::LightAsd, "asd/lightasd_pretrain_AVA_CVPR.model"),
        (ImportKind::LrAsd, "asd/lrasd_pretrain_AVA.model"),
        (ImportKind::YuNet, "face/yunet_n_dynamic.onnx"),
        (ImportKind::YuNet, "face/yunet_n_320_320.onnx"),
        (ImportKind::YuNet, "face/yunet_n_640_640.onnx"),
    ];
    for (kind, name) in files {
        let Some(file) = upstream(name) else { return };
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("a/b").join(kind.name());
        let package = import(kind, &[file], &dir).expect("imported");
        assert_eq!(package.manifest().common.name, kind.name());
        let again = std::fs::read(dir.join("model.toml")).expect("the manifest");
        let first = folder.path().join("again");
        import(kind, &[upstream(name).expect("still there")], &first).expect("imported again");
        assert_eq!(std::fs::read(first.join("model.toml")).expect("the manifest"), again, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever stands in the pickle: an error or a package, but no panic and no endless run.
    #[test]
    fn no_pickle_brings_the_importer_down(
        start in prop::sample::select(vec![
            b"\x80\x02".to_vec(),
            dictionary(&tensor(0, 4, 1)),
        ]),
        change in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        tail in prop::collection::vec(prop::sample::select(
            b"\x80.(t)}]ehjqrsuaRQbNKMJXG\x85\x86\x87\x88\x8a\x8c\x93\x94\x95\0\x01".to_vec()
        ), 0..40),
    ) {
        let mut pickle = start;
        for (at, byte) in change {
            let at = at.index(pickle.len());
            pickle[at] = byte;
        }
        pickle.extend(tail);
        let bytes = archive(&[("x/data.pkl", &pickle), ("x/data/0", &[0; 16])]);
        let refused = refusal(ImportKind::LightAsd, &bytes);
        prop_assert!(refused.starts_with("is not a"), "{refused}");
    }
}

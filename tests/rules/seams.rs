//! The thinking part names neither GStreamer nor ONNX Runtime: only the files that are built with
//! the feature do, and one can tell them by their names.

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use crate::tree::{none_of, sources, text};

/// Whether the tokens name a thing that `is` looks for. Comments and strings are no names.
fn names(tokens: TokenStream, is: &dyn Fn(&str) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(name) => is(&name.to_string()),
        TokenTree::Group(group) => names(group.stream(), is),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("what compiles is made of tokens")
}

/// Whether `file` is called `<seam>.rs` or lies in a folder of that name.
fn lies_at(file: &Path, seam: &str) -> bool {
    let folders = file.parent().into_iter().flat_map(Path::components);
    file.file_stem().is_some_and(|stem| stem == seam)
        || folders.into_iter().any(|folder| folder.as_os_str() == seam)
}

fn check(seam: &str, library: &str, is: &dyn Fn(&str) -> bool) {
    let mut named = 0;
    let mut wrong = Vec::new();
    for file in sources(&["src", "tests"], &["rs"]) {
        if names(tokens(&text(&file).expect("a source is text")), is) {
            named += 1;
            if !lies_at(&file, seam) {
                wrong.push(file.display().to_string());
            }
        }
    }
    assert!(named > 0, "nothing names {library}: is this rule looking for the right word?");
    let rule = format!("a file that names {library} is called {seam}.rs or lies in {seam}/");
    none_of(&rule, &wrong);
}

#[test]
fn only_gst_files_name_gstreamer() {
    check("gst", "gstreamer", &|name| name.starts_with("gstreamer"));
}

#[test]
fn only_onnx_files_name_onnx_runtime() {
    check("onnx", "ort", &|name| name == "ort");
}

#[test]
fn names_are_found_in_code_and_not_in_words() {
    let is = |name: &str| name == "ort";
    assert!(names(tokens("fn f() { let _ = [ort::init()]; }"), &is));
    assert!(!names(tokens("//! ort\n/* ort */ fn f() { \"ort\"; sort(); }"), &is));
    assert!(lies_at(Path::new("src/stages/sink/gst.rs"), "gst"));
    assert!(lies_at(Path::new("src/gst/bus.rs"), "gst"));
    assert!(!lies_at(Path::new("src/gst_like/bus.rs"), "gst"));
}

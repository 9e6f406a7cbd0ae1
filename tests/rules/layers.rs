//! Which module may import which: layers, the order of the stages, and no import circles.
//!
//! Imports are read from the files' tokens: every path that begins with `crate`, `super` or `self`,
//! in `use` and elsewhere. Items under `#[cfg(test)]` and files of tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::tree::{none_of, sources, text};

/// Layers from the lowest; a module imports its own layer and lower ones only.
const LAYERS: [&[&str]; 9] = [
    &["core"],
    &["telemetry"],
    &["models", "onnx", "gst", "eval"],
    &["stages"],
    &["pipeline"],
    &["config"],
    &["run", "live", "bench", "faithfulness"],
    &["cli"],
    &["lib", "main"],
];

/// The way of a frame; a stage imports itself and earlier ones only.
const STAGES: [&str; 9] =
    ["source", "sync", "detect", "track", "features", "score", "explain", "overlay", "sink"];

type Module = Vec<String>;

/// The module that a file holds: `src/gst/mod.rs` and `src/gst.rs` both hold `gst`.
fn module_of(file: &Path) -> Module {
    let path = file.strip_prefix("src").expect("a source lies in src").with_extension("");
    let mut module: Module =
        path.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// Files of tests, and what only tests use.
fn is_test_file(file: &Path) -> bool {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    stem == "tests"
        || stem.ends_with("_tests")
        || stem == "testing"
        || file.components().any(|c| ["tests", "testing"].iter().any(|t| c.as_os_str() == *t))
}

/// `tokens` without the items under `#[cfg(test)]`.
fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_hash = matches!(&token, TokenTree::Punct(p) if p.as_char() == '#');
        let is_test = is_hash
            && matches!(tokens.peek(), Some(TokenTree::Group(g))
                if g.stream().to_string().replace(' ', "") == "cfg(test)");
        if !is_test {
            kept.push(token);
            continue;
        }
        tokens.next();
        // The item ends with its braces, or with a semicolon.
        for token in tokens.by_ref() {
            match token {
                TokenTree::Punct(p) if p.as_char() == ';' => break,
                TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => break,
                _ => {}
            }
        }
    }
    kept
}

/// All paths in `tokens` that begin with `crate`, `super` or `self`, use trees written out.
fn paths(tokens: Vec<TokenTree>, found: &mut Vec<Vec<String>>) {
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(word) if ["crate", "super", "self"].iter().any(|w| word == w) => {
                at = path(&tokens, at, Vec::new(), found);
            }
            TokenTree::Group(group) => {
                paths(without_tests(group.stream()), found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// The path that goes on at `at` after `prefix`; gives where it ends.
fn path(
    tokens: &[TokenTree],
    mut at: usize,
    mut prefix: Vec<String>,
    found: &mut Vec<Vec<String>>,
) -> usize {
    let is_colon =
        |i: usize| matches!(tokens.get(i), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(word)) => prefix.push(word.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let comma = |t: &TokenTree| matches!(t, TokenTree::Punct(p) if p.as_char() == ',');
                for part in inner.split(comma).filter(|part| !part.is_empty()) {
                    path(part, 0, prefix.clone(), found);
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
        if !(is_colon(at) && is_colon(at + 1)) {
            break;
        }
        at += 2;
    }
    found.push(prefix);
    at
}

/// Files and what each imports of the others.
struct Imports {
    edges: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
}

impl Imports {
    fn read() -> Self {
        let files = sources(&["src"], &["rs"]);
        let files: Vec<PathBuf> =
            files.into_iter().filter(|f| !f.starts_with("src/bin") && !is_test_file(f)).collect();
        let modules: BTreeMap<Module, PathBuf> =
            files.iter().map(|file| (module_of(file), file.clone())).collect();
        let mut edges = BTreeMap::new();
        for file in &files {
            let tokens = text(file).expect("a source is text");
            let mut found = Vec::new();
            paths(
                without_tests(tokens.parse().expect("what compiles is made of tokens")),
                &mut found,
            );
            let own = module_of(file);
            let imported = found.iter().filter_map(|path| resolve(&modules, &own, path));
            let imported: BTreeSet<PathBuf> = imported.filter(|to| to != file).collect();
            edges.insert(file.clone(), imported);
        }
        Self { edges }
    }

    /// Groups of more than one file that import each other, directly or not.
    fn circles(&self) -> Vec<Vec<PathBuf>> {
        let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> =
            self.edges.keys().map(|file| (file, self.reachable(file))).collect();
        let mut circles = BTreeSet::new();
        for (file, reachable) in &reached {
            let circle: Vec<PathBuf> = reachable
                .iter()
                .filter(|other| reached[**other].contains(file))
                .map(|other| (*other).clone())
                .collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    fn reachable(&self, from: &PathBuf) -> BTreeSet<&PathBuf> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&PathBuf> = self.edges[from].iter().collect();
        while let Some(file) = open.pop() {
            if seen.insert(file) {
                open.extend(&self.edges[file]);
            }
        }
        seen
    }
}

/// The file that holds what `path`, written in `own`, names.
fn resolve(modules: &BTreeMap<Module, PathBuf>, own: &Module, path: &[String]) -> Option<PathBuf> {
    let mut base = own.clone();
    let mut rest = path;
    if rest.first().is_some_and(|word| word == "crate") {
        (base, rest) = (Vec::new(), &rest[1..]);
    } else {
        while let Some(word) = rest.first().filter(|word| *word == "super" || *word == "self") {
            if word == "super" {
                base.pop();
            }
            rest = &rest[1..];
        }
    }
    let full: Module = base.into_iter().chain(rest.iter().cloned()).collect();
    (1..=full.len()).rev().find_map(|n| modules.get(&full[..n]).cloned())
}

fn layer(module: &Module) -> usize {
    let top = module.first().map_or("lib", String::as_str);
    let layer = LAYERS.iter().position(|layer| layer.contains(&top));
    layer.unwrap_or_else(|| panic!("the module `{top}` has no layer: give it one in layers.rs"))
}

#[test]
fn no_module_imports_a_higher_layer() {
    let mut upward = Vec::new();
    for (file, imported) in &Imports::read().edges {
        for other in imported {
            if layer(&module_of(other)) > layer(&module_of(file)) {
                upward.push(format!("{} imports {}", file.display(), other.display()));
            }
        }
    }
    none_of("a module imports its own layer and lower ones (ARCHITECTURE.md)", &upward);
}

#[test]
fn no_stage_imports_a_later_one() {
    let stage = |file: &Path| {
        let module = module_of(file);
        let is_stage = module.first().is_some_and(|top| top == "stages");
        let name = module.get(1).filter(|_| is_stage)?.clone();
        STAGES.iter().position(|stage| *stage == name)
    };
    let mut later = Vec::new();
    for (file, imported) in &Imports::read().edges {
        for other in imported {
            if let (Some(own), Some(theirs)) = (stage(file), stage(other))
                && theirs > own
            {
                later.push(format!("{} imports {}", file.display(), other.display()));
            }
        }
    }
    none_of("a stage imports itself and earlier ones", &later);
}

#[test]
fn no_import_circle_is_larger_than_a_module_and_its_parent() {
    let mut circles = Vec::new();
    for circle in Imports::read().circles() {
        let mut modules: Vec<Module> = circle.iter().map(|file| module_of(file)).collect();
        modules.sort_by_key(Vec::len);
        let is_parent = |a: &Module, b: &Module| b.len() == a.len() + 1 && b.starts_with(a);
        if !(modules.len() == 2 && is_parent(&modules[0], &modules[1])) {
            let files: Vec<String> = circle.iter().map(|f| f.display().to_string()).collect();
            circles.push(files.join(", "));
        }
    }
    none_of("files do not import each other in a circle", &circles);
}

#[test]
fn imports_are_read_from_tokens() {
    let code = "use crate::a::{b, c::{D, self}}; fn f() { super::x::g(); }\n\
                #[cfg(test)] mod tests { use crate::z::Z; }\n#[cfg(test)] use crate::y;";
    let mut found = Vec::new();
    paths(without_tests(code.parse().expect("tokens")), &mut found);
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["crate::a::b", "crate::a::c::D", "crate::a::c::self", "super::x::g"]);

    let file = |name: &str| (module_of(Path::new(name)), PathBuf::from(name));
    let modules: BTreeMap<Module, PathBuf> =
        ["src/a/mod.rs", "src/a/c.rs", "src/x.rs"].map(file).into();
    let own = module_of(Path::new("src/a/c.rs"));
    let to = |path: &str| {
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        resolve(&modules, &own, &path)
    };
    assert_eq!(to("crate::a::c::D"), Some("src/a/c.rs".into()));
    assert_eq!(to("super::Thing"), Some("src/a/mod.rs".into()));
    assert_eq!(to("crate::x::g"), Some("src/x.rs".into()));
}

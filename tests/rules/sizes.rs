//! A file is read in one sitting, a function on one screen.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::tree::{none_of, sources, text};

/// Lines of a file, at most; a Rust file's own tests at its end do not count.
const FILE_LINES: usize = 600;
/// Lines of a function from `fn` to its last brace, at most.
const FUNCTION_LINES: usize = 60;

/// A function's name, first line and length.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Every function that has a body, also inside macros, as these keep the words `fn name … {…}`.
fn rust_functions(tokens: TokenStream, found: &mut Vec<Function>) {
    let mut opened: Option<(String, usize)> = None;
    let mut before_is_fn: Option<usize> = None;
    for token in tokens {
        let fn_line = before_is_fn.take();
        match token {
            TokenTree::Ident(word) if word == "fn" => before_is_fn = Some(word.span().start().line),
            // A pointer's type (`fn(T)`) has no name behind the word.
            TokenTree::Ident(name) => {
                if let Some(line) = fn_line {
                    opened = Some((name.to_string(), line));
                }
            }
            TokenTree::Punct(mark) if mark.as_char() == ';' => opened = None,
            TokenTree::Group(group) => {
                if group.delimiter() == Delimiter::Brace
                    && let Some((name, line)) = opened.take()
                {
                    let lines = group.span_close().end().line - line + 1;
                    found.push(Function { name, line, lines });
                }
                rust_functions(group.stream(), found);
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Every `def`, to the last line that is indented deeper than itself.
fn python_functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let words = line.trim_start();
        let head = words.strip_prefix("async ").unwrap_or(words);
        let Some(name) = head.strip_prefix("def ") else { continue };
        // A long list of arguments ends with a parenthesis at the depth of the `def`.
        let belongs = |next: &str| {
            next.trim().is_empty() || depth(next) > depth(line) || next.trim().starts_with(')')
        };
        let body = lines[first + 1..].iter().take_while(|next| belongs(next));
        let body: Vec<_> = body.collect();
        let used = body.iter().rposition(|l| !l.trim().is_empty()).map_or(0, |last| last + 1);
        let name = name.split('(').next().unwrap_or_default().to_owned();
        found.push(Function { name, line: first + 1, lines: used + 1 });
    }
    found
}

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for file in sources(&["src", "tests", "tools", "training", "benches"], &["rs", "py", "sh"]) {
        let text = text(&file).expect("a source is text");
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().count();
        if lines > FILE_LINES {
            long.push(format!("{}: {lines} lines", file.display()));
        }
    }
    none_of(&format!("a file has at most {FILE_LINES} lines"), &long);
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for file in sources(&["src", "tests", "tools", "training", "benches"], &["rs", "py"]) {
        let text = text(&file).expect("a source is text");
        let mut functions = Vec::new();
        if file.extension().is_some_and(|e| e == "rs") {
            rust_functions(text.parse().expect("what compiles is made of tokens"), &mut functions);
        } else {
            functions = python_functions(&text);
        }
        for Function { name, line, lines } in functions {
            if lines > FUNCTION_LINES {
                long.push(format!("{}:{line}: {name} has {lines} lines", file.display()));
            }
        }
    }
    none_of(&format!("a function has at most {FUNCTION_LINES} lines"), &long);
}

#[test]
fn every_source_file_says_what_it_is() {
    let mut silent = Vec::new();
    for file in sources(&["src", "tests"], &["rs"]) {
        if !text(&file).expect("a source is text").starts_with("//!") {
            silent.push(file.display().to_string());
        }
    }
    none_of("a source file begins with its documentation (//!)", &silent);
}

#[test]
fn functions_are_measured_from_their_name_to_their_last_brace() {
    let code = "type F = fn(u8) -> u8;\ntrait T { fn none(&self); }\nm! {\n#[test]\nfn a(x in 0..3)\n\
                { fn b() {\n}\n}\n}";
    let mut found = Vec::new();
    rust_functions(code.parse().expect("tokens"), &mut found);
    let function = |name: &str, line, lines| Function { name: name.into(), line, lines };
    assert_eq!(found, [function("a", 5, 4), function("b", 6, 2)]);

    let code = "def a(\n    x,\n):\n    return x\n\n\nclass C:\n    def b(self):\n        pass\n";
    assert_eq!(python_functions(code), [function("a", 1, 4), function("b", 8, 2)]);
}

//! The table in docs/reliability.md, from what the rows wrote down.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::kit::{results, root};

const BEGIN: &str = "<!-- Between these marks `make chaos` writes. -->";
const END: &str = "<!-- The end of what `make chaos` writes. -->";

/// Median and worst.
fn figures(of: &Value) -> String {
    let mut all: Vec<f64> = of.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    all.sort_by(f64::total_cmp);
    match all.last() {
        Some(worst) => format!("{:.1} / {worst:.1} s", all[all.len() / 2]),
        None => String::new(),
    }
}

fn table(lines: &str) -> String {
    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    for row in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let name = row["row"].as_str().unwrap_or_default().to_owned();
        // The newest, but a short run does not replace a full one.
        let worse = rows.get(&name).is_some_and(|old| old["full"] == true && row["full"] == false);
        if !worse {
            rows.insert(name, row);
        }
    }
    let newest = rows.values().max_by_key(|row| row["when"].as_str().unwrap_or_default());
    let newest = newest.map(|r| (r["when"].to_string(), r["machine"].to_string()));
    let (when, machine) = newest.unwrap_or_default();
    let day = when.trim_matches('"').split('T').next().unwrap_or_default().to_owned();
    let mut text = format!(
        "{day}, {}. Times are median / worst.\n\n\
         | row | what is done | times | frames back after | lost | found | held |\n\
         |---|---|---|---|---|---|---|\n",
        machine.trim_matches('"')
    );
    for (name, row) in &rows {
        let notes = row["notes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let notes = notes.collect::<Vec<_>>().join("; ").replace('|', "/");
        let held = if row["held"] == true { "yes" } else { "**no**" };
        let what = row["what"].as_str().unwrap_or_default();
        let (back, lost) = (figures(&row["recovered_s"]), figures(&row["lost_s"]));
        let line =
            format!("| `{name}` | {what} | {} | {back} | {lost} | {notes} | {held} |", row["runs"]);
        writeln!(text, "{line}").expect("text");
    }
    text
}

#[test]
#[ignore = "writes docs/reliability.md; make chaos does that at its end"]
fn writes_the_table() {
    let file = root().join("docs/reliability.md");
    let text = std::fs::read_to_string(&file).expect("docs/reliability.md");
    let lines = std::fs::read_to_string(results().join("results.jsonl")).expect("results");
    let (before, rest) = text.split_once(BEGIN).expect("the first mark");
    let (_, after) = rest.split_once(END).expect("the second mark");
    let new = format!("{before}{BEGIN}\n{}\n{END}{after}", table(&lines));
    std::fs::write(file, new).expect("written");
}

#[test]
fn a_short_run_does_not_replace_a_full_one() {
    let line = |full: bool, seconds: f64| {
        serde_json::json!({
            "row": "r", "what": "w", "held": true, "full": full, "runs": 3,
            "recovered_s": [1.0, seconds, 2.0], "lost_s": [], "notes": ["a|b"],
            "when": "2026-01-02T03:04:05Z", "machine": "m"
        })
        .to_string()
    };
    let both = table(&format!("{}\n{}\n", line(true, 9.0), line(false, 5.0)));
    assert!(both.contains("| `r` | w | 3 | 2.0 / 9.0 s |  | a/b | yes |"), "{both}");
    let newer = table(&format!("{}\n{}\n", line(true, 9.0), line(true, 5.0)));
    assert!(newer.contains("2.0 / 5.0 s"), "{newer}");
}

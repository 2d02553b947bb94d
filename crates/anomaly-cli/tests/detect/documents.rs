//! What README and docs/rules.md show of the example is what it prints.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Bench, Said};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The first block of a document that begins behind `words` and the line they stand in.
fn block(document: &str, words: &str) -> String {
    let text = fs::read_to_string(root().join(document)).expect("a document");
    let behind = text.split_once(words).expect("the words").1;
    let (_, behind) = behind.split_once("\n\n```\n").expect("a block");
    behind.split_once("\n```").expect("its end").0.to_owned()
}

fn detect(args: &str) -> Said {
    let bench = Bench::new();
    let example = fs::read(root().join("examples/webserver.csv")).expect("the example");
    bench.put("examples/webserver.csv", example);
    bench.detect(&format!("examples/webserver.csv {args}"))
}

#[test]
fn the_readme_shows_what_the_example_prints() {
    let said = detect("");
    let (input, closing) = said.stderr.split_once('\n').expect("two lines");
    // How long it took is another number each time.
    let (closing, _) = closing.rsplit_once(", ").expect("a time");
    let mut printed = [input].into_iter().chain(said.stdout.lines()).chain([closing]);
    let shown = block("README.md", "cargo run --release -- detect examples/webserver.csv");
    for line in shown.lines().filter(|line| !line.is_empty() && *line != "…") {
        let line =
            line.strip_suffix(" ms").and_then(|line| line.rsplit_once(", ")).map_or(line, |(line, _)| line);
        assert!(printed.any(|printed| printed == line), "{line:?} is not printed there:\n{}", said.stdout);
    }
}

#[test]
fn the_rules_show_what_explains_a_reading() {
    let which = "--explain webserver@2026-11-21T03:49:14Z";
    assert_eq!(detect(which).stdout.trim_end(), block("docs/rules.md", which));
}

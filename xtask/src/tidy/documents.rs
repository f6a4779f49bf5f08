//! Documents that must keep step with the code: error pages, metrics, changelog fragments,
//! decisions.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::changelog;
use crate::finding::Finding;
use crate::rust_text::{RustText, is_word_byte, line_of};
use crate::tree::{SourceFile, Tree, is_test_path};

const ERRORS: &str = "docs/errors/";
const DECISIONS: &str = "docs/adr/";
const METRICS: &str = "docs/operations.md";

/// Checks that every error code has a page with the agreed sections and an index entry, and every
/// page a code.
pub fn error_pages(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let named = codes_in_code(tree);
    let index_path = format!("{ERRORS}README.md");
    let index = tree
        .file(&index_path)
        .map(|file| file.text.as_str())
        .unwrap_or_default();
    for (code, (path, line)) in &named {
        let page = format!("{ERRORS}{code}.md");
        if tree.file(&page).is_none() {
            let mend = format!("Write {page}: `# {code}`, `## What happened`, `## What to do`.");
            let message = format!("error code {code} has no page");
            findings.push(Finding::new("error-pages", path, *line, message, mend));
        }
    }
    for file in tree
        .files
        .iter()
        .filter(|file| file.path.starts_with(ERRORS))
    {
        let code = file.path.trim_start_matches(ERRORS).trim_end_matches(".md");
        if code == "README" {
            continue;
        }
        let mut found = |message: String, mend: String| {
            findings.push(Finding::new("error-pages", &file.path, 1, message, mend));
        };
        if !named.contains_key(code) {
            found(
                format!("no code names {code}"),
                "Delete the page and its index entry.".to_owned(),
            );
        }
        if !index.contains(&format!("({code}.md)")) {
            found(
                format!("{code} is not in the index"),
                format!("Add it to {index_path}."),
            );
        }
        let start = format!("# {code}");
        if !file.text.starts_with(&start)
            || !file.text.contains("\n## What happened\n")
            || !file.text.contains("\n## What to do\n")
        {
            let mend = format!("Use `{start}`, `## What happened` and `## What to do`.");
            found("the page lacks its heading or a section".to_owned(), mend);
        }
    }
    findings
}

/// Checks that every metric is explained where an operator looks.
pub fn metrics(tree: &Tree) -> Vec<Finding> {
    let page = tree
        .file(METRICS)
        .map(|file| file.text.as_str())
        .unwrap_or_default();
    let mut findings = Vec::new();
    let product =
        |file: &&SourceFile| !file.path.starts_with("xtask/") && !is_test_path(&file.path);
    for file in tree.rust_files().filter(product) {
        for (index, line) in file.text.lines().enumerate() {
            let literal = line
                .split('"')
                .nth(1)
                .filter(|text| text.starts_with("rtsap_"));
            let is_metric = |name: &&str| line.contains("const ") && is_metric_name(name);
            let Some(name) = literal.filter(is_metric) else {
                continue;
            };
            if !page.contains(&format!("`{name}`")) {
                let message = format!("metric {name} is not explained");
                let mend = format!("Add it to the table in {METRICS}.");
                findings.push(Finding::new(
                    "metrics",
                    &file.path,
                    index + 1,
                    message,
                    mend,
                ));
            }
        }
    }
    findings
}

/// Checks the names and contents of changelog fragments.
pub fn fragments(tree: &Tree) -> Vec<Finding> {
    let files = tree
        .files
        .iter()
        .filter(|file| file.path.starts_with(changelog::FOLDER));
    files
        .filter(|file| file.path != format!("{}README.md", changelog::FOLDER))
        .filter_map(|file| {
            let message = changelog::Fragment::parse(&file.path, &file.text)
                .err()?
                .to_string();
            let mend = "See changelog.d/README.md for names and an example.";
            Some(Finding::new("fragments", &file.path, 1, message, mend))
        })
        .collect()
}

/// Checks that decisions are numbered without gap or double and say context, decision and
/// consequences.
pub fn decisions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut numbers = BTreeSet::new();
    for file in tree
        .files
        .iter()
        .filter(|file| file.path.starts_with(DECISIONS))
    {
        let name = file.path.trim_start_matches(DECISIONS);
        if name == "README.md" {
            continue;
        }
        let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
        let number = digits.parse::<usize>().ok().filter(|_| digits.len() == 4);
        if number.is_none_or(|number| number != numbers.len() + 1 || !numbers.insert(number)) {
            let message = format!("decision \"{name}\" is not the next number");
            let mend = "Number decisions 0001, 0002, … without gap: NNNN-subject.md.";
            findings.push(Finding::new("decisions", &file.path, 1, message, mend));
        }
        for section in ["Context", "Decision", "Consequences"] {
            if !file.text.contains(&format!("\n## {section}\n")) {
                let message = format!("decision \"{name}\" has no section {section}");
                let mend = "Write `## Context`, `## Decision` and `## Consequences`.";
                findings.push(Finding::new("decisions", &file.path, 1, message, mend));
            }
        }
    }
    findings
}

/// Whether `name` reads `rtsap_<crate>_<noun>_<unit>`.
fn is_metric_name(name: &str) -> bool {
    name.split('_').count() >= 4 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Each code `RTnnnn` with the first place outside of comments that names it.
fn codes_in_code(tree: &Tree) -> BTreeMap<String, (String, usize)> {
    let mut codes = BTreeMap::new();
    // These checks speak about codes in general and own none.
    for file in tree
        .rust_files()
        .filter(|file| !file.path.starts_with("xtask/"))
    {
        let comments = RustText::new(&file.text).comments;
        let in_comment = |at: &usize| comments.as_bytes().get(*at) != Some(&b' ');
        for (at, _) in file
            .text
            .match_indices("RT")
            .filter(|(at, _)| !in_comment(at))
        {
            let bytes = file.text.as_bytes();
            let code = file.text.get(at..at + 6).unwrap_or_default();
            let is_code = code.len() == 6 && code.bytes().skip(2).all(|byte| byte.is_ascii_digit());
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            let is_inside_word = [before, bytes.get(at + 6)]
                .into_iter()
                .flatten()
                .any(|neighbour| is_word_byte(*neighbour));
            if is_code && !is_inside_word {
                let place = (file.path.clone(), line_of(&file.text, at));
                codes.entry(code.to_owned()).or_insert(place);
            }
        }
    }
    codes
}

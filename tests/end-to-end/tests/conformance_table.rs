//! `tests/CONFORMANCE.md` says which test holds which rule: each test that it names exists, and no weakness is left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table() -> String {
    fs::read_to_string(root().join("tests/CONFORMANCE.md")).expect("the table can be read")
}

/// All tests below a folder, as `file::test`; a `mod.rs` goes by its folder's name.
fn collect(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the sources") {
        let path = entry.expect("its entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.is_dir() {
            if stem != "target" {
                collect(&path, tests);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let parent = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
            let file = if stem == "mod" {
                parent.unwrap_or_default()
            } else {
                stem
            };
            let source = fs::read_to_string(&path).expect("a source file");
            tests.extend(tests_in(&source).map(|test| format!("{file}::{test}")));
        }
    }
}

/// The names of the tests in a source: the function that follows each `#[test]`.
fn tests_in(source: &str) -> impl Iterator<Item = &str> {
    source.split("#[test]").skip(1).filter_map(|rest| {
        let (_, name) = rest.split_once("fn ")?;
        name.split('(').next()
    })
}

/// What stands in backticks and looks like `file::test`.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|code| {
        let is_name =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        code.split_once("::")
            .is_some_and(|(file, test)| is_name(file) && is_name(test))
    })
}

#[test]
fn each_test_that_is_named_exists() {
    let mut tests = BTreeSet::new();
    for folder in ["mender", "mender-macros", "modules", "tests"] {
        collect(&root().join(folder), &mut tests);
    }
    let table = table();
    let named: BTreeSet<_> = named(&table).collect();
    assert!(named.len() > 100, "only {} tests are named", named.len());
    let missing: Vec<_> = named.into_iter().filter(|test| !tests.contains(*test)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

/// Every rule has a test. A weakness may have a reason instead, which begins with "Cannot occur".
#[test]
fn each_row_has_a_test_or_a_reason() {
    let table = table();
    let (rules, weaknesses) = table.split_once("\n## Known weaknesses").expect("two parts");
    let rows = |part: &'static str, text: &str| {
        let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| rule") && !line.starts_with("| no ");
        let rows: Vec<_> = text.lines().filter(is_row).map(str::to_owned).collect();
        assert!(!rows.is_empty(), "{part}");
        rows
    };
    for row in rows("rules", rules) {
        assert!(named(&row).next().is_some(), "no test: {row}");
    }
    let mut numbers = Vec::new();
    for row in rows("weaknesses", weaknesses) {
        assert!(
            named(&row).next().is_some() || row.contains("Cannot occur"),
            "no test, no reason: {row}"
        );
        let number = row
            .split('|')
            .nth(1)
            .and_then(|number| number.trim().parse::<u32>().ok());
        numbers.push(number.expect("a number"));
    }
    assert_eq!(numbers, (1..=29).collect::<Vec<_>>());
}

//! Each rule on small sources, and all rules on the checkout itself.

use super::run::{check, sources};
use super::source::{Source, has_word};

const CHANGELOG: (&str, &str) = ("CHANGELOG.md", "# Changes\n\n## Unreleased\n");

/// The violations in these files, with a changelog that is in order.
fn violations(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files
        .iter()
        .chain([&CHANGELOG])
        .map(|(path, text)| Source::new(*path, *text))
        .collect();
    check(&sources).iter().map(ToString::to_string).collect()
}

fn assert_tidy(files: &[(&str, &str)]) {
    assert_eq!(violations(files), Vec::<String>::new());
}

/// One violation, at this place and with this in its text.
#[track_caller]
fn assert_untidy(files: &[(&str, &str)], place: &str, part: &str) {
    let found = violations(files);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(place), "{found:#?}");
    assert!(found[0].contains(part), "{found:#?}");
}

#[test]
fn the_checkout_is_tidy() {
    let found: Vec<String> = check(&sources().unwrap())
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_file_of_more_than_80_lines_needs_a_header() {
    let body = "const A: u8 = 0;\n".repeat(80);
    assert_tidy(&[("a.rs", &body)]);
    assert_tidy(&[("a.rs", &format!("//! Constants.\n{body}"))]);
    assert_untidy(&[("a.rs", &format!("{body}\n"))], "a.rs:1: ", "header");
    assert_tidy(&[("a.txt", &format!("{body}\n"))]);
}

#[test]
fn production_code_ends_at_600_lines_and_tests_do_not_count() {
    let lines = |count: usize| format!("//! Long.\n{}", "// line\n".repeat(count - 1));
    let tests = "#[cfg(test)]\n#[rustfmt::skip]\nmod tests {\n    // more\n}\n";
    assert_tidy(&[("a.rs", &(lines(600) + tests))]);
    assert_untidy(&[("a.rs", &(lines(601) + tests))], "a.rs:601: ", "split");
    assert_tidy(&[("a/tests.rs", &lines(700)), ("tests/b.rs", &lines(700))]);
    let declared_only = "#[cfg(test)]\nmod tests;\n";
    assert_untidy(
        &[("a.rs", &(lines(598) + declared_only + "//\n"))],
        "a.rs:601: ",
        "601 lines",
    );
}

const SAMPLE: &str = "//! A sample.\n//!\n//! # Invariants\n//! * **SAMPLE-1** In order.\n";

#[test]
fn each_invariant_is_cited_by_a_test() {
    assert_tidy(&[
        ("sample.rs", SAMPLE),
        ("sample/tests.rs", "// SAMPLE-1: in order\n"),
    ]);
    assert_tidy(&[
        ("sample.rs", SAMPLE),
        ("tests/src/order.rs", "//! SAMPLE-1\n"),
    ]);
    assert_tidy(&[("sample.rs", SAMPLE), ("loom_models.rs", "// (SAMPLE-1)\n")]);
    let with_tests = format!("{SAMPLE}#[cfg(test)]\nmod tests {{\n    // SAMPLE-1\n}}\n");
    assert_tidy(&[("sample.rs", &with_tests)]);
}

#[test]
fn an_invariant_that_only_production_code_cites_is_refused() {
    assert_untidy(
        &[("sample.rs", SAMPLE)],
        "sample.rs:4: ",
        "no test cites SAMPLE-1",
    );
    assert_untidy(
        &[("sample.rs", SAMPLE), ("bell.rs", "// see SAMPLE-1\n")],
        "sample.rs:4: ",
        "no test cites SAMPLE-1",
    );
}

#[test]
fn an_invariant_has_one_definition() {
    assert_untidy(
        &[
            ("a.rs", SAMPLE),
            ("b.rs", SAMPLE),
            ("tests.rs", "// SAMPLE-1\n"),
        ],
        "b.rs:4: ",
        "defined in a.rs already",
    );
}

#[test]
fn citing_an_invariant_that_is_gone_is_refused() {
    let tests = "// SAMPLE-1, and SAMPLE-12 too; but UTF-8 is no invariant\n";
    assert_untidy(
        &[("sample.rs", SAMPLE), ("tests.rs", tests)],
        "tests.rs:1: ",
        "no header defines SAMPLE-12",
    );
}

#[test]
fn bold_words_define_nothing_outside_the_section_about_invariants() {
    assert_tidy(&[
        ("a.rs", "//! **SAMPLE-7** is defined elsewhere.\n"),
        ("b.rs", "//! # Invariants\n//! # Panics\n//! **SAMPLE-8**\n"),
        ("c.rs", "//! # Invariants\n//! **Never** say **never-1**.\n"),
    ]);
}

#[test]
fn leftovers_are_refused() {
    let word = concat!("// FIX", "ME later\n");
    assert_untidy(&[("a.rs", word)], "a.rs:1: ", "left over");
    assert_untidy(
        &[("a.toml", concat!("# XX", "X\n"))],
        "a.toml:1: ",
        "left over",
    );
    assert_tidy(&[("a.rs", concat!("// mkstemp(\"aXX", "XXXX\")\n"))]);
    assert_tidy(&[("a.md", word)]);
    for code in [
        concat!("to", "do!()"),
        concat!("unimple", "mented!()"),
        concat!("#[ig", "nore]"),
    ] {
        assert_untidy(&[("tests/a.rs", code)], "tests/a.rs:1: ", "left over");
    }
}

#[test]
fn rust_files_are_ascii_and_documents_need_not_be() {
    assert_untidy(&[("a.rs", "\n// caf\u{e9}\n")], "a.rs:2: ", "\\u{e9}");
    assert_tidy(&[("docs/a.md", "caf\u{e9}\n")]);
}

#[test]
fn paths_of_one_machine_are_refused_in_any_file() {
    let text = concat!("cd /wo", "rk/main\n");
    assert_untidy(&[("README.md", text)], "README.md:1: ", "one machine");
    assert_tidy(&[("README.md", "a framework/library\n")]);
}

#[test]
fn broad_imports_are_for_tests() {
    let import = "use super::*;\n";
    assert_untidy(&[("a.rs", import)], "a.rs:1: ", "name what you use");
    assert_tidy(&[
        ("a/tests.rs", import),
        ("b.rs", "#[cfg(test)]\nmod tests {\n    use super::*;\n}\n"),
    ]);
}

#[test]
fn doors_hold_no_items() {
    for (item, named) in [
        ("pub const fn f() {}", "fn"),
        ("impl<T> A for T {", "impl"),
        ("    pub(crate) unsafe fn g() {", "fn"),
        ("pub struct A;", "struct"),
        ("macro_rules! m {", "macro_rules!"),
    ] {
        assert_untidy(
            &[("src/lib.rs", item)],
            "src/lib.rs:1: ",
            &format!("`{named}`"),
        );
        assert_tidy(&[("src/a.rs", item)]);
    }
    assert_tidy(&[(
        "a/mod.rs",
        "//! A fn is described.\n#![forbid(unsafe_code)]\nmod b;\npub use b::{\n    C, // a struct\n};\n\
         #[cfg(test)]\nmod tests {\n    fn f() {}\n}\n",
    )]);
}

#[test]
fn the_changelog_has_a_section_for_what_comes() {
    let untidy = |sources: &[Source]| check(sources)[0].to_string();
    assert!(untidy(&[]).starts_with("CHANGELOG.md:1: no such file"));
    let without = Source::new("CHANGELOG.md", "# Changes\n");
    assert!(untidy(&[without]).starts_with("CHANGELOG.md:1: no `## Unreleased`"));
}

#[test]
fn words_end_where_letters_digits_and_dashes_end() {
    assert!(has_word("(SAMPLE-1)", "SAMPLE-1"));
    assert!(has_word("SAMPLE-12, SAMPLE-1.", "SAMPLE-1"));
    assert!(!has_word("SAMPLE-12", "SAMPLE-1"));
    assert!(!has_word("XSAMPLE-1 SAMPLE-1-2", "SAMPLE-1"));
}

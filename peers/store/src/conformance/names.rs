//! Names are bytes: no name can reach anything but its own object (F79, F95).

use super::help::{content, expect_content, expect_missing, name, put};
use crate::contract::Store;
use crate::name::ObjectName;

/// Each object's content is its own name: whatever a store mixes up shows.
async fn expect_all_separate(store: &impl Store, names: &[ObjectName]) {
    for object in names {
        expect_missing(store, object).await;
        put(store, object, object.as_bytes()).await;
    }
    for object in names {
        let found = content(store, object).await;
        assert_eq!(found.as_deref(), Ok(object.as_bytes()), "{object}");
    }
    for object in names {
        let listed = store.list(object.group(), None, 10_000).await;
        let listed = listed.expect("a group can be listed").names;
        assert!(listed.contains(object), "{object} is not listed");
        assert_eq!(store.delete(object).await, Ok(()), "deleting {object}");
        expect_missing(store, object).await;
    }
}

pub(super) async fn every_byte_can_be_in_a_name(store: &impl Store) {
    let mut names = Vec::new();
    for byte in 1..=255 {
        names.push(name([byte]));
        names.push(name([b'x', byte, b'x']));
    }
    expect_all_separate(store, &names).await;
}

pub(super) async fn hostile_names_are_names_like_any_other(store: &impl Store) {
    let names: Vec<ObjectName> = [
        &b"../escape"[..],
        b"../../../../etc/passwd",
        b"..",
        b".",
        b"./.",
        b"/",
        b"//",
        b"///a",
        b"/etc/passwd",
        b"a/../b",
        b"a/./b",
        b"a//b",
        b"a/",
        b"a/b/",
        b".hidden",
        b"..hidden",
        b"%",
        b"%%",
        b"%2F",
        b"%2f",
        b"%%deadbeef",
        b"a+b",
        b"a/b",
        b"a%2Bb",
        b"a%2Fb",
        b"new\nline",
        b"tab\t",
        b"-rf",
        b"~",
        b"$(id)",
        b"*",
        b"\xff\xfe",
        b"\xc3\x28",
        b"\x1b[31m",
        b"objects",
        b"tmp",
        b"locks",
        b"archipelago",
        b"a.name",
        b"%%a.name",
    ]
    .iter()
    .map(name)
    .collect();
    expect_all_separate(store, &names).await;
}

pub(super) async fn long_names_are_told_apart(store: &impl Store) {
    let mut names = Vec::new();
    for len in [200, 239, 240, 241, 254, 255] {
        names.push(name(vec![b'a'; len]));
        names.push(name(vec![b'/'; len]));
        names.push(name(vec![0xff; len]));
        names.push(name(vec![b'.'; len]));
        let mut deep = vec![b'g'; len];
        deep[len - 2] = b'/';
        names.push(name(&deep));
        deep[len - 1] = b'h';
        names.push(name(&deep));
        deep[1] = b'/';
        names.push(name(&deep));
    }
    expect_all_separate(store, &names).await;
}

pub(super) async fn names_that_differ_in_case_or_ending_are_different(store: &impl Store) {
    let names: Vec<ObjectName> = ["n/a", "n/A", "n/a ", "n/a.", "N/a", "n/aa", "n"]
        .iter()
        .map(name)
        .collect();
    expect_all_separate(store, &names).await;
    put(store, &name("n/a"), b"1").await;
    put(store, &name("n/a/b"), b"2").await;
    expect_content(store, &name("n/a"), b"1").await;
    expect_content(store, &name("n/a/b"), b"2").await;
}

//! Lists of names.

use super::help::{SCOPE, expect_content, name};
use crate::contract::{Listing, Store};
use crate::name::ObjectName;

async fn make(store: &impl Store, names: &[&str]) -> Vec<ObjectName> {
    let mut made: Vec<ObjectName> = names.iter().map(name).collect();
    for object in &made {
        let written = store.write(SCOPE, object, 0, object.as_bytes()).await;
        assert_eq!(written, Ok(()));
    }
    made.sort();
    made
}

pub(super) async fn a_group_is_listed_exactly(store: &impl Store) {
    let others = [
        "a", "a/c", "a/b/c/d", "a/bb/c", "a/b/", "b", "a/b/c/", "ab/c",
    ];
    make(store, &others).await;
    let ours = make(store, &["a/b/1", "a/b/2", "a/b/10", "a/b/z"]).await;
    let listed = store.list(b"a/b", None, 100).await;
    let mut expected = vec![name("a/b/")];
    expected.extend(ours);
    let expected = Listing {
        names: expected,
        more: false,
    };
    assert_eq!(listed, Ok(expected));
    let alone = store.list(b"", None, 100).await;
    let alone = alone.map(|listing| listing.names);
    assert_eq!(alone, Ok(vec![name("a"), name("b")]));
    let none = store.list(b"a/b/c/d", None, 100).await;
    assert_eq!(none, Ok(Listing::default()));
}

pub(super) async fn a_listing_comes_in_pages(store: &impl Store) {
    let made: Vec<String> = (0..57).map(|number| format!("p/{number:03}")).collect();
    let made: Vec<&str> = made.iter().map(String::as_str).collect();
    let made = make(store, &made).await;
    for max in [1, 7, 19, 57, 1000] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.list(b"p", after.as_ref(), max).await;
            let page = page.expect("a group can be listed");
            assert!(page.names.len() <= max);
            assert!(!page.more || page.names.len() == max, "a page is full");
            found.extend(page.names);
            if !page.more {
                break;
            }
            after = found.last().cloned();
        }
        assert!(found == made, "pages of {max}: {found:?}");
    }
    let nothing = store.list(b"p", None, 0).await;
    let nothing = nothing.expect("a group can be listed");
    assert_eq!((nothing.names.len(), nothing.more), (0, true));
    let rest = store.list(b"p", Some(&name("p/0305")), 3).await;
    let rest = rest.expect("a group can be listed");
    assert_eq!(rest.names, made[31..34], "after a name that is not there");
    let end = store.list(b"p", made.last(), 3).await;
    assert_eq!(end, Ok(Listing::default()));
}

pub(super) async fn odd_names_are_listed_as_they_are(store: &impl Store) {
    let long = format!("odd/{}", "%".repeat(251));
    let names = [
        "odd/",
        "odd/.",
        "odd/..",
        "odd/\u{1}\n",
        "odd/a+b%2F",
        &long,
    ];
    let made = make(store, &names).await;
    let listed = store.list(b"odd", None, 100).await;
    assert_eq!(listed.map(|listing| listing.names), Ok(made.clone()));
    for object in &made {
        expect_content(store, object, object.as_bytes()).await;
    }
}

pub(super) async fn all_groups_are_found(store: &impl Store) {
    assert_eq!(store.groups().await, Ok(Vec::new()));
    let long = format!("{}/x", "g".repeat(253));
    make(store, &["g/1", "g/2", "g/h/1", "/", "\u{7f}/1", &long]).await;
    let mut expected: Vec<Vec<u8>> = vec![
        b"g".to_vec(),
        b"g/h".to_vec(),
        Vec::new(),
        b"\x7f".to_vec(),
        vec![b'g'; 253],
    ];
    expected.sort();
    assert_eq!(store.groups().await, Ok(expected.clone()));
    assert_eq!(store.delete(&name("g/1")).await, Ok(()));
    assert_eq!(store.groups().await, Ok(expected.clone()));
    assert_eq!(store.delete(&name("g/2")).await, Ok(()));
    expected.retain(|group| group != b"g");
    assert_eq!(store.groups().await, Ok(expected));
}

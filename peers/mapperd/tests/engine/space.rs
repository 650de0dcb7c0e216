//! What lies in the stores and is nobody's.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use archipelago_mapperd::engine::{Loaded, Mapper, View, World};
use archipelago_mapperd::map::{Head, PAGE_BYTES, PageRef, VolumeId, object_name};
use archipelago_store::Store;
use archipelago_store::sim::SimStore;

use crate::client::GRAIN_BYTES;
use crate::world::{SimWorld, objects_of};

/// What nobody names, but content: only the mark of `gc` tells that that is nobody's.
pub async fn leaks(mapper: &Mapper<SimWorld>) -> Vec<String> {
    let mut leaks = orphans(mapper).await;
    leaks.retain(|leak| !leak.starts_with("content/") || leak.contains("missing"));
    leaks
}

pub async fn close_and_find_no_leaks(mapper: &Mapper<SimWorld>) {
    mapper.close_all().await.unwrap();
    assert_eq!(leaks(mapper).await, Vec::<String>::new());
}

/// All heads are closed, and the trash is empty: what nobody names, and what is missing or of the wrong size.
pub async fn orphans(mapper: &Mapper<SimWorld>) -> Vec<String> {
    let base = mapper.base();
    let mut objects: BTreeSet<String> = BTreeSet::new();
    for object in objects_of(base.world.maps()).await {
        objects.insert(object.to_string());
    }
    let mut heads: BTreeMap<VolumeId, Loaded> = BTreeMap::new();
    for object in objects.iter().filter_map(|name| name.strip_prefix("head/")) {
        let id: VolumeId = object[..32].parse().unwrap();
        heads.insert(id, base.load(id).await.unwrap().unwrap());
    }
    let mut named: BTreeMap<String, Option<u64>> = BTreeMap::new();
    let mut data: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    let mut pages: HashSet<PageRef> = HashSet::new();
    for (id, loaded) in &heads {
        let head = &loaded.head;
        let is_named = base.is_named(head).await.unwrap();
        let children = heads
            .values()
            .filter(|other| other.head.parent == Some(*id));
        if !is_named && children.count() <= 1 {
            // What only it has is nobody's either.
            continue;
        }
        named.extend(names_of(head, is_named));
        let view = View::of(loaded.clone());
        for block in view.mapped_blocks(base).await.unwrap() {
            let map = view.block(base, block).await.unwrap();
            for (subs, source) in map.runs(0..head.shape.subs()) {
                let Some(source) = source else { continue };
                let object = object_name(source, block).to_string();
                if source.is_content() {
                    // As much of it as others need: it is nobody's to give back.
                    named.insert(object, None);
                } else {
                    data.entry(object).or_default().extend(subs);
                }
            }
        }
        pages.extend(base.pages.only_in(view.root(), &[]).await.unwrap());
    }
    for page in pages {
        let object = format!("page/{}/{:016x}", page.birth, page.number);
        let bytes = named.entry(object).or_insert(Some(0));
        *bytes = bytes.map(|bytes| bytes + PAGE_BYTES as u64);
    }
    let data = data.into_iter().map(|(object, subs)| {
        let bytes = subs.len() as u64 * GRAIN_BYTES as u64;
        (object, Some(bytes))
    });
    named.extend(data);
    let mut found = sizes(base.world.maps()).await;
    found.extend(sizes(base.world.data()).await);
    compare(&found, &named)
}

/// What a head is the reason for, with the space that it takes where that is told.
fn names_of(head: &Head, is_named: bool) -> Vec<(String, Option<u64>)> {
    let (id, version) = (head.id, head.version);
    let mut names = vec![(
        format!("head/{id}/{:016x}.{:016x}", version.token, version.number),
        None,
    )];
    if is_named && head.flags.content {
        names.push((format!("hash/{}", head.name), None));
    } else if is_named {
        let hash = blake3::hash(head.name.as_bytes()).to_hex();
        names.push((format!("name/{hash}"), None));
    } else {
        // GONE-1: it waits to lose all children but one.
        names.push((format!("trash/{id}"), None));
    }
    if let Some(parent) = head.parent {
        names.push((format!("edge/{parent}/{id}"), None));
    }
    for segment in &head.segments {
        let (birth, token, number) = (segment.birth, segment.token, segment.number);
        names.push((format!("log/{birth}/{token:016x}.{number:016x}"), None));
    }
    names
}

fn compare(found: &BTreeMap<String, u64>, named: &BTreeMap<String, Option<u64>>) -> Vec<String> {
    let mut leaks = Vec::new();
    for (object, bytes) in found {
        match named.get(object) {
            None => leaks.push(format!("{object}: {bytes} bytes are nobody's")),
            Some(Some(wanted)) if wanted != bytes => {
                leaks.push(format!("{object}: {bytes} bytes, {wanted} are named"));
            }
            Some(_) => {}
        }
    }
    let missing = named.keys().filter(|object| !found.contains_key(*object));
    leaks.extend(missing.map(|object| format!("{object} is missing")));
    leaks
}

async fn sizes(store: &SimStore) -> BTreeMap<String, u64> {
    let mut sizes = BTreeMap::new();
    for object in objects_of(store).await {
        let data = store.data_in(&object, 0..u64::MAX).await.unwrap();
        sizes.insert(object.to_string(), data);
    }
    sizes
}

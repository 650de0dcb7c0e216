//! Keys that are spread over several objects, in order.

use std::ffi::{CStr, CString};
use std::rc::Rc;

use archipelago_store::StoreError;
use rustix::io::Errno;

use super::core::store_error;
use super::together::together;
use crate::librados::Pool;

/// What a part is asked for beyond its share: parts are not equally full.
const BEYOND_SHARE: usize = 16;

/// A key and its value.
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Sorted, with their values: all that there are up to the end of the stretch.
    pub keys: Vec<Entry>,
    /// Where it ends, if there may be more.
    pub end: Option<Vec<u8>>,
}

/// About `wanted` keys after `after` of all these objects; one that is not there has none.
pub(super) async fn stretch(
    pool: &Rc<Pool>,
    parts: &[CString],
    after: &CStr,
    wanted: usize,
) -> Result<Stretch, StoreError> {
    let share = match parts.len() {
        0 | 1 => wanted,
        several => wanted * 2 / several + BEYOND_SHARE,
    };
    let asked = parts.iter().map(async |part| {
        let landing = pool
            .look(part, pool.asking().keys(after, share as u64))
            .await;
        let mut found = landing.kept;
        match landing.result {
            Ok(_) => Ok((found.take_keys(), found.has_more())),
            Err(Errno::NOENT) => Ok((Vec::new(), false)),
            Err(errno) => Err(store_error(errno)),
        }
    });
    let found: Result<Vec<_>, _> = together(asked).await.into_iter().collect();
    Ok(merge(found?))
}

/// Each part's next keys, sorted, and whether the part has more.
fn merge(parts: Vec<(Vec<Entry>, bool)>) -> Stretch {
    let ends = parts.iter().filter(|(_, more)| *more);
    // Beyond the first part's end that has more, keys may be missing.
    let end = ends.filter_map(|(keys, _)| keys.last()).min();
    let end = end.map(|(key, _)| key.clone());
    let mut keys: Vec<_> = parts.into_iter().flat_map(|(keys, _)| keys).collect();
    keys.sort_unstable();
    if let Some(end) = &end {
        keys.retain(|(key, _)| key <= end);
    }
    Stretch { keys, end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Entry> {
        let keys = text.split_whitespace();
        keys.map(|key| (key.into(), Vec::new())).collect()
    }

    #[test]
    fn a_stretch_ends_where_a_part_has_more_than_came() {
        let merged = merge(vec![
            (keys("a d e"), true),
            (keys("b f g"), true),
            (keys("c z"), false),
            (keys(""), false),
        ]);
        assert_eq!(merged.keys, keys("a b c d e"));
        assert_eq!(merged.end, Some(b"e".to_vec()));
        let merged = merge(vec![(keys("b c"), false), (keys("a"), false)]);
        assert_eq!(merged.keys, keys("a b c"));
        assert_eq!(merged.end, None);
    }
}

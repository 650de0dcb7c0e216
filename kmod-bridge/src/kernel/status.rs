use super::attribute::attributes;

/// In the answer about devices: a list, of items, of a number and whether it is connected.
pub const LIST: u16 = 9;
const ITEM: u16 = 1;
const INDEX: u16 = 1;
const CONNECTED: u16 = 2;

/// A device of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceStatus {
    pub index: u32,
    /// It belongs to an export; its connections may be dead all the same.
    pub is_connected: bool,
}

/// The devices in an answer.
pub fn parse(answer: &[u8]) -> Vec<DeviceStatus> {
    let lists = attributes(answer).filter(|one| one.kind == LIST);
    let items = lists.flat_map(|list| attributes(list.payload).filter(|one| one.kind == ITEM));
    let device = |item: &[u8]| {
        let index = attributes(item).find(|one| one.kind == INDEX)?.word32()?;
        let connected = attributes(item).find(|one| one.kind == CONNECTED)?;
        Some(DeviceStatus {
            index,
            is_connected: connected.payload.first().is_some_and(|byte| *byte != 0),
        })
    };
    items.filter_map(|item| device(item.payload)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attribute::Attributes;

    #[test]
    fn devices_are_listed_with_whether_they_are_connected() {
        let mut list = Attributes::default();
        for (index, connected) in [(0, 1), (5, 0)] {
            let mut item = Attributes::default();
            item.put32(INDEX, index);
            item.put(CONNECTED, &[connected]);
            list.put_nested(ITEM, &item);
        }
        list.put_nested(ITEM, &Attributes::default());
        let mut answer = Attributes::default();
        answer.put_nested(LIST, &list);
        let device = |index, is_connected| DeviceStatus {
            index,
            is_connected,
        };
        assert_eq!(
            parse(answer.as_bytes()),
            [device(0, true), device(5, false)]
        );
        assert_eq!(parse(b"nonsense"), []);
    }
}

//! Which instances of a deployment use a store, and whether it was fenced: one record for each deployment.

use archipelago_store::wire::{decode_strings, push_string};

use super::record::{self, BadRecord};

const KIND: [u8; 4] = *b"ALat";
const HEAD_BYTES: usize = 8;
const TENURE_BYTES: usize = 16;
/// More than any deployment has blockers on one store.
const STRINGS_BYTES_MAX: usize = 3 << 10;
/// Tenures that are remembered: one that is over does not come back.
const TENURES_MAX: usize = 8;

/// An instance that has not said that it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attendant {
    pub role: String,
    /// By which the cluster knows it.
    pub address: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attendance {
    /// The last one is that of now.
    tenures: Vec<u128>,
    /// Who was there in this tenure may believe what is not so any more.
    pub is_fenced: bool,
    pub attendants: Vec<Attendant>,
}

/// Nothing begins in this tenure any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TenureOver;

impl Attendance {
    /// Lets a role begin, and tells whom it has to have refused first: its predecessor, or all of an earlier tenure.
    pub fn enter(
        &mut self,
        tenure: u128,
        role: &str,
        address: &str,
    ) -> Result<Vec<String>, TenureOver> {
        let before = if self.tenures.last() == Some(&tenure) {
            if self.is_fenced {
                return Err(TenureOver);
            }
            let is_predecessor = |attendant: &mut Attendant| attendant.role == role;
            self.attendants.extract_if(.., is_predecessor).collect()
        } else if self.tenures.contains(&tenure) {
            return Err(TenureOver);
        } else {
            let forgotten = (self.tenures.len() + 1).saturating_sub(TENURES_MAX);
            self.tenures.drain(..forgotten);
            self.tenures.push(tenure);
            self.is_fenced = false;
            std::mem::take(&mut self.attendants)
        };
        self.attendants.push(Attendant {
            role: role.to_owned(),
            address: address.to_owned(),
        });
        let addresses = before.into_iter().map(|attendant| attendant.address);
        Ok(addresses.filter(|other| other != address).collect())
    }

    /// Was somebody there last of whom it is not known that he is gone: neither of this tenure, nor of the one before it, nor fenced?
    pub fn is_anothers(&self, tenure: u128, before: u128) -> bool {
        let last = self.tenures.last();
        let is_ours = last.is_none_or(|last| *last == tenure || *last == before);
        !is_ours && !self.is_fenced && !self.attendants.is_empty()
    }

    /// Is it there, in a tenure that is not over?
    pub fn has(&self, tenure: u128, address: &str) -> bool {
        let mut attendants = self.attendants.iter();
        !self.is_fenced
            && self.tenures.last() == Some(&tenure)
            && attendants.any(|attendant| attendant.address == address)
    }

    /// It ended with nothing under way. Tells whether it was there.
    pub fn leave(&mut self, address: &str) -> bool {
        let before = self.attendants.len();
        self.attendants
            .retain(|attendant| attendant.address != address);
        self.attendants.len() < before
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut content = u32::from(self.is_fenced).to_le_bytes().to_vec();
        let count = u32::try_from(self.tenures.len()).expect("TENURES_MAX at most");
        content.extend(count.to_le_bytes());
        let tenures = self.tenures.iter();
        content.extend(tenures.flat_map(|tenure| tenure.to_le_bytes()));
        let mut strings = Vec::new();
        for Attendant { role, address } in &self.attendants {
            for text in [role, address] {
                let fits = push_string(&mut strings, text.as_bytes(), STRINGS_BYTES_MAX);
                assert!(fits, "names of roles are short, and there are few");
            }
        }
        record::seal(KIND, &[content, strings].concat())
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        Self::of_content(record::open(KIND, bytes)?).ok_or(BadRecord::Damaged)
    }

    fn of_content(content: &[u8]) -> Option<Self> {
        let (head, rest) = content.split_at_checked(HEAD_BYTES)?;
        let (flags, count) = head.split_at(4);
        let word = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?));
        let is_fenced = match word(flags)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let count = usize::try_from(word(count)?).ok()?;
        if count > TENURES_MAX {
            return None;
        }
        let (tenures, strings) = rest.split_at_checked(count * TENURE_BYTES)?;
        let tenure = |bytes: &[u8]| Some(u128::from_le_bytes(bytes.try_into().ok()?));
        let tenures: Option<Vec<u128>> = tenures.chunks(TENURE_BYTES).map(tenure).collect();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let strings = decode_strings(strings).ok()?;
        let attendants: Option<Vec<Attendant>> = strings
            .chunks(2)
            .map(|pair| {
                let [role, address] = pair else { return None };
                Some(Attendant {
                    role: text(role)?,
                    address: text(address)?,
                })
            })
            .collect();
        Some(Self {
            tenures: tenures?,
            is_fenced,
            attendants: attendants?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_its_predecessor_refused_and_a_new_tenure_all_who_were_there() {
        let mut attendance = Attendance::default();
        assert_eq!(attendance.enter(1, "b", "b1"), Ok(vec![]));
        assert_eq!(attendance.enter(1, "m", "m1"), Ok(vec![]));
        assert_eq!(attendance.enter(1, "b", "b2"), Ok(vec!["b1".into()]));
        let mut before = attendance.enter(2, "b", "b3").unwrap();
        before.sort();
        assert_eq!(before, ["b2", "m1"]);
        assert!(attendance.leave("b3"));
        assert!(!attendance.leave("b3"));
        assert_eq!(attendance.enter(2, "b", "b4"), Ok(vec![]));
    }

    /// INSTANCE-4
    #[test]
    fn who_is_of_another_tenure_than_the_last_two_is_asked_whether_he_lives() {
        let mut attendance = Attendance::default();
        assert!(!attendance.is_anothers(1, 0), "nobody was there");
        attendance.enter(1, "b", "b1").unwrap();
        assert!(!attendance.is_anothers(1, 0) && !attendance.is_anothers(2, 1));
        assert!(attendance.is_anothers(2, 0) && attendance.is_anothers(3, 2));
        assert!(attendance.has(1, "b1") && !attendance.has(1, "b2") && !attendance.has(2, "b1"));
        attendance.is_fenced = true;
        assert!(!attendance.is_anothers(2, 0) && !attendance.has(1, "b1"));
        attendance.is_fenced = false;
        assert!(attendance.leave("b1"));
        assert!(!attendance.is_anothers(2, 0) && !attendance.has(1, "b1"));
    }

    /// INSTANCE-2
    #[test]
    fn nothing_begins_in_a_tenure_that_was_fenced_or_is_over() {
        let mut attendance = Attendance::default();
        attendance.enter(1, "b", "b1").unwrap();
        attendance.is_fenced = true;
        assert_eq!(attendance.enter(1, "b", "b2"), Err(TenureOver));
        assert_eq!(attendance.enter(2, "b", "b2"), Ok(vec!["b1".into()]));
        assert!(!attendance.is_fenced);
        assert_eq!(attendance.enter(1, "b", "b3"), Err(TenureOver));
        for tenure in 3..100 {
            attendance.enter(tenure, "b", "b4").unwrap();
            assert_eq!(attendance.enter(tenure - 1, "b", "b5"), Err(TenureOver));
        }
    }

    #[test]
    fn a_record_is_read_back_and_a_damaged_one_is_none() {
        let mut attendance = Attendance::default();
        for tenure in 0..10 {
            attendance
                .enter(tenure, "blockerb", "127.0.0.1:0/7")
                .unwrap();
        }
        attendance.enter(9, "blockerm", "127.0.0.1:0/8").unwrap();
        for is_fenced in [false, true] {
            attendance.is_fenced = is_fenced;
            let encoded = attendance.encode();
            assert_eq!(Attendance::decode(&encoded), Ok(attendance.clone()));
            for at in 0..encoded.len() {
                assert_eq!(Attendance::decode(&encoded[..at]), Err(BadRecord::Damaged));
            }
        }
        let none = record::seal(KIND, &[7; 8]);
        assert_eq!(Attendance::decode(&none), Err(BadRecord::Damaged));
    }
}

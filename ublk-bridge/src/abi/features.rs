//! What a driver can do, and what a device is.

/// A set of abilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverFeatures(pub u64);

impl DriverFeatures {
    /// A device waits for another server when its own has died.
    pub const RECOVERY: Self = Self(1 << 3);
    /// It hands out again what the dead one had in hand.
    pub const REISSUE: Self = Self(1 << 4);
    /// Devices of ordinary users.
    pub const UNPRIVILEGED: Self = Self(1 << 5);
    /// Data are copied by reading and writing the character device.
    pub const USER_COPY: Self = Self(1 << 7);
    /// A device's size can be changed while it is used (Linux 6.16).
    pub const RESIZE: Self = Self(1 << 10);
    /// A request's memory gets a number in the ring by which its tag was fetched (Linux 6.16).
    pub const REGISTERED: Self = Self(1 << 11);
    /// A device is released by a server that has died only when nobody uses its requests' memory any more (Linux 6.17: no feature
    /// of its own, but this one came with it).
    pub const LATE_RELEASE: Self = Self(1 << 14);

    /// What a device of ours cannot do without.
    pub const NEEDED: Self = Self(Self::RECOVERY.0 | Self::REISSUE.0 | Self::USER_COPY.0);

    /// What a device of ours has where the driver can.
    pub fn wanted(self) -> Self {
        let resize = self.common(Self::RESIZE);
        match self.has(Self::REGISTERED.and(Self::LATE_RELEASE)) {
            true => resize.and(Self::REGISTERED),
            false => resize,
        }
    }

    pub fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub fn common(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those of `self` that `others` lack, for people.
    pub fn names_without(self, others: Self) -> Vec<&'static str> {
        const NAMES: [(DriverFeatures, &str); 6] = [
            (DriverFeatures::RECOVERY, "user recovery"),
            (DriverFeatures::REISSUE, "reissue"),
            (DriverFeatures::UNPRIVILEGED, "unprivileged devices"),
            (DriverFeatures::USER_COPY, "user copy"),
            (DriverFeatures::RESIZE, "resizing"),
            (DriverFeatures::REGISTERED, "registered memory"),
        ];
        let lacks = |(one, _): &&(Self, _)| self.has(*one) && !others.has(*one);
        NAMES.iter().filter(lacks).map(|(_, name)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named() {
        let old = DriverFeatures(0x7f);
        assert!(!old.has(DriverFeatures::NEEDED));
        assert_eq!(DriverFeatures::NEEDED.names_without(old), ["user copy"]);
        // Linux 6.12 as Debian has it.
        let debian = DriverFeatures(0x1fe);
        assert!(debian.has(DriverFeatures::NEEDED));
        assert_eq!(debian.wanted(), DriverFeatures(0));
        let linux_6_16 = DriverFeatures(0x1fff);
        assert_eq!(linux_6_16.wanted(), DriverFeatures::RESIZE);
        let linux_6_17 = DriverFeatures(0x7fff);
        let both = DriverFeatures::RESIZE.and(DriverFeatures::REGISTERED);
        assert_eq!(linux_6_17.wanted(), both);
    }
}

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

    /// From this Linux on a device is released by a server that has died only when nobody uses its requests' memory any more (6.17), and
    /// operations on a part of such memory are told all pieces of that part (6.19: a device may have moved too little before).
    const REGISTERED_SINCE: (u32, u32) = (6, 19);

    /// What a device of ours cannot do without.
    pub const NEEDED: Self = Self(Self::RECOVERY.0 | Self::REISSUE.0 | Self::USER_COPY.0);

    /// What a device of ours has besides, where the driver and its kernel can.
    pub fn wanted(self, linux: (u32, u32)) -> Self {
        let wanted = match linux >= Self::REGISTERED_SINCE {
            true => Self::RESIZE.and(Self::REGISTERED),
            false => Self::RESIZE,
        };
        self.common(wanted)
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
        assert_eq!(debian.wanted((6, 12)), DriverFeatures(0));
        let later = DriverFeatures(0x7fff);
        let both = DriverFeatures::RESIZE.and(DriverFeatures::REGISTERED);
        for (linux, wanted) in [
            ((6, 18), DriverFeatures::RESIZE),
            ((6, 19), both),
            ((7, 0), both),
        ] {
            assert_eq!(later.wanted(linux), wanted, "{linux:?}");
        }
    }
}

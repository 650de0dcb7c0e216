//! Devices in a real kernel.

mod guests;

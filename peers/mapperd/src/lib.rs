//! Maps of volumes.

#![forbid(unsafe_code)]

//! The composer of volumes.

#![forbid(unsafe_code)]

//! Objects as files.

#![forbid(unsafe_code)]

//! Volumes as block devices: the NBD server.

#![forbid(unsafe_code)]

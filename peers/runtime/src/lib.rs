//! The reactor that every peer runs on.

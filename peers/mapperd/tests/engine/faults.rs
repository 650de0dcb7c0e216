//! Faults at every call.

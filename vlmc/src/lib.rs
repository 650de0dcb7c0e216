//! The commands `archipelago` and `vlmc`.

#![forbid(unsafe_code)]

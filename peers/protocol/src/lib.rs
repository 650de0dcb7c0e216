//! What peers say to each other beyond the record of a request.

#![forbid(unsafe_code)]

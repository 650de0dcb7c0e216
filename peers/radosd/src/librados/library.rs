//! The library itself, opened once.

use std::path::PathBuf;
use std::sync::OnceLock;

use libloading::Library;

use super::symbols::Symbols;
use crate::error::RadosdError;

/// What the distribution calls it.
const NAME: &str = "librados.so.2";
/// Names another file.
const VARIABLE: &str = "LIBRADOS";

static LOADED: OnceLock<Result<Symbols, String>> = OnceLock::new();

/// Opens the library if nobody has.
pub(super) fn library() -> Result<&'static Symbols, RadosdError> {
    let path = std::env::var_os(VARIABLE).map_or_else(|| PathBuf::from(NAME), PathBuf::from);
    let loaded = LOADED.get_or_init(|| load(&path).map_err(|error| error.to_string()));
    loaded.as_ref().map_err(|why| RadosdError::NoLibrary {
        path,
        why: why.clone(),
    })
}

fn load(path: &std::path::Path) -> Result<Symbols, libloading::Error> {
    // SAFETY: librados does nothing when it is loaded that anybody else could notice.
    let library = unsafe { Library::new(path) }?;
    let symbols = Symbols::find(&library)?;
    // It stays: its functions are called until the process ends.
    std::mem::forget(library);
    Ok(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_library_is_an_error_and_nothing_worse() {
        assert!(load("/no/such/librados.so".as_ref()).is_err());
        assert!(load("/proc/self/exe".as_ref()).is_err());
    }
}

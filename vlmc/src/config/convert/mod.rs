//! Configuration files of the historic system, read and written anew.
//!
//! There were two forms. Until 0.3 the file was Python, executed; here it is only read: assignments of literals, nothing
//! else. Since 0.4 it was an INI file. Both become a `LegacyConfig`, which is translated setting by setting; what has no
//! use any more stays as a comment that says why.
//!
//! ```text
//! Python --python--+
//!                  +--> LegacyConfig --translate--> lines of the new file --> our own loader reads them, before anybody else
//! INI    --ini-----+
//! ```

#[expect(clippy::module_inception, reason = "the act itself")]
mod convert;
mod error;
mod ini;
mod legacy;
mod python;
mod python_tokens;
#[cfg(test)]
mod tests;
mod translate;

pub use convert::{Converted, convert};
pub use error::ConvertError;

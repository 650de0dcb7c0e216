//! A store in a directory, from outside: by requests over a port, and by what lies in the directory.

mod conforms;
mod directory;
mod files;
mod house;
mod kills;
mod limits;
mod redone;
mod requests;

//! A store in a pool of a real cluster. All of it in few tests: each has a cluster of its own.

mod conforms;
mod fences;
mod house;
mod late;
mod news;
mod older_maps;
mod trouble;

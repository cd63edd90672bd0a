//! Tests of the stores: [`conformance`] on every one, [`doubt`] on those that can be made to have it, and
//! on a disk that fails as it is told [`trouble`] and [`power`] cuts, and a [`process`] that is killed.

mod conformance;
mod doubt;
mod place;
mod power;
mod process;
mod suite;
mod tools;
mod trouble;

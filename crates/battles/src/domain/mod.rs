//! The pure part: text in, plain data out. No clock, no chance of its own, no sockets.

pub mod battle;
pub mod chance;
pub mod choice;
pub mod contestant;
pub mod dex;
pub mod fleet;
pub mod formats;
pub mod guess;
pub mod id;
pub mod lineup;
pub mod log;
pub mod lookout;
pub mod overhead;
pub mod popup;
pub mod protocol;
pub mod request;
pub mod run;
pub mod score;
pub mod seat;
pub mod team;
pub mod tournament;
pub mod words;

//! Speaking to a server: one connection, many battles, each with a channel and a task of its own.

mod battle;
mod board;
mod connection;
pub mod local;
mod login;
mod pace;
mod record;

pub use battle::{BattleEvent, Cost, Finished, PlayError, Settings, Thought, play, watch};
pub use board::{Board, Scene};
pub use connection::{Account, Client, ConnectError, Event, Events, Gone, Room, Searches, formats};
pub use login::{LoginError, PUBLIC as PUBLIC_LOGIN, Password};

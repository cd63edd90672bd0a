//! Battles: a bot that plays Pokémon Showdown battles, from the first frame to the last.
//!
//! [`domain`] is pure: it reads the protocol, keeps a battle's state, knows what may be chosen and guesses what is
//! hidden. [`players`] think: at random, greedily, or by a tree search over guessed worlds. [`io`] speaks to the
//! server, gives every battle a channel of its own, and answers each request once.
//!
//! Not here: how many battles are played, by whom and against whom. That is its caller's.

pub mod domain;
pub mod fuzz;
pub mod io;
pub mod limits;
pub mod players;

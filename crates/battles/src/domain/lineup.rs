//! What could never play: the same words for the command line and for HTTP.
//!
//! A check's error goes on after the name of what was asked for: "`usernames` must name each account once".
//!
//! Not here: whether the server knows a name, a format or a room. Only the server does.

use std::collections::BTreeSet;

use interlock_kernel::ids::Worker;

use super::{id::id, run::Mode};
use crate::limits;

/// What workers' names begin with unless told.
pub const WORKER_PREFIX: &str = "w";

/// Checks the accounts of a fleet, which may play a run of this mode if it is known.
///
/// # Errors
/// What they must be.
pub fn check_usernames(names: &[String], mode: Option<&Mode>) -> Result<(), String> {
    if names.is_empty() || names.len() > limits::ACCOUNTS {
        return Err(format!("must name 1 to {} accounts", limits::ACCOUNTS));
    }
    if names.iter().any(|name| name.chars().count() > limits::NAME_CHARS) {
        return Err(format!("must not be longer than {} characters each", limits::NAME_CHARS));
    }
    let accounts: BTreeSet<String> = names.iter().map(|name| id(name)).collect();
    if accounts.len() < names.len() || accounts.contains("") {
        return Err("must have letters or digits, and name each account once".to_owned());
    }
    if mode == Some(&Mode::SelfPlay) && !names.len().is_multiple_of(2) {
        return Err("must be pairs: the run plays against itself".to_owned());
    }
    Ok(())
}

/// Checks the address of a server's socket.
///
/// # Errors
/// What it must be.
pub fn check_socket(address: &str) -> Result<(), String> {
    let uri = address.parse::<hyper::Uri>();
    if uri.is_ok_and(|uri| matches!(uri.scheme_str(), Some("ws" | "wss")) && uri.host().is_some()) {
        return Ok(());
    }
    Err("must be the address of a socket: ws://HOST:PORT/showdown/websocket".to_owned())
}

/// The names of so many workers that begin like this.
///
/// # Errors
/// What the prefix must be. With a digit at its end names could meet: `b1` and `1` make `b11`, as `b` and `11` do.
pub fn worker_names(prefix: &str, count: u32) -> Result<Vec<Worker>, String> {
    if prefix.ends_with(|last: char| last.is_ascii_digit()) {
        return Err("must not end in a digit".to_owned());
    }
    let worker = |number| Worker::new(&format!("{prefix}{number}"));
    let named = Worker::new(prefix).and_then(|_| (0..count).map(worker).collect());
    named.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(names: &[&str], mode: Option<&Mode>, words: &str) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let refusal = check_usernames(&names, mode).unwrap_err();
        assert!(refusal.contains(words), "{refusal}");
    }

    #[test]
    fn accounts_have_names_that_servers_keep_and_tell_apart() {
        refuses(&[], None, "1 to 100");
        refuses(&["bot", "Bot"], None, "each account once");
        refuses(&["bot", ""], None, "letters or digits");
        refuses(&["a name of nineteen.", "b"], None, "18 characters");
        refuses(&["one", "two", "three"], Some(&Mode::SelfPlay), "pairs");
        let names = ["a name of eighteen".to_owned()];
        assert_eq!(check_usernames(&names, Some(&Mode::Ladder)), Ok(()));
    }

    #[test]
    fn a_socket_is_no_page() {
        for address in ["http://127.0.0.1:8000", "127.0.0.1:8000", "ws://", "local", ""] {
            assert!(check_socket(address).is_err(), "{address}");
        }
        for address in ["ws://127.0.0.1:8000/showdown/websocket", "wss://sim.example/showdown"] {
            assert_eq!(check_socket(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn workers_of_two_prefixes_never_meet() {
        assert!(worker_names("b1", 1).is_err() && worker_names("", 1).is_err());
        let names = worker_names("b", 2).unwrap();
        assert_eq!(names.iter().map(Worker::as_str).collect::<Vec<_>>(), ["b0", "b1"]);
        assert!(worker_names("no spaces", 1).is_err());
    }
}

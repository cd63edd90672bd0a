//! The program as people start it: the real process, from outside.

mod command_line;
mod serving;
mod stopping;
mod support;

//! Finds races: the shipping kernel in a simulated world, in every order and with every fault that production
//! will one day try.
//!
//! ```text
//! scenario ─► run: a stage in a simulated world ◄── chooser: whoever goes on, whatever fails
//!                        │                                 ▲
//!                        └─► violation? ─► search ─► shrink ─► timeline
//! ```
//!
//! [`world`] is the one thread on which everything happens; [`choice`] the only source of chance in it;
//! [`stage`] what a scenario says and checks; [`search`] tries schedules, or every order that can show,
//! [`shrink`] makes a failing one small, [`timeline`] prints it. [`node`] is a machine in it, [`faults`] what may
//! go wrong there, [`history`] what its clients were told, and [`linear`] whether any order explains that.
//! [`coverage`] tells what runs came to. [`live`] kills the real program instead, and [`check`] judges what was
//! recorded.

mod bus;
#[cfg(feature = "races")]
pub mod cases;
#[cfg(feature = "races")]
pub mod check;
pub mod choice;
pub mod coverage;
pub mod disk;
pub mod faults;
pub mod history;
mod invariants;
mod ledger;
pub mod linear;
#[cfg(feature = "races")]
pub mod live;
pub mod node;
#[cfg(feature = "races")]
pub mod own;
#[cfg(feature = "races")]
pub mod regressions;
#[cfg(feature = "races")]
pub mod report;
pub mod run;
pub mod search;
pub mod shrink;
pub mod stage;
pub mod timeline;
mod watch;
pub mod world;

//! How many lines of a battle are read and folded in a second, on one core.
//!
//!     cargo run --release -p interlock-battles --example read_lines

#![allow(clippy::print_stdout, reason = "an example, for people")]

use std::{hint::black_box, time::Instant};

use interlock_battles::domain::{battle::Battle, protocol::Line};

const RECORDED: &str = include_str!("../fixtures/one-p1.log");
const ROUNDS: usize = 1000;

fn main() {
    let lines: Vec<&str> = RECORDED.lines().filter(|line| !line.starts_with("|request|")).collect();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        let mut battle = Battle::default();
        lines.iter().for_each(|line| battle.fold(&Line::parse(black_box(line))));
        black_box(&battle);
    }
    let per_second = (lines.len() * ROUNDS) as f64 / began.elapsed().as_secs_f64();
    println!("{:.2} M lines a second", per_second / 1e6);
}

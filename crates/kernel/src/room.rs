//! The waiting room of an entity: commands whose decision was "not yet", in the order of arrival.
//!
//! Invariant: after [`Room::reconsider`] returned, nobody in the room could proceed on the state it was
//! shown. So a newcomer that can proceed overtakes nobody who could have used the same thing, and one
//! that cannot proceed blocks nobody behind it.
//!
//! Waiting is not durable: a command waits uncommitted, for a caller that waits for its answer.

use std::collections::VecDeque;

use crate::{limits, time::Time};

/// Waiting commands, first come first.
#[derive(Debug)]
pub struct Room<W> {
    waiting: VecDeque<(Time, W)>,
}

/// What came of deciding on a waiting command again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It changed the entity: those before it get another chance.
    Changed,
    /// It was answered, and nothing changed.
    Answered,
    /// It goes on waiting.
    Waits,
}

impl<W> Default for Room<W> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

impl<W> Room<W> {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the room holds [`limits::WAITERS`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= limits::WAITERS
    }

    /// Takes a command in, to wait until `until` at most; gives it back when the room is full.
    pub fn enter(&mut self, until: Time, waiter: W) -> Result<(), W> {
        if self.is_full() {
            return Err(waiter);
        }
        self.waiting.push_back((until, waiter));
        Ok(())
    }

    /// When the next wait ends.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.waiting.iter().map(|(until, _)| *until).min()
    }

    /// Those who wait, first come first.
    pub fn iter(&self) -> impl Iterator<Item = &W> {
        self.waiting.iter().map(|(_, waiter)| waiter)
    }

    /// Those who wait, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.waiting.iter_mut().map(|(_, waiter)| waiter)
    }

    /// Drops those who no longer want to wait.
    pub fn retain(&mut self, mut wants: impl FnMut(&W) -> bool) {
        self.waiting.retain(|(_, waiter)| wants(waiter));
    }

    /// Empties the room.
    pub fn drain(&mut self) -> impl Iterator<Item = W> + '_ {
        self.waiting.drain(..).map(|(_, waiter)| waiter)
    }

    /// Decides again on those whose wait is over at `now`, first come first.
    pub fn expire(&mut self, now: Time, mut decide: impl FnMut(&mut W) -> Again) -> bool {
        let mut changed = false;
        self.waiting.retain_mut(|(until, waiter)| {
            if *until > now {
                return true;
            }
            let again = decide(waiter);
            changed |= again == Again::Changed;
            again == Again::Waits
        });
        changed
    }

    /// Decides again on everyone, first come first, until nobody more can proceed. Call it after every
    /// change of the entity.
    pub fn reconsider(&mut self, mut decide: impl FnMut(&mut W) -> Again) {
        let mut index = 0;
        while index < self.waiting.len() {
            match decide(&mut self.waiting[index].1) {
                Again::Waits => index += 1,
                Again::Answered => {
                    self.waiting.remove(index);
                }
                Again::Changed => {
                    self.waiting.remove(index);
                    index = 0;
                }
            }
        }
    }
}

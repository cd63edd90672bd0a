//! The players of one stream: how far each has read, and what happens when the slowest hold the ring.
//!
//! The rule knows no clock. When there is no room for what the pull brings:
//! - a strict majority of the players is more than half a ring behind: the source is faster than its
//!   players, so the pull waits for them;
//! - otherwise it is a few players that are slow: those that hold the room are dropped.
//!
//! Invariant: a seat that is taken reads at or after every byte that the ring has let go.
//!
//! Not here: bytes (`ring`), locks and wakers (`hub`).

use std::task::Waker;

use super::disconnect::Disconnect;
use crate::limits;

/// A player that is further behind is slow.
pub(super) const HALF_RING: u64 = limits::RING_BYTES as u64 / 2;

/// Which seat a player has. Given again to another player after it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeatId(usize);

/// One player's place.
#[derive(Debug)]
pub(super) struct Seat {
    /// The offset of the next byte that this player gets.
    pub(super) next: u64,
    /// Set while the player has read everything.
    pub(super) waker: Option<Waker>,
    /// Ends the player's connection.
    pub(super) disconnect: Disconnect,
    /// The player was dropped; it has not noticed yet.
    pub(super) dropped: bool,
}

/// All players of one stream.
#[derive(Debug, Default)]
pub(super) struct Seats {
    seats: Vec<Option<Seat>>,
    free: Vec<SeatId>,
    /// Players that are neither gone nor dropped.
    present: usize,
}

/// What is to be done when the pull brings more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Nobody is in the way.
    Free,
    /// The pull waits for its players.
    Wait,
    /// Players that have not read up to the cut are dropped.
    Drop,
}

impl Seats {
    /// Players that are neither gone nor dropped.
    pub(super) fn present(&self) -> usize {
        self.present
    }

    /// Gives a player a seat.
    pub(super) fn take(&mut self, next: u64, disconnect: Disconnect) -> SeatId {
        self.present += 1;
        let seat = Seat { next, waker: None, disconnect, dropped: false };
        if let Some(id) = self.free.pop() {
            self.seats[id.0] = Some(seat);
            id
        } else {
            self.seats.push(Some(seat));
            SeatId(self.seats.len() - 1)
        }
    }

    /// The seat of a player that has not left.
    pub(super) fn get_mut(&mut self, id: SeatId) -> &mut Seat {
        self.seats[id.0].as_mut().expect("a player has its seat until it leaves")
    }

    /// Frees a seat.
    pub(super) fn leave(&mut self, id: SeatId) {
        let seat = self.seats[id.0].take().expect("a player leaves once");
        self.present -= usize::from(!seat.dropped);
        self.free.push(id);
    }

    /// Where the slowest player reads.
    pub(super) fn slowest(&self) -> Option<u64> {
        self.taken().map(|seat| seat.next).min()
    }

    /// What the rule says when everybody must have read up to `cut`, in a stream that has `end` bytes.
    pub(super) fn room(&self, cut: u64, end: u64) -> Room {
        if self.taken().all(|seat| seat.next >= cut) {
            return Room::Free;
        }
        if self.most_are_before(end.saturating_sub(HALF_RING)) { Room::Wait } else { Room::Drop }
    }

    /// Whether a strict majority of the players has not read up to `mark`.
    pub(super) fn most_are_before(&self, mark: u64) -> bool {
        2 * self.taken().filter(|seat| seat.next < mark).count() > self.present
    }

    /// Drops the players that have not read up to `cut`; `tell` is shown the seat of each.
    pub(super) fn drop_before(&mut self, cut: u64, mut tell: impl FnMut(&mut Seat)) {
        let seats = self.seats.iter_mut().flatten();
        for seat in seats.filter(|seat| !seat.dropped && seat.next < cut) {
            seat.dropped = true;
            self.present -= 1;
            tell(seat);
        }
    }

    /// Takes the wakers of all players that wait for bytes.
    pub(super) fn take_wakers(&mut self, into: &mut Vec<Waker>) {
        into.extend(self.seats.iter_mut().flatten().filter_map(|seat| seat.waker.take()));
    }

    fn taken(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().flatten().filter(|seat| !seat.dropped)
    }
}

#[cfg(test)]
mod tests;

//! Watching a battle of others, from its first line to its last. However long they think: nothing is asked for anew.

use super::{super::board::Board, BattleEvent, Finished, PlayError, Room, leave_lost, take_leave};
use crate::domain::protocol::Frame;

/// Watches a battle to its end, then leaves its room.
///
/// # Errors
/// [`PlayError::Gone`]: the connection or the room is gone.
pub async fn watch(mut room: Room, tell: impl FnMut(BattleEvent)) -> Result<Finished, PlayError> {
    let watched = follow(&mut room, tell).await;
    leave_lost(&room, watched).await
}

async fn follow(room: &mut Room, mut tell: impl FnMut(BattleEvent)) -> Result<Finished, PlayError> {
    let (id, board) = (room.id().to_owned(), Board::default());
    tell(BattleEvent::Opened { room: id.clone(), board: board.clone() });
    while let Some(message) = room.next().await {
        let Some(frame) = Frame::parse(&message) else { continue };
        board.keep(&frame);
        for line in frame.lines() {
            // Nobody asks us for anything.
            board.hear(&line);
        }
        board.tell();
        if let Some(end) = board.end() {
            take_leave(room, &board).await;
            return Ok(Finished { room: id, end, turns: board.turn(), log: board.take_log() });
        }
    }
    Err(PlayError::Gone { room: id })
}

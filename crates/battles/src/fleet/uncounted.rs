//! Battles that are played and not counted, since somebody else of the run counts them.

use super::{
    FleetError, Team,
    session::{NotFound, Session},
};
use crate::io::{self, Settings};

/// Plays battles that nobody counts: the other side of a bot that plays against itself.
pub(super) async fn spar(
    session: Session,
    team: Option<Team>,
    mut playing: Settings,
) -> Result<(), FleetError> {
    let packed = || team.as_ref().map(|team| team.packed.clone());
    loop {
        let room = match session.find(packed()).await {
            Ok(room) => room,
            Err(NotFound::Draining) => return Ok(()),
            Err(
                refused @ (NotFound::BadTeam(_)
                | NotFound::BadFormat(_)
                | NotFound::NoRoom(_)
                | NotFound::Broken(_)),
            ) => {
                return Err(FleetError::Refused(refused));
            }
        };
        playing.seed = playing.seed.wrapping_add(1);
        let (name, opponent) = (room.id().to_owned(), room.opponent(session.me()));
        play_along(&session, name, opponent, room, &playing).await?;
    }
}

/// Plays a battle that somebody else counts.
pub(super) async fn play_along(
    session: &Session,
    name: String,
    opponent: Option<String>,
    room: io::Room,
    playing: &Settings,
) -> Result<(), FleetError> {
    let mut room = Some(room);
    while let Some(here) = room.take() {
        if io::play(here, playing, |_| {}).await.is_err() {
            let again = session.again(&name, session.me(), opponent.as_deref()).await;
            room = again.map_err(FleetError::Refused)?;
        }
    }
    session.done(&name).await;
    Ok(())
}

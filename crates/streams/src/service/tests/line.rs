//! Who waits for a slot, in which order, and who is told at once that there is none.

use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::*;

fn digits(streams: impl IntoIterator<Item = u64>) -> Vec<String> {
    streams.into_iter().map(|stream| format!("{stream:040x}")).collect()
}

#[tokio::test]
async fn as_many_wait_as_there_are_slots_to_come_and_they_get_them_in_order() {
    let stage = Stage::new(3, Millis::from_secs(60)).await;
    let closing = [stage.closes("a").await, stage.closes("b").await];
    stage.takes("c").await;
    let one = stage.plays(1);
    stage.until_line_is(1).await;
    let two = stage.plays(2);
    stage.until_line_is(2).await;
    stage.is_refused(3).await;
    stage.is_refused(4).await;

    stage.frees(closing[0]).await;
    let _one = flows(one).await;
    assert_eq!((stage.started(), stage.line()), (digits([1]), 1), "the other waits");
    stage.is_refused(5).await;
    stage.frees(closing[1]).await;
    let _two = flows(two).await;
    assert_eq!((stage.started(), stage.line()), (digits([1, 2]), 0));
}

#[tokio::test]
async fn of_many_that_come_at_once_no_more_wait_than_there_are_slots_to_come() {
    let stage = Stage::new(3, Millis::from_secs(60)).await;
    let closing = [stage.closes("a").await, stage.closes("b").await];
    stage.takes("c").await;
    let mut playing: Vec<_> = (0..40).map(|stream| stage.plays(stream)).collect();
    let refused = async move {
        while playing.len() > 2 {
            let (ended, _, rest) = futures_util::future::select_all(playing).await;
            assert!(matches!(ended.unwrap(), Err(PlayError::Full { .. })));
            playing = rest;
        }
        playing
    };
    let waiting = soon("all but two to be refused", refused).await;
    stage.frees(closing[1]).await;
    stage.frees(closing[0]).await;
    let players = join_all(waiting.into_iter().map(flows)).await;
    assert_eq!((players.len(), stage.started().len()), (2, 2));
}

#[tokio::test]
async fn a_newcomer_does_not_overtake_who_waits() {
    let stage = Stage::new(1, Millis::from_secs(60)).await;
    let closing = stage.closes("a").await;
    let first = stage.plays(1);
    stage.until_line_is(1).await;
    // The slot becomes free, and at the same moment somebody else comes.
    let (_, second) = tokio::join!(stage.frees(closing), stage.plays(2));
    assert!(matches!(second.unwrap(), Err(PlayError::Full { .. })));
    let _first = flows(first).await;
    assert_eq!(stage.started(), digits([1]));
}

#[tokio::test]
async fn who_hopes_for_the_slot_of_a_stream_is_told_at_once_when_its_player_comes_back() {
    let stage = Stage::new(1, Millis::from_secs(60)).await;
    stage.fake.change(|settings| settings.on_start = OnStart::Hang);
    let leaves = stage.plays(1);
    stage.fake.wait_until(|stats| stats.started == 1).await;
    leaves.abort();
    leaves.await.unwrap_err();
    let shared = &stage.service.0;
    let lease = shared.streams().unwatched()[0];

    let hopes = stage.plays(2);
    stage.until_line_is(1).await;
    let back = stage.plays(1);
    let told = soon("an answer", hopes).await.unwrap();
    assert!(matches!(told, Err(PlayError::Full { .. })), "{told:?}");
    shared.streams().ask_to_give_way(lease);
    assert!(!shared.streams().held[&lease].live.asked.load(Relaxed), "it is watched again");
    back.abort();
}

#[tokio::test]
async fn one_stream_that_nobody_watches_gives_way_to_one_who_asks() {
    let fake = fake().await;
    let config = Config { linger: Millis::from_secs(60), ..config(&fake, 2) };
    let stage = Stage { service: service(config).await, fake };
    let _watched = flows(stage.plays(1)).await;
    drop(flows(stage.plays(2)).await);
    let playing: Vec<_> = (3..9).map(|stream| stage.plays(stream)).collect();
    let ended = soon("an answer to all", join_all(playing)).await;
    let (got, refused): (Vec<_>, Vec<_>) =
        ended.into_iter().map(Result::unwrap).partition(Result::is_ok);
    assert!(refused.iter().all(|played| matches!(played, Err(PlayError::Full { .. }))));
    assert_eq!((got.len(), stage.started()), (1, digits([1, 2, 3])), "the first to ask");
}

/// The moment at which a player was told that its time is over.
async fn out_of_time(playing: JoinHandle<Played>) -> Instant {
    match playing.await.unwrap() {
        Err(PlayError::OutOfTime(_)) => Instant::now(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_player_has_its_own_time_and_the_start_goes_on_for_the_last() {
    let stage = Stage::new(1, Millis::from_secs(8)).await;
    stage.closes("a").await;
    let begun = Instant::now();
    let first = tokio::spawn(out_of_time(stage.plays(1)));
    stage.until_line_is(1).await;
    tokio::time::sleep_until(begun + Duration::from_secs(6)).await;
    let second = tokio::spawn(out_of_time(stage.plays(1)));
    let first = first.await.unwrap() - begun;
    assert_eq!((first.as_secs(), stage.line()), (8, 1), "it waits on for the second");
    let second = second.await.unwrap() - begun;
    assert_eq!(second.as_secs(), 14);
    stage.until_line_is(0).await;
}

//! The hub: what players get, where they begin, who waits and who is dropped.

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use interlock_streams::{
    fake::counted::{BLOCK, Check},
    io::{
        disconnect::Disconnect,
        hub::{Closed, Feed, Hub, JoinError, Player, PlayerError, hub},
        ts::PACKET_BYTES,
    },
    limits::{BURST_HOLD, CATCH_UP, FRAME_BYTES, JOIN_WINDOW_BYTES, RING_BYTES, STALL},
};
use tokio::{
    task::JoinHandle,
    time::{advance, sleep, timeout},
};

use crate::support::{counted, next, rest, soon};

/// Whole packets in a frame, and the bytes of them.
const FRAME_PACKETS: usize = FRAME_BYTES / PACKET_BYTES;
const FRAME: usize = FRAME_PACKETS * PACKET_BYTES;
/// As many frames as the ring has room for.
const RING_FRAMES: usize = RING_BYTES / FRAME;

fn join(hub: &Hub) -> Player {
    hub.join(Disconnect::default()).unwrap()
}

/// Filling without meaning: nobody looks at it.
fn frame() -> Bytes {
    Bytes::from_static(&[0x47; FRAME])
}

/// Pushes a burst of frames for which there is room.
async fn burst(feed: &mut Feed, frames: usize) {
    for _ in 0..frames {
        timeout(2 * BURST_HOLD, feed.push(frame())).await.expect("there is room").unwrap();
    }
}

/// Pushes frames that nobody has to wait for.
fn push(feed: &mut Feed, frames: usize) {
    for _ in 0..frames {
        feed.push(frame()).now_or_never().expect("there is room").unwrap();
    }
}

fn push_bytes(feed: &mut Feed, bytes: Bytes) {
    feed.push(bytes).now_or_never().expect("there is room").unwrap();
}

/// Takes frames that are there.
fn take(player: &mut Player, frames: usize) {
    for _ in 0..frames {
        let frame = player.frame().now_or_never().expect("there is a frame");
        assert!(frame.expect("the stream goes on").is_ok());
    }
}

/// All that is there, up to the clean end.
fn drain(player: &mut Player) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(frame) = player.frame().now_or_never().expect("a frame or the end is there") {
        all.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    all
}

async fn must_wait(feed: &mut Feed) {
    let pushed = timeout(2 * BURST_HOLD, feed.push(frame())).await;
    assert!(pushed.is_err(), "the pull should wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_players_get_every_byte_from_the_first() {
    const FRAMES: usize = 100;
    let (mut feed, hub) = hub();
    let players: Vec<_> = (0..100)
        .map(|_| {
            let mut player = join(&hub);
            tokio::spawn(async move {
                let mut hash = crc32fast::Hasher::new();
                while let Some(bytes) = next(&mut player).await {
                    hash.update(&bytes);
                }
                hash.finalize()
            })
        })
        .collect();
    let mut hash = crc32fast::Hasher::new();
    for index in 0..FRAMES {
        let bytes = counted((index * FRAME_PACKETS) as u64, FRAME_PACKETS);
        hash.update(&bytes);
        feed.push(bytes).await.unwrap();
    }
    drop(feed);
    let expected = hash.finalize();
    for player in players {
        assert_eq!(soon("a player", player).await.unwrap(), expected);
    }
}

#[test]
fn pieces_of_any_size_arrive_unchanged_and_in_order() {
    let (mut feed, hub) = hub();
    let mut player = join(&hub);
    let stream = counted(0, 3 * FRAME_PACKETS);
    let mut left = stream.clone();
    for size in [1, 187, 188, 1316, 100_000, 2 * FRAME_BYTES, usize::MAX] {
        push_bytes(&mut feed, left.split_to(size.min(left.len())));
    }
    drop(feed);
    assert!(drain(&mut player) == stream, "the bytes differ");
}

#[test]
fn a_later_player_begins_at_the_newest_pat_with_what_is_there() {
    let (mut feed, hub) = hub();
    // Cut so that packets lie across frames.
    for piece in counted(0, 1000).chunks(1000) {
        push_bytes(&mut feed, Bytes::copy_from_slice(piece));
    }
    let mut player = join(&hub);
    drop(feed);
    let mut check = Check::default();
    check.next(&drain(&mut player)).unwrap();
    assert_eq!(check.first_packet(), Some(1000 / BLOCK * BLOCK));
    assert_eq!(check.next_offset(), Some(1000 * PACKET_BYTES as u64));
}

#[test]
fn a_player_begins_at_a_pat_that_is_whole() {
    let (mut feed, hub) = hub();
    push_bytes(&mut feed, counted(0, 65).slice(..64 * PACKET_BYTES + 187));
    let mut player = join(&hub);
    drop(feed);
    assert_eq!(
        drain(&mut player).len(),
        64 * PACKET_BYTES + 187,
        "the second PAT has not arrived whole"
    );
}

#[test]
fn without_a_pat_a_player_begins_at_the_oldest_packet_of_the_window() {
    let (mut feed, hub) = hub();
    let packets = JOIN_WINDOW_BYTES / PACKET_BYTES * 2;
    let mut stream = BytesMut::new();
    for index in 0..packets as u64 {
        let without_tables = index / 62 * BLOCK + 2 + index % 62;
        stream.extend_from_slice(&counted(without_tables, 1));
    }
    let stream = stream.freeze();
    push_bytes(&mut feed, stream.clone());
    let mut player = join(&hub);
    drop(feed);
    let got = drain(&mut player);
    assert_eq!(got.len(), JOIN_WINDOW_BYTES / PACKET_BYTES * PACKET_BYTES);
    assert!(stream.ends_with(&got), "the bytes differ");
}

#[test]
fn a_player_finds_a_packet_after_the_stream_lost_some_bytes() {
    let (mut feed, hub) = hub();
    push_bytes(&mut feed, counted(0, 100).slice(..5000));
    push_bytes(&mut feed, counted(320, 100));
    let mut player = join(&hub);
    drop(feed);
    let mut check = Check::default();
    check.next(&drain(&mut player)).unwrap();
    assert_eq!(check.first_packet(), Some(384));
}

#[test]
fn something_without_packets_is_joined_at_the_window() {
    let (mut feed, hub) = hub();
    push_bytes(&mut feed, Bytes::from(vec![7; 2 * JOIN_WINDOW_BYTES]));
    let mut player = join(&hub);
    drop(feed);
    assert_eq!(drain(&mut player).len(), JOIN_WINDOW_BYTES);
}

#[test]
fn memory_is_the_join_window_when_players_keep_up() {
    let (mut feed, hub) = hub();
    let mut player = join(&hub);
    for _ in 0..3 * RING_FRAMES {
        push(&mut feed, 1);
        take(&mut player, 1);
    }
    let held = hub.stats().held_bytes;
    assert!((JOIN_WINDOW_BYTES..JOIN_WINDOW_BYTES + 2 * FRAME).contains(&held), "{held} bytes");
}

#[tokio::test(start_paused = true)]
async fn one_stalled_player_of_ten_does_not_slow_the_others_and_is_dropped() {
    let (mut feed, hub) = hub();
    let disconnect = Disconnect::default();
    let mut stalled = hub.join(disconnect.clone()).unwrap();
    let mut others: Vec<Player> = (0..9).map(|_| join(&hub)).collect();
    for _ in 0..3 * RING_FRAMES {
        // A stream that is slow enough to tell who has stalled: nobody ever waits.
        advance(STALL / 50).await;
        push(&mut feed, 1);
        others.iter_mut().for_each(|player| take(player, 1));
        assert!(hub.stats().held_bytes <= RING_BYTES);
    }
    assert_eq!((hub.stats().players, hub.stats().dropped), (9, 1));
    let told = disconnect.unless_called(std::future::pending::<()>()).now_or_never();
    assert_eq!(told, Some(None), "its connection is told to end");
    let frame = stalled.frame().now_or_never().unwrap().unwrap();
    assert!(matches!(frame, Err(PlayerError::FellBehind)));
}

/// Pushes as fast as the hub takes it while ten players take what there is, but for the stalled ones.
/// Returns how long that took, and who got everything.
async fn race(stalled: usize, slow: usize) -> (std::time::Duration, usize, u64) {
    const FRAMES: usize = 3 * RING_FRAMES;
    let began = tokio::time::Instant::now();
    let (mut feed, hub) = hub();
    let stay: Vec<Player> = (0..stalled).map(|_| join(&hub)).collect();
    let reading: Vec<_> = (0..10 - stalled)
        .map(|index| {
            let mut player = join(&hub);
            tokio::spawn(async move {
                let mut frames = 0;
                while let Some(Ok(_)) = player.frame().await {
                    frames += 1;
                    if index < slow {
                        sleep(STALL / 2).await;
                    }
                }
                frames == FRAMES
            })
        })
        .collect();
    for _ in 0..FRAMES {
        feed.push(frame()).await.unwrap();
    }
    let took = began.elapsed();
    drop(feed);
    let mut complete = 0;
    for player in reading {
        complete += usize::from(player.await.unwrap());
    }
    drop(stay);
    (took, complete, hub.stats().dropped)
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_from_an_unlimited_source_gets_everything() {
    assert_eq!(race(0, 0).await.1, 10);
    let (took, complete, dropped) = race(1, 0).await;
    assert_eq!((complete, dropped), (9, 1));
    assert!((STALL..=STALL + STALL / 10).contains(&took), "one stall is waited for once: {took:?}");
    let (took, complete, dropped) = race(9, 0).await;
    assert_eq!((complete, dropped), (1, 9));
    assert!(took <= STALL + STALL / 10, "the only one that reads is not held up: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_trickling_player_holds_up_an_unlimited_source_once() {
    let (took, complete, dropped) = race(0, 2).await;
    assert_eq!((complete, dropped), (8, 2));
    assert!(took <= CATCH_UP + STALL, "{took:?}");
}

#[test]
fn nobody_is_dropped_while_the_ring_has_room() {
    let (mut feed, hub) = hub();
    let mut stalled = join(&hub);
    let mut others = [join(&hub), join(&hub)];
    for _ in 0..RING_FRAMES {
        push(&mut feed, 1);
        others.iter_mut().for_each(|player| take(player, 1));
    }
    assert_eq!(hub.stats().dropped, 0);
    take(&mut stalled, RING_FRAMES);
}

#[tokio::test(start_paused = true)]
async fn a_single_slow_player_is_waited_for() {
    let (mut feed, hub) = hub();
    let mut player = join(&hub);
    burst(&mut feed, RING_FRAMES).await;
    must_wait(&mut feed).await;
    take(&mut player, 1);
    burst(&mut feed, 1).await;
    must_wait(&mut feed).await;
    assert_eq!(hub.stats().dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn the_pull_waits_while_most_players_are_slow() {
    let (mut feed, hub) = hub();
    let mut slow = [join(&hub), join(&hub)];
    let mut quick = join(&hub);
    for _ in 0..RING_FRAMES {
        burst(&mut feed, 1).await;
        take(&mut quick, 1);
    }
    must_wait(&mut feed).await;
    take(&mut slow[0], 1);
    must_wait(&mut feed).await;
    take(&mut slow[1], 1);
    burst(&mut feed, 1).await;
    assert_eq!(hub.stats().dropped, 0);
}

/// Lets a pull push one frame more than the ring holds, in a task of its own, so that only the hub can
/// wake it, and returns when it waits.
async fn waiting_pull(mut feed: Feed) -> JoinHandle<Result<(), Closed>> {
    must_wait(&mut feed).await;
    let pushing = tokio::spawn(async move { feed.push(frame()).await });
    tokio::task::yield_now().await;
    assert!(!pushing.is_finished());
    pushing
}

#[tokio::test(start_paused = true)]
async fn a_waiting_pull_goes_on_when_its_players_have_read() {
    let (mut feed, hub) = hub();
    let mut players = [join(&hub), join(&hub)];
    burst(&mut feed, RING_FRAMES).await;
    let pull = waiting_pull(feed).await;
    take(&mut players[0], 1);
    tokio::task::yield_now().await;
    assert!(!pull.is_finished(), "the other one still needs the room");
    take(&mut players[1], 1);
    soon("the pull", pull).await.unwrap().unwrap();
    assert_eq!(hub.stats().dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_pull_goes_on_when_a_slow_player_leaves() {
    let (mut feed, hub) = hub();
    let slow = join(&hub);
    burst(&mut feed, RING_FRAMES).await;
    let pull = waiting_pull(feed).await;
    drop(slow);
    soon("the pull", pull).await.unwrap().unwrap();
    assert_eq!(hub.stats().players, 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_pull_drops_the_last_laggard_when_the_others_have_caught_up() {
    let (mut feed, hub) = hub();
    let laggard = join(&hub);
    let mut others = [join(&hub), join(&hub)];
    burst(&mut feed, RING_FRAMES).await;
    others.iter_mut().for_each(|player| take(player, 1));
    let pull = waiting_pull(feed).await;
    others.iter_mut().for_each(|player| take(player, RING_FRAMES / 2));
    soon("the pull", pull).await.unwrap().unwrap();
    assert_eq!((hub.stats().players, hub.stats().dropped), (2, 1));
    drop(laggard);
    assert_eq!(hub.stats().players, 2, "it was counted out already");
}

#[tokio::test(start_paused = true)]
async fn a_closed_hub_refuses_a_waiting_pull() {
    let (mut feed, hub) = hub();
    let _slow = join(&hub);
    burst(&mut feed, RING_FRAMES).await;
    let pull = waiting_pull(feed).await;
    hub.close();
    assert_eq!(soon("the pull", pull).await.unwrap(), Err(Closed));
}

#[tokio::test]
async fn waiting_players_are_woken_by_bytes_and_by_the_end() {
    let (mut feed, hub) = hub();
    let mut player = join(&hub);
    let playing = tokio::spawn(async move { rest(&mut player).await.len() });
    for _ in 0..3 {
        tokio::task::yield_now().await;
        push(&mut feed, 1);
    }
    tokio::task::yield_now().await;
    drop(feed);
    assert_eq!(soon("the end", playing).await.unwrap(), 3 * FRAME);
}

#[tokio::test]
async fn players_get_what_is_kept_and_then_a_clean_end() {
    let (mut feed, hub) = hub();
    let mut behind = join(&hub);
    let mut ahead = join(&hub);
    push(&mut feed, 5);
    take(&mut ahead, 5);
    drop(feed);
    assert_eq!(next(&mut ahead).await, None);
    assert_eq!(rest(&mut behind).await.len(), 5 * FRAME);
    assert_eq!(hub.join(Disconnect::default()).unwrap_err(), JoinError::Ended);
}

#[tokio::test(start_paused = true)]
async fn the_owner_sees_players_come_go_and_fall_behind() {
    let (mut feed, hub) = hub();
    let mut count = hub.players();
    assert_eq!(*count.borrow_and_update(), 0);
    let stalled = join(&hub);
    let mut others = [join(&hub), join(&hub)];
    assert_eq!(*count.borrow_and_update(), 3);
    advance(STALL).await;
    for _ in 0..=RING_FRAMES {
        push(&mut feed, 1);
        others.iter_mut().for_each(|player| take(player, 1));
    }
    assert_eq!(*count.borrow_and_update(), 2);
    drop(others);
    assert_eq!(*count.borrow_and_update(), 0);
    drop(stalled);
    assert!(!count.has_changed().unwrap());
}

#[test]
fn a_stream_without_players_goes_on_and_keeps_the_join_window() {
    let (mut feed, hub) = hub();
    push(&mut feed, 2 * RING_FRAMES);
    assert!(hub.stats().held_bytes < JOIN_WINDOW_BYTES + 2 * FRAME);
    let mut player = join(&hub);
    drop(feed);
    assert!(!drain(&mut player).is_empty());
}

#[test]
fn a_hub_has_a_limit_of_players() {
    let (_feed, hub) = hub();
    let players: Vec<Player> =
        (0..interlock_streams::limits::PLAYERS).map(|_| join(&hub)).collect();
    assert_eq!(hub.join(Disconnect::default()).unwrap_err(), JoinError::Full);
    drop(players);
    join(&hub);
}

//! Whole streams over HTTP: fake engine, pull, hub, a server, and players, real ones among them.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use interlock_streams::{
    fake::{Content, FakeEngine, PATTERN, Settings, Speed, counted::Check},
    io::{
        engine::Engine,
        hub::{Hub, hub},
        pull::PullEnd,
        ts::PACKET_BYTES,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use crate::support::{counted, deadline, play, serve, serve_counted, soon, started};

/// A stream from a fake engine, served to players.
struct Stage {
    _fake: FakeEngine,
    hub: Hub,
    address: SocketAddr,
    pull: JoinHandle<PullEnd>,
}

impl Stage {
    /// The stream begins to flow when it has so many players.
    async fn new(settings: Settings, players: usize) -> Self {
        let fake = FakeEngine::start(settings).await.unwrap();
        let engine = Engine::new(fake.url());
        let session = started(&engine, "news", "p").await;
        let (mut feed, hub) = hub();
        let mut count = hub.players();
        let pull = tokio::spawn(async move {
            count.wait_for(|count| *count >= players).await.unwrap();
            let pull = engine.open(&session, deadline()).await.unwrap();
            pull.feed(&mut feed, Duration::from_secs(60)).await
        });
        let address = serve(hub.clone()).await;
        Self { _fake: fake, hub, address, pull }
    }
}

fn unlimited() -> Settings {
    Settings { speed: Speed::Unlimited, ..Settings::default() }
}

async fn frame(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    let frame = soon("a frame", body.frame()).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// Joins, and checks so many bytes of the stream from its first one. The body may be read on.
async fn play_and_check(address: SocketAddr, bytes: u64) -> Incoming {
    let mut body = play(address).await;
    let mut check = Check::default();
    while check.next_offset().is_none_or(|offset| offset < bytes) {
        check.next(&frame(&mut body).await.unwrap().unwrap()).unwrap();
    }
    assert_eq!(check.first_packet(), Some(0));
    body
}

/// Players that do the same, each in its own task.
async fn players(count: usize, address: SocketAddr, bytes: u64) -> Vec<Incoming> {
    let playing = (0..count).map(|_| tokio::spawn(play_and_check(address, bytes)));
    join_all(playing).await.into_iter().map(Result::unwrap).collect()
}

/// The stream goes on only as the nine read it: a source that outruns its players may make the hub drop
/// one that is merely late, and then this would test the scheduler.
#[tokio::test]
async fn nine_players_go_on_while_a_tenth_has_stalled_until_it_is_cut_off() {
    const PUSH_PACKETS: u64 = 1000;
    let (mut feed, hub) = hub();
    let (address, mut connections) = serve_counted(hub.clone()).await;
    let mut stalled = TcpStream::connect(address).await.unwrap();
    stalled.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let mut others = join_all((0..9).map(|_| play(address))).await;
    let mut count = hub.players();
    soon("the players", count.wait_for(|count| *count == 10)).await.unwrap();

    let mut checks: Vec<Check> = others.iter().map(|_| Check::default()).collect();
    // Far more than the ring and all sockets on the way hold.
    for first in (0..400).map(|push| push * PUSH_PACKETS) {
        soon("room", feed.push(counted(first, PUSH_PACKETS as usize))).await.unwrap();
        let end = (first + PUSH_PACKETS) * PACKET_BYTES as u64;
        for (body, check) in others.iter_mut().zip(&mut checks) {
            while check.next_offset() != Some(end) {
                check.next(&frame(body).await.unwrap().unwrap()).unwrap();
            }
        }
    }
    assert_eq!((hub.stats().players, hub.stats().dropped), (9, 1));

    // It has read nothing so far: the server ends its connection all the same.
    soon("the cut", connections.wait_for(|open| *open == 9)).await.unwrap();
    let mut got = Vec::new();
    let _reset_or_end = soon("the connection to end", stalled.read_to_end(&mut got)).await;
    assert!(!got.ends_with(b"0\r\n\r\n"), "a truncated stream must not look complete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_that_leave_at_full_speed_are_noticed_and_disturb_nobody() {
    let stage = Stage::new(unlimited(), 50).await;
    let mut bodies = players(50, stage.address, 1 << 20).await;
    let mut last = bodies.swap_remove(0);
    drop(bodies);
    let mut count = stage.hub.players();
    let alone = async { count.wait_for(|count| *count == 1).await.map(|_| ()) };
    // Nobody leaves unnoticed because the stream pauses: one player reads on.
    let reading = async {
        loop {
            frame(&mut last).await.unwrap().unwrap();
        }
    };
    tokio::select! {
        alone = soon("the departures", alone) => alone.unwrap(),
        () = reading => (),
    }
}

#[tokio::test]
async fn a_player_that_leaves_a_silent_stream_is_noticed() {
    let (_feed, hub) = hub();
    let address = serve(hub.clone()).await;
    let body = play(address).await;
    let mut count = hub.players();
    soon("the player", count.wait_for(|count| *count == 1)).await.unwrap();
    drop(body);
    soon("the departure", count.wait_for(|count| *count == 0)).await.unwrap();
}

#[tokio::test]
async fn a_joining_player_waits_for_nothing() {
    let (mut feed, hub) = hub();
    let address = serve(hub.clone()).await;
    feed.push(counted(0, 70)).await.unwrap();
    let mut body = play(address).await;
    let first = frame(&mut body).await.unwrap().unwrap();
    assert!(first == counted(64, 6), "what is there, from the newest PAT on");
}

#[tokio::test]
async fn a_stream_that_ends_ends_properly_for_its_players() {
    let (mut feed, hub) = hub();
    let address = serve(hub.clone()).await;
    let mut player = TcpStream::connect(address).await.unwrap();
    player.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut count = hub.players();
    soon("the player", count.wait_for(|count| *count == 1)).await.unwrap();
    feed.push(counted(0, 10)).await.unwrap();
    drop(feed);
    let mut got = Vec::new();
    soon("the end", player.read_to_end(&mut got)).await.unwrap();
    assert!(got.ends_with(b"\r\n0\r\n\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_dies_ends_the_stream_with_all_that_arrived() {
    let stage = Stage::new(Settings { break_after_bytes: Some(5 << 20), ..unlimited() }, 1).await;
    let mut body = play(stage.address).await;
    let mut got = Check::default();
    while let Some(bytes) = frame(&mut body).await {
        got.next(&bytes.expect("a proper end")).unwrap();
    }
    assert_eq!(got.next_offset(), Some(stage.hub.stats().received_bytes));
    assert!(stage.hub.stats().received_bytes > 4 << 20);
    assert!(matches!(soon("the pull", stage.pull).await.unwrap(), PullEnd::Failed(_)));
}

/// Runs a program of Debian's package `ffmpeg`; what it prints and whether it complained.
async fn ffmpeg(program: &str, arguments: &[&str]) -> (String, String) {
    let mut command = Command::new(program);
    command.args(["-v", "warning"]).args(arguments).stdin(Stdio::null());
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = soon(program, running).await.unwrap().unwrap_or_else(|error| {
        panic!("this test needs {program} ({error}): install the package `ffmpeg`")
    });
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

fn demo() -> Settings {
    Settings { speed: Speed::Unlimited, ..Settings::demo() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_plays_three_rounds_of_the_pattern_without_a_complaint() {
    let stage = Stage::new(demo(), 1).await;
    let url = format!("http://{}/", stage.address);
    // Three rounds of 240 frames, checked for errors and decoded.
    let arguments =
        ["-err_detect", "explode", "-i", &url, "-frames:v", "720", "-f", "framemd5", "-"];
    let (frames, complaints) = ffmpeg("ffmpeg", &arguments).await;
    assert_eq!(complaints, "");
    let is_video = |line: &&str| line.starts_with("0,");
    assert_eq!(frames.lines().filter(is_video).count(), 720);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffprobe_finds_picture_and_sound_for_a_first_and_a_later_player() {
    let stage = Stage::new(demo(), 1).await;
    let url = format!("http://{}/", stage.address);
    let arguments = ["-show_entries", "stream=codec_name", "-of", "csv=p=0", "-i", &url];
    for player in ["first", "later"] {
        let (streams, _) = ffmpeg("ffprobe", &arguments).await;
        let streams: Vec<&str> = streams.split_whitespace().collect();
        assert!(streams.contains(&"h264") && streams.contains(&"aac"), "{player}: {streams:?}");
    }
}

#[test]
fn the_pattern_is_whole_packets_and_small() {
    assert_eq!(PATTERN.len() % PACKET_BYTES, 0);
    assert!(PATTERN.len() <= 400 << 10);
    assert!(matches!(Settings::demo().content, Content::Looped(_)));
}

//! What goes wrong while a stream flows: engines die, players stall, the store refuses.

use std::time::Duration;

use bytes::BytesMut;
use interlock_kernel::{ids::Member, time::Millis};
use interlock_runtime::store::{
    StoreError,
    memory::{AppendFault, MemoryStore},
};
use interlock_streams::{
    domain::engines::Ending as Why,
    fake::{Ending, Settings, Speed, counted},
    io::engine::EngineUrl,
    service::EngineConfig,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Process, config, engines, soon, stream_path};

#[tokio::test]
async fn when_an_engine_dies_its_players_end_cleanly_and_its_slot_waits_for_its_idle_time() {
    let fakes = engines(1, Settings { limit: 1, ..Settings::default() }).await;
    let mut config = config(&fakes, 1);
    config.engine_idle = Millis(1_500);
    let process = Process::new(config).await;
    let (mut one, mut two) = (process.plays(1).await, process.plays_on(1).await);
    fakes[0].kill().await;
    one.ends().await;
    two.ends().await;
    let closing = |seen: &interlock_streams::service::Overview| seen.engines[0].closing == 1;
    process.until("its slot to be closing", closing).await;
    fakes[0].revive().await.unwrap();
    // It comes back at once; but nobody knows whether it is the same engine, so its slot is not used yet.
    let _next = process.plays(2).await;
    let history = process.service.history(1).await.unwrap();
    assert_eq!(history[0].ending, Why::EngineEnded);
    assert_eq!(fakes[0].stats().over_limit, 0);
}

#[tokio::test]
async fn a_stream_that_broke_off_begins_anew_for_who_asks_again() {
    let fakes =
        engines(2, Settings { break_after_bytes: Some(300_000), ..Settings::default() }).await;
    let process = Process::new(config(&fakes, 1)).await;
    let mut playing = process.plays(1).await;
    playing.ends().await;
    let again = process.plays(1).await;
    assert_eq!(again.check.first_packet(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_player_slows_nobody_and_its_connection_ends() {
    let fakes = engines(1, Settings { speed: Speed::Unlimited, ..Settings::default() }).await;
    let process = Process::new(config(&fakes, 1)).await;
    let mut stalled = TcpStream::connect(process.address).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", stream_path(1));
    stalled.write_all(request.as_bytes()).await.unwrap();
    let mut others = vec![process.plays(1).await, process.plays_on(1).await];
    let mut dropped = 0;
    while dropped == 0 {
        for other in &mut others {
            other.reads_on(4 << 20).await;
        }
        dropped = process.service.overview().await.streams[0].dropped;
    }
    let mut got = Vec::new();
    let _reset_or_end = soon("the connection to end", stalled.read_to_end(&mut got)).await;
    assert!(!got.ends_with(b"0\r\n\r\n"), "a truncated stream must not look complete");
    for other in &mut others {
        other.reads_on(1 << 20).await;
    }
}

/// An engine that sends a few packets and then nothing, for ever.
async fn falls_silent() -> EngineUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let session = serde_json::json!({"error": null, "response": {
        "playback_url": "http://engine/ace/r/h/s", "stat_url": "http://engine/ace/stat/h/s",
        "command_url": "http://engine/ace/cmd/h/s", "infohash": "h", "playback_session_id": "s", "is_live": 1,
    }});
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let session = session.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let count = socket.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..count]).into_owned();
                let body = if request.contains("/ace/getstream") {
                    session.to_string()
                } else {
                    r#"{"response":"ok","error":null}"#.to_owned()
                };
                if request.contains("/ace/r/") {
                    let mut packets = BytesMut::from("HTTP/1.1 200 OK\r\n\r\n");
                    counted::append(0, 10, &mut packets);
                    socket.write_all(&packets).await.unwrap();
                    std::future::pending::<()>().await;
                }
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                socket.write_all((head + &body).as_bytes()).await.unwrap();
            });
        }
    });
    format!("http://{address}").parse().unwrap()
}

#[tokio::test]
async fn a_player_that_leaves_a_silent_stream_is_noticed() {
    let mut config = config(&[], 1);
    let (name, url) = (Member::new("silent").unwrap(), falls_silent().await);
    // Longer than the test waits: only the player's leaving can end it.
    config.start_timeout = Millis::from_secs(600);
    config.start_deadline = Millis::from_secs(600);
    config.engines.push(EngineConfig { name, url, limit: 1, forwarded: false });
    let process = Process::new(config).await;
    let playing = process.plays_on(1).await;
    drop(playing);
    process.until_free().await;
}

#[tokio::test]
async fn a_moment_without_store_disturbs_nobody() {
    let store = MemoryStore::new();
    let fakes = engines(1, Settings::default()).await;
    let mut config = config(&fakes, 1);
    config.lease_ttl = Millis(1_500);
    let process = Process::on(&store, config).await;
    let mut playing = process.plays(1).await;
    store.fail_next_append(AppendFault::Refused(StoreError::Full("no room".into())));
    // 6 Mbit/s for longer than a lease.
    playing.reads(1_800_000).await;
    assert_eq!(fakes[0].stats().started, 1);
    drop(playing);
    process.until_free().await;
    process.stop().await;
}

#[tokio::test]
async fn without_store_a_stream_ends_before_its_lease_does_and_is_stopped_when_the_store_is_back() {
    let store = MemoryStore::new();
    let fakes = engines(1, Settings { limit: 1, ..Settings::default() }).await;
    let mut config = config(&fakes, 1);
    config.lease_ttl = Millis(1_000);
    let process = Process::on(&store, config).await;
    let mut playing = process.plays(1).await;
    let refuses = async {
        loop {
            store.fail_next_append(AppendFault::Refused(StoreError::Full("no room".into())));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = playing.ends() => {}
        () = refuses => {}
    }
    assert_eq!(
        fakes[0].stats().sessions[&1].ended,
        None,
        "nobody could say that it is to be stopped"
    );
    fakes[0].wait_until(|stats| stats.active == 0).await;
    assert_eq!(fakes[0].stats().sessions[&1].ended, Some(Ending::Stopped));
    process.until_free().await;
}

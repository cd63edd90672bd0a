//! Phases and their time-outs.

use tokio::net::TcpListener;

use super::*;

async fn connection() -> (TcpStream, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    (client, Connection::new(stream, peer, watch::channel(false).1))
}

#[tokio::test]
async fn each_phase_has_its_own_patience() {
    let (_client, connection) = connection().await;
    let seconds = Duration::from_secs;
    let patience = Patience { head: seconds(10), idle: seconds(1000), stall: seconds(100) };
    let check = |expected: Option<(u64, Overdue)>| {
        let found = connection.deadline(&patience).map(|(at, what)| {
            let allowed = at - connection.opened;
            (allowed.as_secs() / 10 * 10, what)
        });
        assert_eq!(found, expected, "{:?}", connection.phase());
    };
    check(Some((10, Overdue::Head)));
    connection.enter(Phase::Head);
    check(Some((10, Overdue::Head)));
    connection.enter(Phase::Busy);
    check(None);
    connection.stalled_ms.store(0, Relaxed);
    check(Some((100, Overdue::Stall)));
    connection.enter(Phase::Idle);
    check(Some((100, Overdue::Stall)));
    connection.stalled_ms.store(NOT_STALLED, Relaxed);
    check(Some((1000, Overdue::Idle)));
}

#[tokio::test]
async fn the_watchdog_notices_deadlines_that_move_away_and_ones_that_come_nearer() {
    let (_client, connection) = connection().await;
    let connection = Arc::new(connection);
    let patience = Patience {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(100),
        stall: Duration::from_secs(1000),
    };
    tokio::time::pause();
    let mut watchdog = Watchdog::new(Arc::clone(&connection), patience);
    let mut check = async |seconds: u64, expected: Option<Overdue>| {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        assert_eq!(futures_util::future::poll_immediate(&mut watchdog).await, expected);
    };
    check(9, None).await;
    connection.enter(Phase::Busy);
    check(200, None).await;
    connection.enter(Phase::Idle);
    check(99, None).await;
    connection.enter(Phase::Idle);
    check(99, None).await;
    connection.enter(Phase::Idle);
    check(2, None).await;
    connection.enter(Phase::Head);
    check(0, None).await;
    check(9, None).await;
    check(2, Some(Overdue::Head)).await;
    connection.enter(Phase::Idle);
    check(101, Some(Overdue::Idle)).await;
}

#[tokio::test]
async fn the_first_bytes_after_silence_begin_a_head() {
    let (client, connection) = connection().await;
    let connection = Arc::new(connection);
    let mut wire = Wire(Arc::clone(&connection));
    for (before, after) in [
        (Phase::Fresh, Phase::Head),
        (Phase::Head, Phase::Head),
        (Phase::Busy, Phase::Busy),
        (Phase::Idle, Phase::Head),
    ] {
        connection.enter(before);
        client.writable().await.unwrap();
        assert_eq!(client.try_write(b"x").unwrap(), 1);
        tokio::io::AsyncReadExt::read_u8(&mut wire).await.unwrap();
        assert_eq!(connection.phase(), after);
    }
}

#[test]
fn only_answers_that_hyper_makes_by_itself_are_held_back() {
    let own = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
               content-length: 0\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n";
    assert_eq!(own_answer(own.as_bytes()), Some(431));
    for (from, to) in [
        ("431", "200"),
        ("431", "503"),
        ("content-length: 0", "content-length: 7"),
        ("connection: close\r\n", ""),
        ("HTTP/1.1", "HTTP/1.0"),
        ("\r\ncontent-length: 0\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n", ""),
    ] {
        let other = own.replace(from, to);
        assert_eq!(own_answer(other.as_bytes()), None, "{other}");
    }
}

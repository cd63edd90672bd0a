//! Every bound of the HTTP face, with its unit. Those of names, numbers and waits are the kernel's.

use std::time::Duration;

use interlock_kernel::limits;

/// Bytes of an ordinary request body.
pub const BODY_BYTES: usize = 64 * 1024;
/// Bytes of a large request body: a value, the parties of a barrier.
pub const LARGE_BODY_BYTES: usize = 1024 * 1024;
/// How deep arrays and objects of a body may be nested. Replies and events wrap bodies a little deeper,
/// and common parsers stop at 128.
pub const JSON_DEPTH: usize = 100;
/// How long a request body may take to arrive.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// Bytes of a refused body that are read and dropped, so that its sender gets to see the answer.
pub const DRAIN_BYTES: usize = 16 * 1024 * 1024;
/// How long the sender of a refused body may pause before the answer leaves without waiting for the rest.
pub const DRAIN_PAUSE: Duration = Duration::from_millis(500);

/// Bytes of a request's line and headers together.
pub const HEAD_BYTES: usize = 32 * 1024;
/// Headers of one request. hyper keeps up to this many without an allocation.
pub const HEADERS: usize = 100;
/// Entity tags in one `If-Match` or `If-None-Match`.
pub const ETAGS: usize = 64;
/// Characters of an id that the server made, when it comes back in a path.
pub const ID_CHARS: usize = 200;
/// Characters of an access token.
pub const TOKEN_CHARS: usize = 512;

/// Open connections. One more is told 503 `too_many_connections`.
pub const CONNECTIONS: usize = 20_000;
/// Connections that are being told so at one moment. Further ones are closed without a word.
pub const REFUSALS: usize = 256;
/// How long a request's line and headers may take to arrive, counted from their first byte, and for a
/// connection's first request from its start.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection may lie idle between requests.
pub const IDLE_TIME: Duration = Duration::from_secs(75);
/// How long a client may take none of the bytes that are ready for it.
pub const STALL_TIME: Duration = Duration::from_secs(30);
/// How long an answered connection stays open for a client that is still sending.
pub const LINGER_TIME: Duration = Duration::from_secs(2);
/// How long requests in progress may take to end when the server shuts down.
pub const DRAIN_TIME: Duration = Duration::from_secs(20);
/// The pause after the operating system could not give us a new connection.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Silence after which a live feed sends a comment, so that nobody in between takes it for dead.
pub const FEED_SILENCE: Duration = Duration::from_secs(15);
/// Bytes of feed that are put into one write when more events are ready.
pub const FEED_CHUNK_BYTES: usize = 16 * 1024;

const _: () = assert!(limits::JSON_BYTES >= LARGE_BODY_BYTES, "a large body may be one value");
const _: () = assert!(BODY_BYTES <= LARGE_BODY_BYTES && LARGE_BODY_BYTES <= DRAIN_BYTES);
const _: () = assert!(HEAD_BYTES >= 8192, "hyper's smallest buffer");
const _: () = assert!(FEED_SILENCE.as_secs() < STALL_TIME.as_secs());

//! Dead letters: seen, and handled again.

use std::path::Path;

use interlock_kernel::{
    bus::RowChange,
    ids::{Key, Member, Position, Version},
    time::Time,
};
use interlock_runtime::{
    dispatch::dead::{Letter, TABLE},
    store::{
        Durability, Store,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use interlock_streams::service::EngineConfig;

use crate::support::Running;

const LETTERS: &str = "/api/v1/dead-letters";
const RETRY: &str = "/api/v1/dead-letters/engines/main/retry";

async fn server(folder: &Path) -> Running {
    let engine = EngineConfig {
        name: Member::new("one").unwrap(),
        url: "http://127.0.0.1:9".parse().unwrap(),
        limit: 1,
        forwarded: false,
    };
    let change = |config: &mut interlock_server::config::Config| {
        config.streams.engines.push(engine);
        config.data = folder.to_owned();
    };
    Running::with(change).await.unwrap()
}

/// Parks an entity at its first record, as if a handler had failed.
async fn park(folder: &Path, entity: &str, key: &str) {
    let store = SqliteStore::open(&SqliteOptions::new(folder)).unwrap();
    let letter = Letter {
        entity: entity.to_owned(),
        key: Key::new(key).unwrap(),
        position: Position(1),
        version: Version(1),
        at: Time(1_000),
        handler: "stream_record".to_owned(),
        error: "it <rained>".to_owned(),
    };
    let put = RowChange::Put {
        table: TABLE.to_owned(),
        key: format!("{entity}/{key}").into_bytes(),
        value: serde_json::to_vec(&letter).unwrap(),
    };
    store.write_rows(vec![put], Durability::Synced).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_dead_letter_is_shown_and_handled_again() {
    let folder = tempfile::tempdir().unwrap();
    server(folder.path()).await.stop().await;
    park(folder.path(), "engines", "main").await;

    let server = server(folder.path()).await;
    let shown = "{\"type\":\"engines\",\"key\":\"main\",\"version\":1,\
                 \"at\":\"1970-01-01T00:00:01.000Z\",\"handler\":\"stream_record\",\"error\":\"it <rained>\"}";
    let list = server.get(LETTERS).await;
    let expected = format!("{{\"letters\":[{shown}],\"total\":1}}");
    assert!(list.ends_with(&expected), "{list}");
    let page = server.get("/").await;
    for part in ["Dead letters", ">engines/main</a>", "stream_record", "it &lt;rained&gt;", "retry"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }

    let retried = server.ask("POST", RETRY, "").await;
    assert!(retried.starts_with("HTTP/1.1 202 ") && retried.ends_with(shown), "{retried}");
    while !server.get(LETTERS).await.ends_with("{\"letters\":[],\"total\":0}") {}
    let again = server.ask("POST", RETRY, "").await;
    assert!(again.contains("\"code\":\"unknown_dead_letter\""), "{again}");
    assert!(!server.get("/").await.contains("Dead letters"));
    server.stop().await;
}

#[tokio::test]
async fn a_letter_that_nobody_can_handle_stays() {
    let folder = tempfile::tempdir().unwrap();
    server(folder.path()).await.stop().await;
    park(folder.path(), "dragon", "smaug").await;

    let server = server(folder.path()).await;
    let refused = server.ask("POST", "/api/v1/dead-letters/dragon/smaug/retry", "").await;
    assert!(refused.starts_with("HTTP/1.1 409 "), "{refused}");
    assert!(refused.contains("\"code\":\"not_retried\""), "{refused}");
    assert!(refused.contains("nothing handles the events of dragon"), "{refused}");
    assert!(server.get(LETTERS).await.contains("\"total\":1}"));
    server.stop().await;
}

#[tokio::test]
async fn dead_letters_are_in_the_document_and_behind_the_guard() {
    let token = interlock_web::guard::AccessToken {
        name: "bot".to_owned(),
        secret: "0123456789abcdef".to_owned(),
    };
    let server = Running::start().await;
    let document = server.get("/api/openapi.json").await;
    for path in [LETTERS, "/api/v1/dead-letters/{type}/{key}/retry"] {
        assert!(document.contains(&format!("\"{path}\":")), "{path}");
    }
    server.stop().await;

    let server = Running::with(|config| config.tokens.push(token)).await.unwrap();
    for (method, path) in [("GET", LETTERS), ("POST", RETRY)] {
        let refused = server.ask(method, path, "").await;
        assert!(refused.starts_with("HTTP/1.1 401 "), "{method} {path}: {refused}");
    }
    server.stop().await;
}

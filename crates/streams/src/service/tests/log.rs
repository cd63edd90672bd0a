//! What the log says, and how loudly.

use std::io;

use tracing::subscriber::DefaultGuard;

use super::*;

/// Everything that is logged on this thread.
struct Log {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn new() -> Self {
        let text = Text::default();
        let writer = text.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        Self { text, _guard: tracing::subscriber::set_default(log.finish()) }
    }

    fn lines(&self) -> Vec<String> {
        let text = self.text.0.lock().unwrap();
        std::str::from_utf8(&text).unwrap().lines().map(str::to_owned).collect()
    }

    /// The line that says so, once there is one.
    async fn line(&self, says: &str) -> String {
        let looks = async {
            loop {
                if let Some(line) = self.lines().into_iter().find(|line| line.contains(says)) {
                    return line;
                }
                tokio::task::yield_now().await;
            }
        };
        soon(says, looks).await
    }
}

#[tokio::test]
async fn a_choice_is_logged_with_its_counts_and_its_reason() {
    let log = Log::new();
    let stage = Stage::new(2, Millis::from_secs(60)).await;
    let _player = flows(stage.plays(1)).await;
    stage.takes("second").await;
    let line = log.line("stream=\"second\"").await;
    let says = "pending=0 active=1 closing=0 limit=2 fitting=1 rule=no other fitted";
    assert!(line.contains("INFO") && line.contains("an engine was chosen"), "{line}");
    assert!(line.contains("engine=engine") && line.contains(says), "{line}");
}

#[tokio::test]
async fn a_start_whose_players_left_is_not_logged_as_a_failure() {
    let log = Log::new();
    let stage = Stage::new(1, Millis::from_secs(60)).await;
    stage.fake.change(|settings| settings.cold_start = Duration::from_millis(50));
    let leaves = stage.plays(1);
    stage.fake.wait_until(|stats| stats.started == 1).await;
    leaves.abort();
    let line = log.line("everybody left before a stream flowed").await;
    assert!(line.contains("INFO"), "{line}");
    let fails = |line: &String| line.contains("WARN") || line.contains("did not start");
    assert_eq!(log.lines().into_iter().filter(fails).collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test]
async fn what_an_engine_says_is_logged_and_not_shown_to_players() {
    let log = Log::new();
    let stage = Stage::new(1, Millis::from_secs(60)).await;
    stage.fake.change(|settings| settings.on_start = OnStart::Fail("no such torrent".to_owned()));
    let told = soon("a refusal", stage.plays(1)).await.unwrap().unwrap_err();
    assert_eq!(told, PlayError::NoEngine("engine refused".to_owned()));
    let line = log.line("a start failed").await;
    let url = stage.fake.url().to_string();
    assert!(line.contains("WARN") && line.contains("no such torrent"), "{line}");
    assert!(line.contains(&url), "{line}");
}

#[tokio::test]
async fn an_engine_that_is_lost_is_a_warning_and_one_that_is_back_is_none() {
    let log = Log::new();
    let stage = Stage::new(1, Millis::from_secs(60)).await;
    let engine = Member::new("engine").unwrap();
    for (healthy, level, says) in
        [(false, "WARN", "does not answer"), (true, "INFO", "answers again")]
    {
        assert!(stage.service.tell_health(&engine, healthy).await);
        let line = log.line(says).await;
        assert!(line.contains(level) && line.contains("engine=engine"), "{line}");
    }
}

//! Real players, through the whole service.

use std::process::{Command, Stdio};

use interlock_streams::fake::Settings;

use crate::support::{Process, config, engines, soon, stream_path};

/// Runs a program; what it prints and what it complains of.
async fn run(package: &str, mut command: Command) -> (String, String) {
    command.stdin(Stdio::null());
    let program = command.get_program().to_string_lossy().into_owned();
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = soon(&program, running).await.unwrap().unwrap_or_else(|error| {
        panic!("this test needs {program} ({error}): install the package `{package}`")
    });
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

async fn stage() -> (Vec<interlock_streams::fake::FakeEngine>, Process) {
    let fakes = engines(2, Settings::demo()).await;
    let process = Process::new(config(&fakes, 1)).await;
    (fakes, process)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffprobe_and_ffmpeg_play_a_stream_through_the_service() {
    let (_fakes, process) = stage().await;
    let url = format!("http://{}{}", process.address, stream_path(1));
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args([
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name",
        "-of",
        "csv=p=0",
        "-i",
        &url,
    ]);
    let (streams, complaints) = run("ffmpeg", ffprobe).await;
    assert!(streams.contains("h264") && streams.contains("aac"), "{streams} {complaints}");
    process.until_free().await;

    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i", &url, "-t", "2", "-map", "0:v", "-f", "framemd5", "-"]);
    let (frames, complaints) = run("ffmpeg", ffmpeg).await;
    assert_eq!(complaints, "");
    assert!(frames.lines().filter(|line| line.starts_with("0,")).count() >= 40, "{frames}");
    process.until_free().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vlc_records_a_stream_through_the_service() {
    let (_fakes, process) = stage().await;
    let url = format!("http://{}{}", process.address, stream_path(1));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recorded.ts");
    // VLC refuses to run as root.
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let nobody = std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_534));
    assert!(!is_root || nobody.is_ok());
    let mut vlc = if is_root {
        let mut vlc = Command::new("setpriv");
        vlc.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cvlc"]);
        vlc
    } else {
        Command::new("cvlc")
    };
    vlc.env("HOME", folder.path());
    let out = format!("--sout=#std{{access=file,mux=ts,dst={}}}", file.display());
    vlc.args(["-q", "--run-time=4", &out, &url, "vlc://quit"]);
    let (said, complaints) = run("vlc-bin and vlc-plugin-base", vlc).await;
    let recorded = std::fs::read(&file).unwrap_or_else(|error| {
        panic!("no recording ({error}); the packages `vlc-bin` and `vlc-plugin-base` are needed: {said} {complaints}")
    });
    assert!(recorded.len() > 50_000, "{} bytes: {complaints}", recorded.len());
    assert!(recorded.chunks_exact(188).all(|packet| packet[0] == 0x47));
    process.until_free().await;
    process.stop().await;
}

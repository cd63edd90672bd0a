//! Two machines that share a run, on the real server.

use serde_json::Value;

use crate::support::{Place, Showdown};

/// The battles that count for the workers whose names begin like this.
fn played_by(report: &Value, prefix: &str) -> u64 {
    let workers = report["workers"].as_object().unwrap().iter();
    let ours = workers.filter(|(name, _)| name.starts_with(prefix));
    ours.map(|(_, worker)| worker["finished"].as_u64().unwrap()).sum()
}

#[test]
fn two_machines_share_a_run_though_its_home_is_killed() {
    let (showdown, here, there) = (Showdown::start(), Place::new(), Place::new());
    let usual = ["run", "--player", "random", "--workers", "2", "--run", "shared", "--json"];
    let of_home = ["--server", showdown.url(), "-u", "one,two", "--mode", "self-play"];
    let start_home = |listen: &str| {
        let counts = ["-n", "16", "--no-shares", "--listen", listen];
        here.start(&[&usual[..], &of_home, &counts].concat())
    };
    let home = start_home("127.0.0.1:0");
    let address = home.address().to_string();
    let join = ["-u", "three,four", "--worker-prefix", "b", "--join"];
    let url = format!("http://{address}");
    let joined = there.start(&[&usual[..], &join, &[&url]].concat());

    home.wait_for("shared", "over", 4);
    home.signal("KILL");
    assert_eq!(home.wait().code(), None, "killed");
    let home = start_home(&address);
    let [here_says, there_says] = [home.said().json(), joined.said().json()];
    let logs = [here.logged("shared", "one").len(), there.logged("shared", "three").len()];
    for report in [&here_says, &there_says] {
        assert_eq!((report["finished"].as_u64(), report["claimed"].as_u64()), (Some(16), Some(0)));
        assert_eq!(report["drift"], 0);
        let counted = [played_by(report, "w"), played_by(report, "b")];
        assert_eq!(counted, logs.map(|logs| logs as u64), "{report}");
    }
    assert!(logs.iter().all(|logs| *logs > 0), "both play: {logs:?}");
}

//! What is read from a configuration, and what is said about a wrong one, word for word.

use std::path::PathBuf;

use interlock_kernel::time::Millis;
use interlock_server::config::{Config, Overrides};

fn read(text: &str) -> Result<Config, String> {
    let config = Config::parse("interlock.toml", text, &Overrides::default());
    config.map_err(|mistakes| mistakes.to_string())
}

/// Reads `text` and expects these lines of complaint.
#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let said = read(text).expect_err("the text is wrong");
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn an_empty_file_means_the_defaults() {
    let config = read("").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.listen.to_string(), "127.0.0.1:7070");
    assert_eq!(config.data, PathBuf::from("./interlock-data"));
    assert_eq!(config.retention, Millis(86_400_000));
    assert_eq!(config.streams.start_timeout, Millis(30_000));
    assert_eq!(config.streams.start_deadline, Millis(60_000));
    assert_eq!(config.streams.start_attempts, 3);
    assert_eq!(config.streams.linger, Millis(5_000));
    assert_eq!(config.streams.lease_ttl, Millis(15_000));
    assert_eq!(config.streams.engine_idle, Millis(10_000));
    assert_eq!(config.streams.ejection, Millis(30_000));
}

#[test]
fn everything_can_be_said() {
    let text = r#"
        listen = "0.0.0.0:80"
        data = "/var/lib/interlock"
        retention = "2h"
        [auth]
        tokens = [{ name = "bot", token = "0123456789abcdef" }]
        [streams]
        start_timeout = "1500ms"
        start_deadline = "2m"
        start_attempts = 5
        linger = "0s"
        lease_ttl = "20s"
        engine_idle = "30s"
        ejection = "1h"
        [[streams.engines]]
        name = "one"
        url = "http://10.0.0.1:6878"
        limit = 2
        [[streams.engines]]
        name = "two"
        url = "http://[::1]:6878"
        limit = 0x10
        forwarded = true
    "#;
    let config = read(text).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:80");
    assert_eq!(config.data, PathBuf::from("/var/lib/interlock"));
    assert_eq!(config.retention, Millis(7_200_000));
    let token = &config.tokens[0];
    assert_eq!((token.name.as_str(), token.secret.as_str()), ("bot", "0123456789abcdef"));
    let streams = config.streams;
    let spans = [
        streams.start_timeout,
        streams.start_deadline,
        streams.linger,
        streams.lease_ttl,
        streams.engine_idle,
        streams.ejection,
    ];
    assert_eq!(spans.map(|span| span.0), [1_500, 120_000, 0, 20_000, 30_000, 3_600_000]);
    assert_eq!(streams.start_attempts, 5);
    let engines = streams.engines.iter();
    let engines: Vec<_> = engines
        .map(|engine| {
            format!("{} {} {} {}", engine.name, engine.url, engine.limit, engine.forwarded)
        })
        .collect();
    let expected = ["one http://10.0.0.1:6878 2 false", "two http://[::1]:6878 16 true"];
    assert_eq!(engines, expected);
}

#[test]
fn tokens_are_a_list_or_a_map() {
    let plain = r#"[auth]
        tokens = ["0123456789abcdef", { name = "bot", token = "fedcba9876543210" }, "third-0123456789"]
    "#;
    let plain = read(plain).unwrap();
    let named: Vec<_> =
        plain.tokens.iter().map(|it| format!("{} {}", it.name, it.secret)).collect();
    let expected = ["token-1 0123456789abcdef", "bot fedcba9876543210", "token-3 third-0123456789"];
    assert_eq!(named, expected);

    let listed = read("[[auth.tokens]]\nname = \"a\"\ntoken = \"0123456789abcdef\"\n").unwrap();
    let mapped = read("[auth.tokens]\na = \"0123456789abcdef\"\n").unwrap();
    assert_eq!(listed, mapped);
    assert_eq!(listed.tokens.len(), 1);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let overrides = Overrides {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        data: Some(PathBuf::from("elsewhere")),
    };
    let text = "listen = \"0.0.0.0:80\"\ndata = \"here\"";
    let config = Config::parse("interlock.toml", text, &overrides).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:0");
    assert_eq!(config.data, PathBuf::from("elsewhere"));
}

#[test]
fn an_unknown_key_is_refused_with_the_known_ones() {
    refused(
        "listen = \"127.0.0.1:1\"\nlisten_on = 2\n",
        &[
            "interlock.toml:2:1: unknown key \"listen_on\"; known: listen, data, retention, auth, streams",
        ],
    );
    refused(
        "[streams]\n  enginez = []\n",
        &["interlock.toml:2:3: unknown key \"enginez\" in [streams]; known: start_timeout, \
           start_deadline, start_attempts, linger, lease_ttl, engine_idle, ejection, engines"],
    );
    refused(
        "[[streams.engines]]\nname = \"a\"\nurl = \"http://a:1\"\nlimit = 1\nforward = true\n",
        &["interlock.toml:5:1: unknown key \"forward\" in [streams.engines[0]]; \
           known: name, url, limit, forwarded"],
    );
    refused(
        "[auth]\ntoken = \"x\"",
        &["interlock.toml:2:1: unknown key \"token\" in [auth]; known: tokens"],
    );
    refused(
        "[auth]\ntokens = [{ name = \"a\", token = \"0123456789abcdef\", admin = true }]",
        &["interlock.toml:2:53: unknown key \"admin\" in [auth.tokens[0]]; known: name, token"],
    );
}

#[test]
fn a_wrong_value_is_refused_with_what_would_be_right() {
    for (text, expected) in [
        (
            "listen = \"7070\"",
            "1:10: listen must be an IP address and a port, such as 127.0.0.1:7070 or [::1]:7070, \
             not \"7070\"",
        ),
        (
            "listen = 7070",
            "1:10: listen must be an IP address and a port, such as 127.0.0.1:7070 or [::1]:7070, \
             not 7070",
        ),
        ("data = \"\"", "1:8: data must be the path of a folder, not \"\""),
        (
            "retention = 24",
            "1:13: retention must be a time from 1m to 365d, such as \"30s\", not 24",
        ),
        (
            "retention = \"1s\"",
            "1:13: retention must be a time from 1m to 365d, such as \"30s\", not \"1s\"",
        ),
        (
            "[streams]\nstart_timeout = \"30\"",
            "2:17: streams.start_timeout must be a time from 100ms to 10m, such as \"30s\", not \"30\"",
        ),
        (
            "[streams]\nstart_attempts = 0",
            "2:18: streams.start_attempts must be a whole number from 1 to 100, not 0",
        ),
        (
            "[streams]\nstart_attempts = -1",
            "2:18: streams.start_attempts must be a whole number from 1 to 100, not -1",
        ),
        (
            "[streams]\nstart_attempts = 3.0",
            "2:18: streams.start_attempts must be a whole number from 1 to 100, not 3.0",
        ),
        ("streams = 1", "1:11: streams must be a section: [streams], not a number"),
        (
            "[streams]\nengines = {}",
            "2:11: streams.engines must be a list of sections: [[streams.engines]], not a section",
        ),
        (
            "[streams]\nengines = [\"http://a:1\"]",
            "2:12: streams.engines[0] must be a section: [streams.engines[0]], not a text",
        ),
    ] {
        refused(text, &[&format!("interlock.toml:{expected}")]);
    }
}

#[test]
fn an_engine_needs_a_name_a_url_and_a_limit_of_its_own() {
    let engine = |line: &str, with: &str| {
        let lines = ["name = \"a\"", "url = \"http://a:1\"", "limit = 1"];
        let key = |line: &str| line.split(' ').next().unwrap().to_owned();
        let lines = lines.map(|usual| if key(usual) == line { with } else { usual });
        format!("[[streams.engines]]\n{}\n", lines.join("\n"))
    };
    for (key, with, expected) in [
        ("name", "", "1:1: streams.engines[0] needs a name"),
        ("url", "", "1:1: streams.engines[0] needs a url"),
        ("limit", "", "1:1: streams.engines[0] needs a limit"),
        (
            "name",
            "name = \"a b\"",
            "2:8: streams.engines[0].name may hold only A-Z a-z 0-9 . _ : -, not ' '",
        ),
        ("name", "name = 1", "2:8: streams.engines[0].name must be a text in quotes, not 1"),
        (
            "url",
            "url = \"https://a:1\"",
            "3:7: streams.engines[0].url must be http://host:port, not \"https://a:1\"",
        ),
        (
            "url",
            "url = \"http://a:1/ace\"",
            "3:7: streams.engines[0].url must be http://host:port, not \"http://a:1/ace\"",
        ),
        (
            "limit",
            "limit = \"2\"",
            "4:9: streams.engines[0].limit must be a whole number from 0 to 1000000, not \"2\"",
        ),
        (
            "limit",
            "limit = 1000001",
            "4:9: streams.engines[0].limit must be a whole number from 0 to 1000000, not 1000001",
        ),
        (
            "limit",
            "limit = 1\nforwarded = \"yes\"",
            "5:13: streams.engines[0].forwarded must be true or false, not \"yes\"",
        ),
    ] {
        refused(&engine(key, with), &[&format!("interlock.toml:{expected}")]);
    }
    let twice = engine("", "").repeat(2);
    refused(
        &twice,
        &[
            "interlock.toml:6:8: the engine's name a is taken, in line 2",
            "interlock.toml:7:7: the engine a has the url of the one in line 3",
        ],
    );
}

#[test]
fn one_start_time_alone_takes_the_other_along() {
    for (line, timeout, deadline) in [
        ("start_deadline = \"5s\"", 5_000, 5_000),
        ("start_deadline = \"45s\"", 30_000, 45_000),
        ("start_timeout = \"45s\"", 45_000, 60_000),
        ("start_timeout = \"2m\"", 120_000, 120_000),
    ] {
        let streams = read(&format!("[streams]\n{line}")).unwrap().streams;
        let times = (streams.start_timeout.0, streams.start_deadline.0);
        assert_eq!(times, (timeout, deadline), "{line}");
    }
    refused(
        "[streams]\nstart_timeout = \"90s\"\nstart_deadline = \"1m\"",
        &["interlock.toml:2:17: streams.start_timeout (90s) must not be longer than \
           streams.start_deadline (1m)"],
    );
}

#[test]
fn an_address_that_others_can_reach_needs_tokens() {
    let says = "listen: 0.0.0.0:7070 can be reached from other machines, so [auth] needs at least one \
                token: tokens = [\"…\"]; or listen on 127.0.0.1, for this \
                machine alone";
    refused("\nlisten = \"0.0.0.0:7070\"", &[&format!("interlock.toml:2:10: {says}")]);

    let listen = Some("0.0.0.0:7070".parse().unwrap());
    let overrides = Overrides { listen, data: None };
    let said = Config::without_file(&overrides).unwrap_err().to_string();
    assert_eq!(said, format!("the command line: {says}"));
}

#[test]
fn tokens_are_checked_and_never_shown() {
    for (text, expected) in [
        (
            "[auth]\ntokens = [{ name = \"a\", token = \"sesame\" }]",
            &["2:33: auth.tokens[0].token must have 16 to 512 visible ASCII characters, not 6"][..],
        ),
        (
            "[auth.tokens]\na = \"open sesame sesame\"",
            &["2:5: a token must have 16 to 512 visible ASCII characters; it holds others"],
        ),
        (
            "[auth.tokens]\na = [\"sesame\"]",
            &["2:5: a token must have 16 to 512 visible ASCII characters"],
        ),
        ("[auth]\ntokens = \"sesame\"", &["2:10: auth.tokens must be a list: tokens = [\"…\"]"]),
        (
            "[auth]\ntokens = [{ token = \"sesamesesamesesame\" }]",
            &["2:11: auth.tokens[0] needs a name"],
        ),
        (
            "[auth.tokens]\n\"sesame sesame\" = \"sesamesesamesesame\"",
            &["2:1: the name of a token may hold only A-Z a-z 0-9 . _ : -, not ' '"],
        ),
        (
            "[auth]\ntokens = [\n{ name = \"a\", token = \"sesamesesamesesame\" },\n\
             { name = \"a\", token = \"sesamesesamesesame\" }]",
            &[
                "4:10: the name of this token is taken, in line 3",
                "4:23: this token is the same as that in line 3",
            ],
        ),
        (
            "[auth]\ntokens = [\n\"sesamesesamesesame\",\n\"sesamesesamesesame\"]",
            &["4:1: this token is the same as that in line 3"],
        ),
        (
            "[auth]\ntokens = [\n\"sesame\",\n[\"sesamesesamesesame\"]]",
            &[
                "3:1: auth.tokens[0] must have 16 to 512 visible ASCII characters, not 6",
                "4:1: auth.tokens[1] must have 16 to 512 visible ASCII characters",
            ],
        ),
        (
            "[auth]\ntokens = [{ name = [\"sesamesesamesesame\"], token = [\"sesame\"] }]",
            &[
                "2:20: auth.tokens[0].name must be a text in quotes",
                "2:52: auth.tokens[0].token must have 16 to 512 visible ASCII characters",
            ],
        ),
        (
            "[auth.tokens]\nsesamesesamesesame = \"bot\"",
            &["2:22: a token must have 16 to 512 visible ASCII characters, not 3"],
        ),
        ("auth = \"sesamesesamesesame\"", &["1:8: auth must be a section: [auth], not a text"]),
        ("auth = [\"sesamesesamesesame\"]", &["1:8: auth must be a section: [auth], not a list"]),
        (
            "[auth.tokens]\na = sesamesesamesesame",
            &["2:5: string values must be quoted, expected literal string"],
        ),
    ] {
        let said = read(text).unwrap_err();
        assert!(!said.contains("sesame"), "{said}");
        let expected: Vec<_> =
            expected.iter().map(|line| format!("interlock.toml:{line}")).collect();
        assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_mistake_in_the_syntax_is_placed() {
    refused("a = 1\na = 2\n", &["interlock.toml:2:1: duplicate key"]);
    refused("[streams\n", &["interlock.toml:1:9: unclosed table, expected `]`"]);
}

#[test]
fn all_mistakes_are_reported_in_the_order_of_the_text() {
    refused(
        "listn = 1\nretention = 1\n\n[streams]\nlinger = 1\nlease_tll = \"1s\"\n",
        &[
            "interlock.toml:1:1: unknown key \"listn\"; known: listen, data, retention, auth, streams",
            "interlock.toml:2:13: retention must be a time from 1m to 365d, such as \"30s\", not 1",
            "interlock.toml:5:10: streams.linger must be a time from 0s to 1h, such as \"30s\", not 1",
            "interlock.toml:6:1: unknown key \"lease_tll\" in [streams]; known: start_timeout, \
             start_deadline, start_attempts, linger, lease_ttl, engine_idle, ejection, engines",
        ],
    );
}

#[test]
fn columns_count_characters() {
    refused(
        "\"ä\" = 1",
        &["interlock.toml:1:1: unknown key \"ä\"; known: listen, data, retention, auth, streams"],
    );
    refused(
        "[auth.tokens]\n\"ä\" = 1",
        &[
            "interlock.toml:2:1: the name of a token may hold only A-Z a-z 0-9 . _ : -, not 'ä'",
            "interlock.toml:2:7: a token must have 16 to 512 visible ASCII characters",
        ],
    );
}

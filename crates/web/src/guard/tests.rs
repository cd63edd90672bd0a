//! Who is let in, and as whom.

use super::*;

const LOOPBACK: &str = "127.0.0.1:80";

fn guard(address: &str, tokens: &[(&str, &str)]) -> Result<Guard, GuardError> {
    let token = |(name, secret): &(&str, &str)| AccessToken {
        name: (*name).to_owned(),
        secret: (*secret).to_owned(),
    };
    let tokens: Vec<_> = tokens.iter().map(token).collect();
    Guard::new(&[address.parse().unwrap()], &tokens)
}

fn endpoints() -> [Endpoint; 3] {
    [
        Endpoint::get("/ace/getstream", "Plays").access(Access::TokenInAddress),
        Endpoint::get("/r/{stream}/{*rest}", "Plays on").access(Access::TokenInAddress),
        Endpoint::post("/discord", "Signed").access(Access::Public),
    ]
}

fn request(method: &str, uri: &str, lines: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(uri);
    if !lines.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost:7600");
    }
    for (name, value) in lines.iter().filter(|(_, value)| *value != "-") {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// What the guard says: the caller's name, or the status and code of the refusal.
fn verdict(guard: &Guard, request: &mut Request<()>) -> String {
    match guard.admit(request) {
        Ok(()) => match request.extensions().get::<Caller>() {
            Some(caller) => format!("let in as {}", caller.as_str()),
            None => "let in".to_owned(),
        },
        Err(problem) => format!("{} {}", problem.status().as_u16(), problem.code()),
    }
}

#[test]
fn a_server_that_others_can_reach_needs_tokens() {
    for address in ["0.0.0.0:80", "192.168.0.2:80", "[::]:80", "[2001:db8::1]:80"] {
        let refused = guard(address, &[]).unwrap_err();
        assert_eq!(refused, GuardError::OpenToAll(address.parse().unwrap()));
        assert!(guard(address, &[("ops", "s3cret")]).is_ok());
    }
    for address in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
        assert!(guard(address, &[]).is_ok(), "{address}");
    }
}

#[test]
fn tokens_are_checked_at_the_start() {
    let long = "x".repeat(limits::TOKEN_CHARS + 1);
    for tokens in [
        &[("", "a")][..],
        &[("a b", "a")],
        &[("a", "")],
        &[("a", "with space")],
        &[("a", "é")],
        &[("a", long.as_str())],
        &[("a", "x"), ("a", "y")],
        &[("a", "x"), ("b", "x")],
    ] {
        let refused = guard(LOOPBACK, tokens).unwrap_err();
        assert!(!refused.to_string().contains("with space"), "no secrets in messages");
    }
}

#[test]
fn on_loopback_only_loopback_names_are_answered() {
    let guard = guard(LOOPBACK, &[]).unwrap().with_exceptions(&endpoints());
    let check = |uri: &str, lines: &[(&str, &str)], expected: &str| {
        let found = verdict(&guard, &mut request("GET", uri, lines));
        assert_eq!(found, expected, "{uri} {lines:?}");
    };
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:80"] {
        check("/", &[("host", host)], "let in");
    }
    for host in [
        "example.org",
        "localhost.example.org",
        "127.0.0.1.example.org",
        "",
        "10.0.0.1",
        "[::2]",
        "::1",
        "localhost:x",
        "user@localhost",
        "localhost:80@evil",
        "0.0.0.0",
        "[::1",
        "evil:127.0.0.1",
    ] {
        check("/", &[("host", host)], "403 forbidden_host");
    }
    check("/", &[("host", "-")], "400 bad_request");
    check("/", &[("host", "localhost"), ("host", "localhost")], "400 bad_request");
    check("http://localhost/", &[], "let in");
    check("http://example.org/", &[], "403 forbidden_host");
    for origin in ["http://localhost", "https://127.0.0.1:8443", "http://[::1]:3000"] {
        check("/", &[("origin", origin)], "let in");
    }
    for origin in
        ["http://example.org", "null", "", "localhost", "ftp://localhost", "http://localhost/"]
    {
        check("/", &[("origin", origin)], "403 forbidden_origin");
    }
    let two = [("origin", "http://localhost"), ("origin", "http://example.org")];
    check("/", &two, "403 forbidden_origin");
    let found = verdict(&guard, &mut request("POST", "/discord", &[("host", "example.org")]));
    assert_eq!(found, "let in", "a signed endpoint may be reached through a tunnel");
}

#[test]
fn a_token_names_the_caller() {
    let guard = guard("0.0.0.0:80", &[("ops", "s3cret"), ("bot", "t0ken")]).unwrap();
    let check = |lines: &[(&str, &str)], expected: &str| {
        let found = verdict(&guard, &mut request("POST", "/x?token=s3cret", lines));
        assert_eq!(found, expected, "{lines:?}");
    };
    check(&[("authorization", "Bearer s3cret")], "let in as ops");
    check(&[("authorization", "bearer  t0ken")], "let in as bot");
    check(&[("host", "example.org"), ("authorization", "Bearer t0ken")], "let in as bot");
    check(&[("origin", "http://a"), ("authorization", "Bearer t0ken")], "let in as bot");
    check(&[], "401 unauthorized");
    for wrong in
        ["", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3crett", "s3cret", "Digest s3cret"]
    {
        check(&[("authorization", wrong)], "401 unauthorized");
    }
    let both = [("authorization", "Bearer s3cret"), ("authorization", "Bearer t0ken")];
    check(&both, "400 bad_request");
}

#[test]
fn a_browser_logs_in_but_not_for_other_sites() {
    let guard = guard("0.0.0.0:80", &[("ops", "s3cret")]).unwrap();
    let check = |lines: &[(&str, &str)], expected: &str| {
        let lines = [lines, &[("host", "example.org")]].concat();
        assert_eq!(verdict(&guard, &mut request("POST", "/x", &lines)), expected, "{lines:?}");
    };
    let basic = format!("Basic {}", base64(b"ops:s3cret"));
    check(&[("authorization", &basic)], "let in as ops");
    check(&[("authorization", &basic), ("origin", "http://example.org")], "let in as ops");
    check(&[("authorization", &basic), ("origin", "http://a")], "403 forbidden_origin");
    check(&[("authorization", &basic), ("origin", "null")], "403 forbidden_origin");
    let other = format!("Basic {}", base64(b"bot:s3cret"));
    check(&[("authorization", &other)], "401 unauthorized");
}

#[test]
fn a_token_in_the_address_opens_only_what_allows_it_and_is_taken_out() {
    let guard = guard("0.0.0.0:80", &[("tv", "a+b")]).unwrap().with_exceptions(&endpoints());
    for (method, uri, expected, left) in [
        ("GET", "/ace/getstream?id=1&token=a%2Bb&x=2", "let in as tv", "/ace/getstream?id=1&x=2"),
        ("HEAD", "/ace/getstream?token=a+b", "let in as tv", "/ace/getstream"),
        ("GET", "/r/s/1/2?token=a+b", "let in as tv", "/r/s/1/2"),
        ("GET", "/ace/getstream?token=a", "401 unauthorized", "/ace/getstream?token=a"),
        ("GET", "/ace/getstream?token=", "401 unauthorized", "/ace/getstream?token="),
        ("GET", "/ace/getstream", "401 unauthorized", "/ace/getstream"),
        ("POST", "/ace/getstream?token=a+b", "401 unauthorized", "/ace/getstream?token=a+b"),
        ("GET", "/ace/getstream/?token=a+b", "401 unauthorized", "/ace/getstream/?token=a+b"),
        ("GET", "/r/s?token=a+b", "401 unauthorized", "/r/s?token=a+b"),
        ("GET", "/other?token=a+b", "401 unauthorized", "/other?token=a+b"),
        ("POST", "/discord", "let in", "/discord"),
        ("GET", "/discord", "401 unauthorized", "/discord"),
    ] {
        let mut request = request(method, uri, &[]);
        assert_eq!(verdict(&guard, &mut request), expected, "{method} {uri}");
        assert_eq!(request.uri().to_string(), left);
    }
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let token = AccessToken { name: "ops".into(), secret: "s3cret".into() };
    let guard = Guard::new(&[], std::slice::from_ref(&token)).unwrap();
    assert!(!format!("{guard:?} {token:?}").contains("s3cret"));
}

//! How problems look.

use super::*;

#[test]
fn a_problem_is_shown_as_rfc_9457_says() {
    let problem = Problem::new(StatusCode::CONFLICT, "stale_token", "lower than one seen")
        .field("Interlock-Fencing-Token")
        .with("version", 17);
    let shown: Value = serde_json::from_str(&problem.to_json()).unwrap();
    let expected = serde_json::json!({
        "type": "about:blank", "title": "Conflict", "status": 409, "code": "stale_token",
        "detail": "lower than one seen", "field": "Interlock-Fencing-Token", "version": 17,
    });
    assert_eq!(shown, expected);

    let response = problem.into_response();
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
}

#[test]
fn retry_after_is_whole_seconds_rounded_up_and_at_least_one() {
    for (wait_ms, expected) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_001, "60")] {
        let response = Problem::busy().retry_after(Millis(wait_ms)).into_response();
        assert_eq!(response.headers().get_all(header::RETRY_AFTER).iter().count(), 1);
        assert_eq!(response.headers()[header::RETRY_AFTER], expected, "{wait_ms} ms");
    }
}

#[test]
fn a_browser_and_a_program_are_both_told_how_to_log_in() {
    let response = Problem::unauthorized("a token is needed").into_response();
    let ways = response.headers().get_all(header::WWW_AUTHENTICATE);
    assert_eq!(ways.iter().count(), 2);
}

//! The pages as people see them, in a real browser.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod browser;
mod ground;
mod visitor;

use browser::Browser;
use ground::{EVIL, Ground};
use tokio::runtime::Runtime;
use visitor::Visitor;

/// A browser takes a second to start, so one sees it all.
#[test]
fn pages_work_in_a_real_browser_on_small_and_large_screens_in_light_and_dark() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(visit());
    // The audit has more to try, and nobody waits for it.
    runtime.shutdown_background();
}

async fn visit() {
    let (ground, browser) = tokio::join!(Ground::start(), Browser::start());
    let mut visitor = Visitor::new(&ground, browser);
    everything_can_be_seen(&mut visitor).await;
    what_changes_is_shown_without_a_reload(&mut visitor).await;
    a_battle_is_watched_to_its_end(&mut visitor).await;
    a_fleet_is_started_with_the_form(&mut visitor).await;
    an_audit_is_run(&mut visitor).await;
    visitor.every_link_leads_somewhere().await;
    visitor.leave().await;
    ground.stop().await;
}

async fn everything_can_be_seen(visitor: &mut Visitor<'_>) {
    for path in ["/entities/quota", "/entities/quota/battles", "/entities/run/waiting"] {
        visitor.look_at(path).await;
    }
    visitor.look_at("/").await;
    visitor.reads(&["demo1", "flowing", "Dead letters", "quota/stuck", EVIL]).await;
    visitor.look_at("/entities/turn/story").await;
    visitor.reads(&[EVIL]).await;
}

async fn what_changes_is_shown_without_a_reload(visitor: &mut Visitor<'_>) {
    visitor.open("/").await;
    visitor.ground.command("PUT", "quotas/fresh", r#"{"limit": 1}"#).await;
    visitor.waits_for("#entities", "fresh").await;
    visitor.open("/entities/quota/fresh").await;
    visitor.ground.command("POST", "quotas/fresh/claims", r#"{"worker": "w7"}"#).await;
    visitor.waits_for("#timeline", "w7").await;
    visitor.open("/battles").await;
    visitor.ground.play("another", "random").await;
    visitor.waits_for("#runs", "another").await;
}

async fn a_battle_is_watched_to_its_end(visitor: &mut Visitor<'_>) {
    visitor.open("/battles/waiting").await;
    visitor.waits_for("#in-play", "1").await;
    visitor.look_at("/battles/waiting").await;
    visitor.open("/battles/waiting/c1").await;
    visitor.waits_for("#battle", "Chance to win").await;
    visitor.look_at("/battles/waiting/c1").await;
    visitor
        .reads(&["in play", "What the bot thinks", "<img src=x onerror=alert(", "says: “<img"])
        .await;

    visitor.ground.showdown.wake_rivals();
    visitor.waits_for("#battle", "Its log, in Showdown's format").await;
    visitor.reads(&["Turn 1", "The bot chose"]).await;
    visitor.look_at("/battles/waiting/c1").await;
    visitor.reads(&["Chance to win", "says: “<img"]).await;
    visitor.tabs_through("/battles/waiting/c1").await;
    visitor.look_at("/battles/waiting").await;
    visitor.look_at("/battles/waiting?before=c9").await;
}

async fn a_fleet_is_started_with_the_form(visitor: &mut Visitor<'_>) {
    visitor.look_at("/battles").await;
    visitor.tabs_through("/battles").await;
    let server = visitor.ground.showdown.url();
    let fields = [
        ("run", "formed"),
        ("server", &server),
        ("target", "3"),
        ("usernames", "Former"),
        ("player", "random"),
    ];
    for (name, value) in fields {
        visitor.browser.eval(&format!("document.forms[0].elements.{name}.value = '{value}'")).await;
    }
    visitor.browser.follow("document.querySelector('form button').click()").await;
    visitor.reads(&["Run formed"]).await;
    visitor.waits_for("#fleet", "stopped").await;
    visitor.waits_for("#counts", "Finished of 3\n3").await;
    visitor.look_at("/battles/formed").await;
    visitor.tabs_through("/battles/formed").await;
    visitor.look_at("/battles/formed?by=battle").await;
}

async fn an_audit_is_run(visitor: &mut Visitor<'_>) {
    visitor.look_at("/audit").await;
    visitor.tabs_through("/audit").await;
    visitor.browser.follow("document.querySelector('form button').click()").await;
    visitor.browser.until("document.querySelector('#results a')").await;
    let race = visitor.browser.eval("document.querySelector('#results a').pathname").await;
    visitor.look_at("/audit").await;
    visitor.look_at(race.as_str().unwrap()).await;
}

//! The shell of every page: one quiet look, light and dark, no script that pages need to be read.
//!
//! A page is rendered whole on the server. With a feed it stays true by itself: whenever the feed says
//! anything, the page is asked for once more and its [`live`] parts are swapped. So there is one way to
//! render a thing, and without scripts the page is only not refreshed. The feed sends events
//! without a type (what they say does not matter), best after phase 2 of what the page shows.
//!
//! Style and script are inside the page and allowed by their hashes; nothing else may run or be loaded
//! (Content-Security-Policy), so no text that slipped through unescaped can do anything. For the same
//! reason pages use no `style` attributes; plots set the attributes of SVG.
//!
//! ```
//! use interlock_web::page::{Page, Tone, badge, facts, live};
//! use maud::html;
//!
//! let page = Page::new("pool/engines")
//!     .nav(&[("Pools", "/pools"), ("Quotas", "/quotas")], "/pools")
//!     .feed("/pools/engines/feed")
//!     .body(html! {
//!         (live("members", html! {
//!             (facts(&[("Active", html! { "3" }), ("Waiting", html! { "0" })]))
//!             (badge(Tone::Good, "healthy"))
//!         }))
//!     });
//! # let _ = page;
//! ```

use std::sync::LazyLock;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::encoding::base64;

const STYLE: &str = include_str!("page/style.css");
/// Two links of a chain.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32' \
    fill='none' stroke='%23608cb8' stroke-width='4'%3E%3Crect x='3' y='10' width='16' height='12' rx='6'/%3E\
    %3Crect x='13' y='10' width='16' height='12' rx='6'/%3E%3C/svg%3E";
const SCRIPT: &str = include_str!("page/live.js");

/// What a page may load and run: its own style and script, images and feeds of this server.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| base64(&Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::try_from(policy).expect("base64 fits a header")
});

/// A page in the making.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    title: &'a str,
    nav: &'a [(&'a str, &'a str)],
    here: &'a str,
    feed: Option<&'a str>,
}

/// A whole page; the answer to a browser.
#[derive(Debug, Clone)]
pub struct Html(Markup);

impl<'a> Page<'a> {
    /// A page with a title, which is also its first heading.
    #[must_use]
    pub fn new(title: &'a str) -> Self {
        Self { title, nav: &[], here: "", feed: None }
    }

    /// The way to other pages: names with addresses, and which of them is `here`.
    #[must_use]
    pub fn nav(self, nav: &'a [(&'a str, &'a str)], here: &'a str) -> Self {
        Self { nav, here, ..self }
    }

    /// The address of the feed that says when something changed.
    #[must_use]
    pub fn feed(self, feed: &'a str) -> Self {
        Self { feed: Some(feed), ..self }
    }

    /// The whole page around its content.
    #[must_use]
    pub fn body(self, content: Markup) -> Html {
        Html(html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) " · Interlock" }
                    link rel="icon" href=(ICON);
                    style { (PreEscaped(STYLE)) }
                }
                body data-feed=[self.feed] {
                    header {
                        a class="brand" href="/" { "Interlock" }
                        nav {
                            @for (name, address) in self.nav {
                                @let current = (*address == self.here).then_some("page");
                                a href=(address) aria-current=[current] { (name) }
                            }
                        }
                        span id="live-state" role="status" {}
                    }
                    main {
                        h1 { (self.title) }
                        (content)
                    }
                    @if self.feed.is_some() {
                        script { (PreEscaped(SCRIPT)) }
                    }
                }
            }
        })
    }
}

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        let fixed = |name: &'static str, value: &'static str| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers = [
            fixed("content-type", "text/html; charset=utf-8"),
            fixed("cache-control", "no-store"),
            // Not "no-referrer": then browsers hide where forms come from, too, and the guard refuses them.
            fixed("referrer-policy", "same-origin"),
            fixed("x-content-type-options", "nosniff"),
            (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        ];
        (headers, self.0.into_string()).into_response()
    }
}

/// A part of the page that is swapped when it changed. `id` is unique on the page.
#[must_use]
pub fn live(id: &str, content: Markup) -> Markup {
    html! { section id=(id) data-live { (content) } }
}

/// Numbers worth a large print, with what they count.
#[must_use]
pub fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl class="facts" {
            @for (name, value) in facts {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// What a [`badge`] says before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Neither good nor bad.
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
}

/// A word about a state. The colour only repeats what the word says.
#[must_use]
pub fn badge(tone: Tone, text: &str) -> Markup {
    let class = match tone {
        Tone::Plain => "badge",
        Tone::Good => "badge good",
        Tone::Warn => "badge warn",
        Tone::Bad => "badge bad",
    };
    html! { span class=(class) { (text) } }
}

/// A column of a [`table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column<'a> {
    /// Words, aligned left.
    Text(&'a str),
    /// Numbers, aligned right.
    Number(&'a str),
}

/// A table; `empty` is said where there are no rows.
#[must_use]
pub fn table(columns: &[Column<'_>], rows: &[Vec<Markup>], empty: &str) -> Markup {
    let class = |column: &Column<'_>| match column {
        Column::Text(_) => None,
        Column::Number(_) => Some("number"),
    };
    if rows.is_empty() {
        return html! { p class="empty" { (empty) } };
    }
    html! {
        div class="scroll" {
            table {
                thead { tr {
                    @for column in columns {
                        @let (Column::Text(name) | Column::Number(name)) = column;
                        th scope="col" class=[class(column)] { (name) }
                    }
                } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (column, cell) in columns.iter().zip(row) {
                                td class=[class(column)] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn shown(page: Html) -> (String, String) {
        let response = page.into_response();
        let policy =
            response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (policy, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_policy_allows_exactly_the_style_and_script_of_the_page() {
        let (policy, text) = shown(Page::new("x").feed("/feed").body(html! {})).await;
        for element in ["style", "script"] {
            let inside = text.split_once(&format!("<{element}>")).unwrap().1;
            let inside = inside.split_once(&format!("</{element}>")).unwrap().0;
            let hash = base64(&Sha256::digest(inside));
            assert!(policy.contains(&format!("{element}-src 'sha256-{hash}';")), "{policy}");
        }
        assert!(policy.starts_with("default-src 'none';"));
        assert!(!policy.contains("unsafe"));
    }

    #[tokio::test]
    async fn what_users_wrote_is_escaped() {
        let evil = "<script>alert(1)</script>\"'";
        let page = Page::new(evil)
            .nav(&[(evil, "/x\"onclick=\"y")], "")
            .feed("/f\"x")
            .body(html! { (live(evil, badge(Tone::Bad, evil))) });
        let (_, text) = shown(page).await;
        assert_eq!(text.matches("<script>").count(), 1, "only our own");
        assert!(!text.contains("\"onclick"), "{text}");
        assert!(text.contains("data-feed=\"/f&quot;x\""));
    }

    #[tokio::test]
    async fn a_page_without_feed_runs_no_script() {
        let (_, text) = shown(Page::new("x").body(html! {})).await;
        assert!(!text.contains("<script") && !text.contains("data-feed"));
    }

    #[test]
    fn a_table_without_rows_says_so() {
        let columns = [Column::Text("Pool"), Column::Number("Active")];
        assert!(table(&columns, &[], "No pools yet.").0.contains("No pools yet."));
        let rows = vec![vec![html! { "engines" }, html! { "3" }]];
        let text = table(&columns, &rows, "").0;
        assert!(text.contains("<td>engines</td><td class=\"number\">3</td>"), "{text}");
    }

    #[test]
    fn nothing_comes_from_elsewhere_and_the_script_stays_small() {
        for text in [STYLE, SCRIPT] {
            for outside in ["http:", "https:", "//cdn", "@import", "url(", "</"] {
                assert!(!text.contains(outside), "{outside}");
            }
        }
        assert!(SCRIPT.lines().count() <= 40);
    }
}

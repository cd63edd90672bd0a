//! Somebody who looks at pages, and complains.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{browser::Browser, ground::Ground};

/// Pixels: a telephone and a desk.
const WIDTHS: [u32; 2] = [390, 1280];

pub struct Visitor<'a> {
    pub ground: &'a Ground,
    pub browser: Browser,
    /// Where the pages lead that were looked at.
    links: BTreeSet<String>,
}

impl<'a> Visitor<'a> {
    pub fn new(ground: &'a Ground, browser: Browser) -> Self {
        Self { ground, browser, links: BTreeSet::new() }
    }

    pub async fn open(&mut self, path: &str) {
        self.browser.open(&self.ground.url(path)).await;
    }

    /// Opens a page at every width and looks at it in light and dark.
    pub async fn look_at(&mut self, path: &str) {
        for width in WIDTHS {
            self.browser.resize(width).await;
            self.open(path).await;
            for scheme in ["light", "dark"] {
                self.browser.prefer(scheme).await;
                let wrong = self.browser.eval(include_str!("look.js")).await;
                assert_eq!(wrong, json!([]), "{path}, {width} px, {scheme}");
            }
        }
        let links = self.browser.eval("[...document.links].map(link => link.href)").await;
        let links: Vec<String> = serde_json::from_value(links).unwrap();
        self.links.extend(links);
        self.nothing_went_wrong(path);
    }

    /// The page says these words, as text.
    pub async fn reads(&mut self, words: &[&str]) {
        let text = self.browser.eval("document.body.textContent").await;
        for word in words {
            assert!(text.as_str().unwrap().contains(word), "{word}: {text}");
        }
    }

    /// Waits until a part of the page says something.
    pub async fn waits_for(&mut self, part: &str, words: &str) {
        let condition =
            format!("document.querySelector('{part}')?.innerText.includes({})", json!(words));
        self.browser.until(&condition).await;
        self.nothing_went_wrong(&format!("{part} says {words}"));
    }

    /// Everything that can be used is reached with the keyboard, and seen to be.
    pub async fn tabs_through(&mut self, path: &str) {
        self.open(path).await;
        let count = "const usable = 'a[href], button, input, select, summary';
            const reached = [], unseen = [];
            document.addEventListener('focusin', ({ target }) => {
              reached.push(target);
              if (getComputedStyle(target).outlineStyle === 'none') unseen.push(target.outerHTML);
            });
            document.querySelectorAll(usable).length";
        let count = self.browser.eval(count).await.as_u64().unwrap();
        assert!(count > 0, "{path}: nothing can be used");
        // What can be scrolled is reached, too.
        for _ in 0..2 * count {
            self.browser.tab().await;
        }
        let missed = "[...document.querySelectorAll(usable)].filter(it => !reached.includes(it))
            .map(it => it.outerHTML).concat(unseen)";
        assert_eq!(self.browser.eval(missed).await, json!([]), "{path}: by keyboard");
    }

    /// Every link that was seen is one of this server's, and is answered.
    pub async fn every_link_leads_somewhere(&mut self) {
        let home = self.ground.url("/");
        let outside = self.links.iter().find(|link| !link.starts_with(&home));
        assert_eq!(outside, None, "pages lead nowhere else");
        assert!(self.links.len() > 20, "{:?}", self.links);
        let ask = format!(
            "Promise.all({}.map(async link => [(await fetch(link)).status, link]))
                .then(answers => answers.filter(([status]) => status !== 200))",
            json!(self.links)
        );
        assert_eq!(self.browser.eval(&ask).await, Value::Array(Vec::new()));
        self.nothing_went_wrong("links");
    }

    pub async fn leave(mut self) {
        self.nothing_went_wrong("the end");
        self.browser.close().await;
    }

    fn nothing_went_wrong(&mut self, at: &str) {
        assert_eq!(self.browser.troubles(), [""; 0], "{at}");
    }
}

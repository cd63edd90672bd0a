"use strict";
(() => {
  const feedUrl = document.body.dataset.feed;
  if (!feedUrl) return;
  const state = document.getElementById("live-state");
  const show = (text) => { state.textContent = text; state.dataset.state = text; };
  let busy = false, again = false;
  // Asks for the page once more and swaps the parts that changed; never twice at a time.
  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    again = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const old of document.querySelectorAll("[data-live]")) {
          const part = fresh.getElementById(old.id);
          const used = old.contains(document.activeElement);
          if (part && !used && part.outerHTML !== old.outerHTML) old.replaceWith(part);
        }
      }
    } catch { /* The feed notices too, and refreshes when it is back. */ }
    busy = false;
    if (again) setTimeout(refresh, 100);
  }
  function listen() {
    const feed = new EventSource(feedUrl);
    feed.onopen = () => { show("live"); refresh(); };
    feed.onmessage = refresh;
    // A feed ends when there is another one to listen to; the browser itself would take its time to ask.
    feed.onerror = () => {
      show("reconnecting");
      feed.close();
      setTimeout(listen, 1000);
    };
  }
  listen();
})();

// The blotter follows the station unless a person is in it: then it freezes and counts what it holds back.
"use strict";
(() => {
  const blotter = document.getElementById("blotter"), news = document.getElementById("blotter-news");
  if (!blotter || !news) return;
  let shown, busy = false, refreshed = 0, waiting = null;
  const refresh = () => {
    if (busy) return;
    busy = true;
    refreshed = performance.now();
    shown = total();
    news.hidden = true;
    htmx.ajax("GET", location.pathname + location.search, { target: "#blotter", swap: "innerHTML" }).finally(() => { busy = false; });
  };
  const total = () => { const { total: count, fills } = Station.documents.orders || {}; return { count: count ?? 0, fills: fills ?? 0 }; };
  function look() {
    const now = total();
    shown ??= now;
    if (now.count === shown.count && now.fills === shown.fills) return;
    const first = blotter.querySelector("[data-first]");
    if (Station.inUse(blotter) || !first || first.dataset.first !== "true") {
      const fresh = Math.max(0, now.count - shown.count);
      news.textContent = fresh ? `${fresh} new` : "changed";
      news.hidden = false;
    } else if (performance.now() - refreshed >= 2000) {
      refresh();
    } else if (waiting === null) {
      waiting = setTimeout(() => { waiting = null; look(); }, 2000);
    }
  }
  Station.on("orders", look);
  news.addEventListener("click", refresh);
})();

// A line that says how far a request has come, until it is done or refused: requested, sent, acknowledged, done.
"use strict";
(() => {
  const { show } = Station;
  const PAUSE_MS = 500, LONGEST_MS = 120000;
  const clock = (at) => show(at, "utc").text;

  function write(line, told) {
    const steps = [`requested ${clock(told.requested_ms)}`];
    if (told.sent_ms) steps.push(`sent ${clock(told.sent_ms)}`);
    if (told.acknowledged_ms) steps.push(`acknowledged by the ${told.by} ${clock(told.acknowledged_ms)}`);
    if (told.state === "done" || told.state === "refused") steps.push(told.state);
    line.querySelector("span").textContent = `${told.what}: ${steps.join(" \u2192 ")} UTC${told.note ? ` (${told.note})` : ""}`;
    line.dataset.state = told.state;
  }
  async function follow(line) {
    const began = performance.now();
    while (performance.now() - began < LONGEST_MS) {
      const told = await Station.fetched(`/data/requests/${line.dataset.request}`);
      if (told) write(line, told);
      if (told && (told.state === "done" || told.state === "refused")) return;
      await new Promise((wake) => { setTimeout(wake, PAUSE_MS); });
    }
  }
  for (const line of document.querySelectorAll("[data-request]")) follow(line);
})();

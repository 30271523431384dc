// How long it is to an instant: by the market's time, which the overview's topic carries, or by the wall's clock.
"use strict";
(() => {
  const { duration } = Station;
  const began = performance.now(), now = Number(document.body.dataset.now);
  function write(clock, at) {
    for (const element of document.querySelectorAll(`[data-countdown][data-clock="${clock}"]`)) {
      const left = Number(element.dataset.countdown) - at;
      element.textContent = left > 0 ? duration(left) : "due";
    }
  }
  Station.on("overview", ({ point }) => { if (point && point.at_ms !== undefined) write("market", point.at_ms); });
  setInterval(() => write("wall", now + performance.now() - began), 1000);
})();

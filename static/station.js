// One socket a page: subscribe, snapshot, numbered deltas. Writes values into elements that say where theirs comes from.
// The protocol stands in controlroom/live/hub.py, ages and titles in controlroom/pages/ages.py.
"use strict";
(() => {
  const { show, duration } = Station;
  const body = document.body;
  const SILENCE_MS = 6000, LONGEST_PAUSE_MS = 15000;
  const documents = {}, numbers = {}, listeners = {};
  const firstHeader = document.getElementById("first-header");
  if (firstHeader) documents.header = JSON.parse(firstHeader.textContent);
  let serverNow = Number(body.dataset.now) || Date.now(), receivedAt = performance.now();
  let socket = null, attempt = 0, lastHeard = performance.now(), lostAt = performance.now(), hub = null, unacknowledged = 0, seen = 0, link = "connecting", leaving = false;

  // --- time: the server's age at sending and the browser's monotonic clock since -------------------------------------
  const now = () => serverNow + (performance.now() - receivedAt);

  function beyond(old, limit) {
    return old > limit ? { text: `STALE ${duration(old)}`, stale: true } : { text: duration(old), stale: false };
  }
  function barsAge(header, stamp, inSession) {
    const source = header.source || {};
    if (source.ended) return { text: "ended", stale: false };
    if (stamp === undefined) return { text: "no bar yet", stale: false };
    if (source.paused) return { text: `paused ${duration(Math.max(0, now() - stamp))}`, stale: false };
    const silent = now() - (header.stamps.feed ?? stamp);
    if (!inSession && silent <= (header.limits.feed ?? 5000)) return { text: `closed${source.close_ms ? `, last ${show(source.close_ms, "et_minute").text} ET` : ""}`, stale: false };
    return beyond(Math.max(0, now() - stamp), source.limit_ms ?? 5000);
  }
  function age(header, name) {
    if (name === "bars") return barsAge(header, (header.stamps || {}).bars, (header.source || {}).in_session);
    const stamp = (header.stamps || {})[name];
    if (stamp === undefined) return { text: "STALE no sign", stale: true };
    return beyond(Math.max(0, now() - stamp), (header.limits || {})[name] ?? 3000);
  }
  function writeAge(element, result) {
    if (element.textContent !== result.text) element.textContent = result.text;
    element.dataset.stale = String(result.stale);
  }
  function tickAges() {
    const header = documents.header;
    if (!header) return;
    const known = {};
    const of = (name) => (known[name] ??= age(header, name));
    for (const element of document.querySelectorAll("[data-age]")) writeAge(element, of(element.dataset.age));
    for (const region of document.querySelectorAll("[data-stale-by]")) region.dataset.stale = String(region.dataset.staleBy.split(" ").some((name) => of(name).stale));
    for (const element of document.querySelectorAll("[data-row-age]")) {
      const stamp = element.dataset.value;
      const result = element.dataset.limit
        ? (stamp ? beyond(Math.max(0, now() - Number(stamp)), Number(element.dataset.limit)) : { text: "\u2013", stale: false })
        : barsAge(header, stamp ? Number(stamp) : undefined, element.dataset.session === "true");
      writeAge(element, result);
      const row = element.closest("tr, [data-aged]");
      if (row) row.dataset.stale = String(result.stale);
    }
  }

  // --- values ---------------------------------------------------------------------------------------------------------
  const at = (value, path) => path.split(".").reduce((found, name) => (found === undefined || found === null ? undefined : found[name]), value);

  function write(element, value) {
    const shown = show(value, element.dataset.format);
    if (element.textContent !== shown.text) element.textContent = shown.text;
    if (value === undefined || value === null) delete element.dataset.value; else element.dataset.value = String(value);
    for (const name of ["sign", "state"]) if (shown[name] !== undefined) element.dataset[name] = shown[name]; else delete element.dataset[name];
  }
  const inUse = (region) => {
    const selection = document.getSelection();
    return region.contains(document.activeElement) || (selection && !selection.isCollapsed && region.contains(selection.anchorNode));
  };

  function writeRow(element, row) {
    for (const cell of element.querySelectorAll("[data-cell]")) write(cell, at(row, cell.dataset.cell));
    for (const cell of element.querySelectorAll("[data-row-age]")) {
      const stamp = at(row, cell.dataset.rowAge);
      if (stamp === undefined) delete cell.dataset.value; else cell.dataset.value = stamp;
      if (!cell.dataset.limit) cell.dataset.session = String(Boolean(row.in_session));
    }
    for (const bar of element.querySelectorAll("[data-meter]")) bar.value = at(row, bar.dataset.meter) ?? 0;
    for (const toned of element.querySelectorAll("[data-tone-of]")) toned.dataset.tone = at(row, toned.dataset.toneOf) ?? "";
    for (const target of element.querySelectorAll("[data-href]")) target.setAttribute("href", target.dataset.href.replace("*", encodeURIComponent(at(row, target.dataset.key) ?? "")));
    for (const chart of element.querySelectorAll("[data-spark-row]")) chart.dataset.spark = chart.dataset.sparkRow.replace("*", element.dataset.key);
  }
  function writeRows(region, table) {
    if (inUse(region)) return;
    const blank = region.querySelector("template");
    const present = new Map([...region.children].filter((child) => child !== blank).map((child) => [child.dataset.key, child]));
    let last = blank;
    for (const key of table.order || []) {
      let element = present.get(key);
      if (!element) {
        element = blank.content.firstElementChild.cloneNode(true);
        element.dataset.key = key;
      }
      present.delete(key);
      if (last.nextElementSibling !== element) last.after(element);
      writeRow(element, table.by[key]);
      last = element;
    }
    for (const element of present.values()) element.remove();
  }
  function shownIf(document_, path) {
    const value = at(document_, path);
    return Array.isArray(value) ? value.length > 0 : Boolean(value);
  }

  function render(topic) {
    const current = documents[topic];
    for (const element of document.querySelectorAll(`[data-topic="${CSS.escape(topic)}"]`)) {
      const { field, rows, empty, shownIf: condition, shape } = element.dataset;
      if (field !== undefined) write(element, at(current, field));
      else if (rows !== undefined) writeRows(element, at(current, rows) || { by: {}, order: [] });
      else if (empty !== undefined) element.hidden = ((at(current, empty) || {}).order || []).length > 0;
      else if (shape !== undefined) { if ((at(current, shape) || []).length !== Number(element.dataset.length)) location.reload(); }
      else if (condition !== undefined && !element.contains(document.activeElement)) element.hidden = !shownIf(current, condition);
    }
    drawSparks(topic);
    if (topic === "header") renderHeader(current);
    for (const listener of listeners[topic] || []) listener(current);
  }
  // The browser's tab says what is wrong first: as page_title and icon in controlroom/pages/ages.py, and OFFLINE before all.
  function nameTab() {
    const header = documents.header;
    if (!header) return;
    const offline = link === "offline", stale = !offline && ["worker", "bars"].some((name) => age(header, name).stale);
    const label = (header.source || {}).label, state = ["KILLED", "HALTED", "REDUCING", "UNREACHABLE"].includes(header.state) ? header.state : "";
    const parts = [offline ? "OFFLINE" : "", state, stale ? "STALE" : "", header.alerts ? `(${header.alerts})` : "", label && !["LIVE", "NO SOURCE"].includes(label) ? label : "", body.dataset.page];
    const title = `${parts.filter(Boolean).join(" ")} \u00b7 AI Trading Station`;
    if (document.title !== title) document.title = title;
    const icon = document.getElementById("icon");
    const face = offline ? "offline" : ["KILLED", "HALTED", "UNREACHABLE"].includes(header.state) ? "kill" : stale || header.alerts ? "alert" : "calm";
    const href = `${icon.dataset.folder}${face}.svg`;
    if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
  }
  function renderHeader(header) {
    body.dataset.seq = header.seq ?? "";
    nameTab();
    const alerts = document.getElementById("alert-count");
    if (alerts) alerts.dataset.some = String(header.alerts > 0);
  }

  // --- sparklines: the hub's history once, then what this page sees ----------------------------------------------------
  const series = {};
  let sampledAt = {};
  function points(values) {
    if (values.length < 2) return "";
    const low = Math.min(...values), span = Math.max(...values) - low || 1, step = 100 / (values.length - 1);
    return values.map((value, index) => `${(index * step).toFixed(1)},${(19 - ((value - low) / span) * 18).toFixed(1)}`).join(" ");
  }
  function drawSparks(topic) {
    if (performance.now() - (sampledAt[topic] ?? -1000) < 1000) return;
    sampledAt[topic] = performance.now();
    for (const chart of document.querySelectorAll(`[data-spark^="${CSS.escape(topic)}\\:"]`)) {
      const value = at(documents[topic], chart.dataset.spark.slice(topic.length + 1));
      if (typeof value !== "number") continue;
      const values = (series[chart.dataset.spark] ??= []);
      values.push(value);
      if (values.length > 120) values.shift();
      chart.firstElementChild.setAttribute("points", points(values));
      chart.dataset.trend = values.at(-1) >= values[0] ? "up" : "down";
    }
  }
  // Null when the server is away or refuses: the page says OFFLINE by itself, and what moves arrives by the socket later.
  async function fetched(url) {
    try { const answer = await fetch(url); return answer.ok ? await answer.json() : null; } catch { return null; }
  }
  async function loadSparks() {
    for (const [name, values] of Object.entries((await fetched("/data/sparks")) || {})) series[name] = [...values, ...(series[name] || [])].slice(-120);
  }

  // --- socket -----------------------------------------------------------------------------------------------------------
  const topics = () => (body.dataset.topics || "").split(" ").filter(Boolean);
  const wanted = () => (document.hidden ? ["header"] : topics());
  const send = (message) => { if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message)); };

  function patched(value, patch) {
    if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
    const result = typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
    for (const [name, part] of Object.entries(patch)) if (part === null) delete result[name]; else result[name] = patched(result[name], part);
    return result;
  }
  function receive(message) {
    lastHeard = performance.now();
    serverNow = message.now;
    receivedAt = lastHeard;
    seen = message.m;
    if (++unacknowledged >= 4 || message.kind === "heartbeat") { send({ ack: seen }); unacknowledged = 0; }
    setLink("live");
    const { topic } = message;
    if (message.kind === "snapshot") {
      hub = message.hub;
      numbers[topic] = message.n;
      documents[topic] = message.data;
      render(topic);
    } else if (message.kind === "delta") {
      if (numbers[topic] === undefined) return;
      if (message.hub !== hub || message.n !== numbers[topic] + 1) { delete numbers[topic]; send({ resync: topic }); return; }
      numbers[topic] = message.n;
      documents[topic] = patched(documents[topic], message.patch);
      render(topic);
    } else if (message.kind === "refused") {
      delete numbers[topic];
    }
  }
  function connect() {
    if (!topics().length || leaving) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const opening = new WebSocket(`${scheme}//${location.host}/live`);
    socket = opening;
    opening.onopen = () => { attempt = 0; seen = 0; unacknowledged = 0; for (const name of Object.keys(numbers)) delete numbers[name]; send({ subscribe: wanted() }); };
    opening.onmessage = (event) => { if (socket === opening) receive(JSON.parse(event.data)); };
    opening.onclose = (event) => {
      if (socket !== opening || leaving) return;
      socket = null;
      if (event.code === 4401) { location.reload(); return; }
      setLink("reconnecting");
      const pause = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** attempt++);
      setTimeout(connect, pause / 2 + Math.random() * pause / 2);
    };
  }

  function setLink(state) {
    if (state === link) return;
    if (link === "live" || link === "connecting") lostAt = lastHeard;
    if (!(link === "offline" && state === "reconnecting")) link = state;
    body.dataset.link = link;
    const badge = document.querySelector(".badge.link");
    if (badge) badge.dataset.link = link;
    const offline = document.getElementById("offline");
    if (offline) offline.hidden = link !== "offline";
    nameTab();
    tickLink();
  }
  function tickLink() {
    const silent = performance.now() - lastHeard;
    if (topics().length && silent > SILENCE_MS && link !== "offline") {
      setLink("offline");
      if (socket) socket.close();
    }
    const words = document.getElementById("link");
    const since = Math.round((performance.now() - lostAt) / 1000);
    const text = { live: "\u25c9 live", connecting: "\u25cb connecting", reconnecting: `\u25d1 reconnecting ${since} s`, offline: `\u25a0 OFFLINE ${since} s` }[link];
    if (words && words.textContent !== text) words.textContent = text;
    const lost = document.getElementById("offline-for");
    if (lost && link === "offline") lost.textContent = duration(performance.now() - lostAt);
  }

  // --- the page ---------------------------------------------------------------------------------------------------------
  document.addEventListener("visibilitychange", () => {
    const rest = topics().filter((topic) => topic !== "header");
    if (!rest.length) return;
    if (document.hidden) { send({ unsubscribe: rest }); for (const topic of rest) delete numbers[topic]; } else send({ subscribe: rest });
  });
  window.addEventListener("pagehide", () => { leaving = true; if (socket) socket.close(); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  const kill = document.getElementById("kill");
  if (kill) kill.addEventListener("toggle", () => {
    clearTimeout(Number(kill.dataset.timer));
    if (kill.open) { kill.querySelector(".sure").focus(); kill.dataset.timer = setTimeout(() => { kill.open = false; }, 5000); }
  });
  for (const choice of document.querySelectorAll("[data-submit]")) choice.addEventListener("change", () => { if (choice.value) choice.form.requestSubmit(); });

  Object.assign(Station, {
    documents, fetched, inUse,
    on(topic, listener) { (listeners[topic] ??= []).push(listener); },
  });
  setInterval(() => { tickLink(); tickAges(); nameTab(); }, 250);
  tickAges();
  if (topics().length) loadSparks().finally(connect);
})();

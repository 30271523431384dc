// Charts that move: equity with drawdown, candles with volume and fills. One crosshair over the charts of a panel.
// The x axis counts bars, not seconds: nights and weekends take no room.
"use strict";
(() => {
  const { show } = Station;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const REFRESH_MS = 1000;

  const dayOf = (at) => show(at, "et_day").text;
  const STEPS = [1, 5, 15, 30, 60, 120, 240];
  const startsDay = (times, index) => index > 0 && dayOf(times[index]) !== dayOf(times[index - 1]);
  function ticks(times, low, high) {
    const first = Math.max(0, Math.ceil(low)), last = Math.min(times.length - 1, Math.floor(high));
    if (last - first < 1) return [first];
    const days = [];
    let minutes = 0;
    for (let index = first + 1; index <= last; index++) {
      if (startsDay(times, index)) days.push(index); else minutes += Math.min(60, (times[index] - times[index - 1]) / 60000);
    }
    if (days.length > 2) return days.filter((_, position) => position % Math.ceil(days.length / 8) === 0);
    const step = 60000 * (STEPS.find((length) => minutes / length <= 9) ?? 1440);
    const found = [], room = (last - first) / 11;
    for (let index = Math.max(1, first); index <= last; index++) {
      if (startsDay(times, index)) { while (found.length && index - found.at(-1) < room) found.pop(); found.push(index); }
      else if (Math.floor(times[index] / step) !== Math.floor(times[index - 1] / step) && !(found.length && index - found.at(-1) < room)) found.push(index);
    }
    return found.length ? found : [first];
  }
  function tickLabels(times, splits) {
    return splits.map((index) => {
      if (times[index] === undefined) return "";
      return startsDay(times, index) ? dayOf(times[index]).slice(0, 4) + dayOf(times[index]).slice(-2) : show(times[index], "et_minute").text;
    });
  }
  const font = () => `11px ${getComputedStyle(document.body).fontFamily}`;

  function options(target, chart, { height, format, series, hooks = {}, bars = false }) {
    const axis = { stroke: colour("--muted"), font: font(), grid: { stroke: colour("--chart-grid"), width: 1 }, ticks: { show: false } };
    return {
      width: target.clientWidth - 8, height, legend: { show: false },
      cursor: { sync: { key: chart.key, setSeries: false, scales: ["x", null] }, drag: { x: false, y: false }, ...(bars ? { points: { show: false } } : {}) },
      scales: { x: { time: false, range: (_, low, high) => [low - 0.5, Math.max(high, low + 10) + 0.5] } },
      axes: [
        { ...axis, size: 26, splits: (_, __, low, high) => ticks(chart.times, low, high), values: (_, splits) => tickLabels(chart.times, splits) },
        { ...axis, size: 74, space: height < 160 ? 22 : 36, values: (_, splits) => splits.map(format) },
      ],
      series: [{}, ...series],
      hooks: { ...hooks, draw: [...(hooks.draw || []), (plot) => drawMarks(plot, chart)], setCursor: [(plot) => chart.legend(plot.cursor.idx)] },
    };
  }
  function drawMarks(plot, chart) {
    const { ctx } = plot;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("--bad");
    ctx.font = `${Math.round(11 * devicePixelRatio)}px ${getComputedStyle(document.body).fontFamily}`;
    for (const mark of chart.marks || []) {
      const index = chart.times.findIndex((at) => at >= mark.at_ms);
      if (index < 0) continue;
      const x = Math.round(plot.valToPos(index, "x", true)) + 0.5;
      ctx.setLineDash([4, 4]);
      ctx.beginPath(); ctx.moveTo(x, plot.bbox.top); ctx.lineTo(x, plot.bbox.top + plot.bbox.height); ctx.stroke();
      const left = x + 80 * devicePixelRatio < plot.bbox.left + plot.bbox.width;
      ctx.textAlign = left ? "left" : "right";
      if (plot.height > 160) ctx.fillText(mark.text, x + (left ? 4 : -4), plot.bbox.top + 12 * devicePixelRatio);
    }
    ctx.restore();
  }
  function legendOf(panel, items) {
    const box = panel.querySelector("[data-legend]");
    if (!box) return () => {};
    const words = items.map((item) => {
      const label = document.createElement("span"), value = document.createElement("b");
      if (item.swatch) { const swatch = document.createElement("i"); swatch.className = item.swatch; label.append(swatch); }
      label.append(`${item.title} `, value);
      box.append(label);
      return value;
    });
    return (index) => items.forEach((item, position) => { words[position].textContent = item.text(index); });
  }
  function fit(panel, plots) {
    new ResizeObserver(() => { for (const [plot, target] of plots) plot.setSize({ width: target.clientWidth - 8, height: target.clientHeight - 8 }); }).observe(panel);
  }
  function markOf(state) {
    try { const told = JSON.parse(state.metadata); return { at_ms: state.at_ms, text: (told.killed || []).length ? "KILLED" : told.state }; } catch { return { at_ms: state.at_ms, text: "" }; }
  }

  const around = (least, most, room) => { const half = Math.max((most - least) * 0.55, room, 1e-9), middle = (least + most) / 2; return [middle - half, middle + half]; };

  // --- equity and drawdown ----------------------------------------------------------------------------------------------
  async function equityPanel(panel) {
    const chart = { key: "equity", times: [], equity: [], drawdown: [], marks: [] };
    const targets = { equity: panel.querySelector('[data-plot="equity"]'), drawdown: panel.querySelector('[data-plot="drawdown"]') };
    const at = (list, index) => list[index ?? list.length - 1];
    chart.legend = legendOf(panel, [
      { title: "market time", text: (index) => (chart.times.length ? show(at(chart.times, index), "et_full").text : "\u2013") },
      { title: "equity", swatch: "line", text: (index) => show(at(chart.equity, index), "money").text },
      { title: "drawdown", swatch: "drop", text: (index) => show(at(chart.drawdown, index), "percent2").text },
    ]);
    const indices = () => chart.times.map((_, index) => index);
    const upper = options(targets.equity, chart, { height: targets.equity.clientHeight - 8, format: (value) => show(value, "integer").text, series: [{ stroke: colour("--chart-line"), width: 1.5, points: { show: false } }] });
    // A flat curve is shown within two basis points of itself: a scale down to zero would hide the first loss.
    upper.scales.y = { range: (_, least, most) => (least === null ? [0, 1] : around(least, most, Math.abs(most) * 0.0002)) };
    const top = new uPlot(upper, [[], []], targets.equity);
    const bottom = options(targets.drawdown, chart, { height: targets.drawdown.clientHeight - 8, format: (value) => show(value, "percent2").text, series: [{ stroke: colour("--down"), fill: colour("--chart-fill"), width: 1, points: { show: false } }] });
    bottom.scales.y = { range: (_, least) => [Math.min((least ?? 0) * 1.1, -0.001), 0] };
    const low = new uPlot(bottom, [[], []], targets.drawdown);
    const draw = () => {
      top.setData([indices(), chart.equity]);
      low.setData([indices(), chart.drawdown]);
      chart.legend(top.cursor.idx);
      panel.querySelector("[data-chart-empty]").hidden = chart.times.length > 0;
    };
    const found = await Station.fetched(panel.dataset.url);
    if (found) {
      Object.assign(chart, { times: found.at_ms, equity: found.equity, drawdown: found.drawdown, marks: found.marks.map(markOf) });
    }
    fit(panel, [[top, targets.equity], [low, targets.drawdown]]);
    draw();
    if (panel.dataset.live !== "true") return;
    let drawn = 0, state = (Station.documents.header || {}).state;
    Station.on("header", (header) => {
      if (header.state !== state && chart.times.length) chart.marks.push({ at_ms: chart.times.at(-1), text: header.state });
      state = header.state;
    });
    Station.on("overview", ({ point }) => {
      if (!point || point.equity === undefined || point.at_ms === undefined || point.at_ms < (chart.times.at(-1) ?? 0)) return;
      if (point.at_ms === chart.times.at(-1)) for (const list of ["times", "equity", "drawdown"]) chart[list].pop();
      chart.times.push(point.at_ms);
      chart.equity.push(point.equity);
      chart.drawdown.push(-(point.drawdown ?? 0));
      if (performance.now() - drawn > REFRESH_MS / 2 && !document.hidden) { drawn = performance.now(); draw(); }
    });
  }

  // --- candles, volume and fills ----------------------------------------------------------------------------------------
  function drawCandles(plot, chart) {
    const { ctx } = plot;
    const width = Math.max(1, Math.min(14, (plot.bbox.width / Math.max(1, plot.scales.x.max - plot.scales.x.min)) * 0.65));
    const up = colour("--up"), down = colour("--down");
    ctx.save();
    ctx.lineWidth = Math.max(1, devicePixelRatio);
    for (let index = 0; index < chart.times.length; index++) {
      const x = plot.valToPos(index, "x", true);
      const [open, high, low, close] = [chart.open[index], chart.high[index], chart.low[index], chart.close[index]].map((value) => plot.valToPos(value, "y", true));
      const rising = chart.close[index] >= chart.open[index];
      ctx.strokeStyle = ctx.fillStyle = rising ? up : down;
      ctx.beginPath(); ctx.moveTo(x, high); ctx.lineTo(x, low); ctx.stroke();
      const body = Math.max(1, Math.abs(close - open));
      if (rising && width > 4) { ctx.fillStyle = colour("--panel"); ctx.fillRect(x - width / 2, Math.min(open, close), width, body); ctx.strokeRect(x - width / 2, Math.min(open, close), width, body); } else ctx.fillRect(x - width / 2, Math.min(open, close), width, body);
    }
    ctx.restore();
  }
  function drawFills(plot, chart) {
    const { ctx } = plot, size = 5 * devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = colour("--panel");
    for (const fill of chart.fills) {
      const index = chart.indexOf(fill.at_ms);
      if (index === undefined) continue;
      const x = plot.valToPos(index, "x", true), y = plot.valToPos(fill.price, "y", true), way = fill.side === "BUY" ? 1 : -1;
      ctx.fillStyle = colour(fill.side === "BUY" ? "--tone-3" : "--tone-4");
      ctx.beginPath(); ctx.moveTo(x, y); ctx.lineTo(x - size, y + way * size * 1.7); ctx.lineTo(x + size, y + way * size * 1.7); ctx.closePath(); ctx.fill(); ctx.stroke();
    }
    ctx.restore();
  }
  function drawVolume(plot, chart) {
    const { ctx } = plot;
    const width = Math.max(1, Math.min(14, (plot.bbox.width / Math.max(1, plot.scales.x.max - plot.scales.x.min)) * 0.65));
    ctx.save();
    for (let index = 0; index < chart.times.length; index++) {
      const x = plot.valToPos(index, "x", true), y = plot.valToPos(chart.volume[index], "y", true);
      ctx.fillStyle = colour(chart.close[index] >= chart.open[index] ? "--up" : "--down");
      ctx.globalAlpha = 0.6;
      ctx.fillRect(x - width / 2, y, width, plot.bbox.top + plot.bbox.height - y);
    }
    ctx.restore();
  }
  const COLUMNS = ["open", "high", "low", "close", "volume"];
  async function candlePanel(panel) {
    const chart = { key: "candles", times: [], open: [], high: [], low: [], close: [], volume: [], fills: [], marks: [], length: Number(panel.dataset.interval) * 1000 };
    chart.indexOf = (at) => {
      for (let index = chart.times.length - 1; index >= 0; index--) if (chart.times[index] <= at) return at - chart.times[index] <= chart.length * 2 ? index : undefined;
      return undefined;
    };
    const targets = { price: panel.querySelector('[data-plot="price"]'), volume: panel.querySelector('[data-plot="volume"]') };
    const at = (list, index) => list[index ?? list.length - 1];
    const fillsAt = (index) => {
      const here = chart.fills.filter((fill) => chart.indexOf(fill.at_ms) === (index ?? chart.times.length - 1));
      return here.map((fill) => `${fill.side === "BUY" ? "\u25b2 buy" : "\u25bc sell"} ${fill.lots} @ ${show(fill.price, "price").text}`).join(", ") || "\u2013";
    };
    chart.legend = legendOf(panel, [
      { title: "bar from", text: (index) => (chart.times.length ? show(at(chart.times, index), "et_full").text : "\u2013") },
      ...["open", "high", "low", "close"].map((name) => ({ title: name, text: (index) => show(at(chart[name], index), "price").text })),
      { title: "volume", text: (index) => show(at(chart.volume, index), "integer").text },
      { title: "fills", text: fillsAt },
    ]);
    const hidden = { paths: () => null, points: { show: false } };
    const range = () => {
      if (!chart.times.length) return [0, 1];
      const low = Math.min(...chart.low), high = Math.max(...chart.high), room = (high - low) * 0.06 || high * 0.001;
      return [low - room, high + room];
    };
    const price = options(targets.price, chart, { height: targets.price.clientHeight - 8, bars: true, format: (value) => show(value, "price").text, series: [hidden], hooks: { draw: [(plot) => drawCandles(plot, chart), (plot) => drawFills(plot, chart)] } });
    price.scales.y = { range };
    const volume = options(targets.volume, chart, { height: targets.volume.clientHeight - 8, bars: true, format: (value) => (value >= 1e6 ? `${value / 1e6} M` : value >= 1e3 ? `${value / 1e3} k` : String(value)), series: [hidden], hooks: { draw: [(plot) => drawVolume(plot, chart)] } });
    volume.scales.y = { range: (_, __, high) => [0, (high || 1) * 1.05] };
    const top = new uPlot(price, [[], []], targets.price), low = new uPlot(volume, [[], []], targets.volume);
    const draw = () => {
      const indices = chart.times.map((_, index) => index);
      top.setData([indices, chart.close]);
      low.setData([indices, chart.volume]);
      chart.legend(top.cursor.idx);
      panel.querySelector("[data-chart-empty]").hidden = chart.times.length > 0;
    };
    const take = (found) => {
      if (!found.at_ms.length && !found.fills.length) return;
      let keep = found.at_ms.length ? chart.times.findIndex((time) => time >= found.at_ms[0]) : -1;
      if (keep < 0) keep = chart.times.length;
      chart.times = [...chart.times.slice(0, keep), ...found.at_ms];
      for (const name of COLUMNS) chart[name] = [...chart[name].slice(0, keep), ...found[name]];
      const since = found.at_ms[0] ?? Infinity;
      chart.fills = [...chart.fills.filter((fill) => fill.at_ms < since), ...found.fills];
      draw();
    };
    let busy = false, again = 0;
    const load = async (suffix) => {
      if (busy) return;
      busy = true;
      try { const answer = await fetch(panel.dataset.url + suffix); if (answer.ok) take(await answer.json()); } catch { again = 0; } finally { busy = false; }
    };
    fit(panel, [[top, targets.price], [low, targets.volume]]);
    await load("");
    draw();
    if (panel.dataset.live !== "true") return;
    let bars;
    Station.on(panel.dataset.follows, (current) => {
      const seen = (current.quote || {}).bars;
      if (seen === bars || document.hidden || performance.now() - again < REFRESH_MS) return;
      bars = seen;
      again = performance.now();
      load(`&after=${chart.times.at(-2) ?? 0}`);
    });
  }

  Station.charts = { options, legendOf, fit, colour };
  for (const panel of document.querySelectorAll('[data-chart="equity"]')) equityPanel(panel);
  for (const panel of document.querySelectorAll('[data-chart="candles"]')) candlePanel(panel);
})();

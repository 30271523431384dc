// Losses against the value at risk of the day before; and what is stored, asked for again each minute.
"use strict";
(() => {
  const { show, charts } = Station;
  const AGAIN_MS = 60000;

  function drawLosses(plot, chart) {
    const { ctx } = plot, zero = plot.valToPos(0, "y", true);
    const width = Math.max(2, Math.min(14, (plot.bbox.width / Math.max(1, plot.scales.x.max - plot.scales.x.min)) * 0.6));
    const size = 4 * devicePixelRatio;
    ctx.save();
    for (let index = 0; index < chart.times.length; index++) {
      const x = plot.valToPos(index, "x", true), y = plot.valToPos(chart.loss[index], "y", true);
      ctx.fillStyle = charts.colour(chart.exceeded[index] ? "--bad" : chart.loss[index] > 0 ? "--down" : "--up");
      ctx.globalAlpha = chart.exceeded[index] ? 1 : 0.6;
      ctx.fillRect(x - width / 2, Math.min(y, zero), width, Math.max(1, Math.abs(y - zero)));
      if (!chart.exceeded[index]) continue;
      ctx.strokeStyle = charts.colour("--bad");
      ctx.lineWidth = 2 * devicePixelRatio;
      const top = y - size * 2;
      ctx.beginPath(); ctx.moveTo(x - size, top - size); ctx.lineTo(x + size, top + size); ctx.moveTo(x + size, top - size); ctx.lineTo(x - size, top + size); ctx.stroke();
    }
    ctx.restore();
  }

  function varPanel(panel) {
    const chart = { key: "var", times: [], var_99: [], es_99: [], loss: [], exceeded: [], marks: [] };
    const target = panel.querySelector("[data-plot]"), said = document.getElementById("var-said");
    const at = (list, index) => list[index ?? list.length - 1];
    chart.legend = charts.legendOf(panel, [
      { title: "day", text: (index) => (chart.times.length ? show(at(chart.times, index), "et_day").text : "\u2013") },
      { title: "VaR 99 %", swatch: "line", text: (index) => show(at(chart.var_99, index), "percent2").text },
      { title: "ES 99 %", swatch: "tail", text: (index) => show(at(chart.es_99, index), "percent2").text },
      { title: "loss", swatch: "drop", text: (index) => show(at(chart.loss, index), "percent2").text },
      { title: "\u2716 exception", text: (index) => (at(chart.exceeded, index) ? "yes" : "no") },
    ]);
    const line = { points: { show: false }, width: 1.5, stroke: charts.colour("--chart-line") };
    const given = charts.options(target, chart, {
      height: target.clientHeight - 8, bars: true, format: (value) => show(value, "percent2").text,
      series: [line, { ...line, width: 1, dash: [4, 4] }, { paths: () => null, points: { show: false } }],
      hooks: { draw: [(plot) => drawLosses(plot, chart)] },
    });
    given.axes[0].values = (_, splits) => splits.map((index) => (chart.times[index] === undefined ? "" : show(chart.times[index], "et_day").text.slice(9)));
    given.scales.y = { range: (_, least, most) => [Math.min((least ?? 0) * 1.15, -0.002), Math.max((most ?? 0) * 1.3, 0.002)] };
    const plot = new uPlot(given, [[], [], [], []], target);
    charts.fit(panel, [[plot, target]]);
    return async () => {
      const found = await Station.fetched(panel.dataset.url);
      if (!found) return;
      Object.assign(chart, found, { times: found.at_ms });
      plot.setData([chart.times.map((_, index) => index), chart.var_99, chart.es_99, chart.loss]);
      chart.legend(plot.cursor.idx);
      said.textContent = chart.said;
      panel.querySelector("[data-chart-empty]").hidden = chart.times.length > 0;
      target.hidden = !chart.times.length;
    };
  }

  const loads = [...document.querySelectorAll('[data-chart="var"]')].map(varPanel);
  const stored = document.getElementById("stored");
  for (const load of loads) load();
  setInterval(() => {
    if (document.hidden || document.body.dataset.link !== "live") return;
    for (const load of loads) load();
    if (!Station.inUse(stored)) htmx.ajax("GET", stored.dataset.url, { target: "#stored", swap: "innerHTML" });
  }, AGAIN_MS);
})();

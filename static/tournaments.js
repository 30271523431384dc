// Simulations under way, asked for again every two seconds; and a claim's stress path to hover over and zoom into:
// Plotly in the page's own colours, without which the drawing stays.
"use strict";
(() => {
  const AGAIN_MS = 2000, work = document.getElementById("work");
  if (!work) return;
  const again = setInterval(() => {
    if (!work.querySelector('[data-under-way="true"]')) clearInterval(again);
    else if (!document.hidden && !Station.inUse(work)) htmx.ajax("GET", location.pathname + location.search, { target: "#work", swap: "innerHTML" });
  }, AGAIN_MS);
})();
(() => {
  const target = document.getElementById("explore"), given = document.getElementById("path");
  if (!target || !given || !window.Plotly) return;
  const path = JSON.parse(given.textContent);
  const colour = (name, of = document.documentElement) => getComputedStyle(of).getPropertyValue(name).trim();
  const tone = colour("--tone", target), muted = colour("--muted"), text = colour("--text"), warn = colour("--warn");
  const last = path.x.at(-1);
  const curve = (name, y, line, more = {}) => ({ x: path.x, y, name, mode: "lines", type: "scatter", line: { width: 2, color: tone, ...line }, hovertemplate: "%{y:+.3f} %", ...more });
  const traces = [
    curve("95 % of the paths below", path.high, { width: 0 }, { showlegend: false }),
    curve("5 % of the paths below", path.low, { width: 0 }, { showlegend: false, fill: "tonexty", fillcolor: `${tone}33` }),
    curve("without stress, median", path.calm, { color: muted, dash: "dash", width: 1.5 }),
    curve("worst path", path.worst, { dash: "dot", width: 1.5 }),
    curve("median under stress", path.median, { width: 2.5 }),
  ];
  const level = (y, dash, color) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color, dash, width: 1.5 } });
  const named = (words, y, color, yanchor) => ({ xref: "paper", x: 1, xanchor: "left", y, yanchor, text: words, showarrow: false, font: { color } });
  const higher = path.threshold >= path.measured;
  const axis = { gridcolor: colour("--chart-grid"), zerolinecolor: colour("--line"), linecolor: colour("--line"), tickfont: { color: muted }, title: { font: { color: muted } } };
  const shapes = [level(path.threshold, "dash", warn), level(path.measured, "solid", text)];
  if (path.begins) shapes.push({ type: "line", x0: path.begins, x1: path.begins, yref: "paper", y0: 0, y1: 1, line: { color: muted, dash: "dot", width: 1 } });
  target.replaceChildren();
  Plotly.newPlot(target, traces, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: text },
    margin: { l: 64, r: 128, t: 12, b: 44 }, showlegend: false, hovermode: "x unified", hoverlabel: { bgcolor: colour("--raised"), bordercolor: colour("--line") },
    xaxis: { ...axis, range: [0, last], unifiedhovertitle: { text: `%{x:.2f} ${path.unit}` }, spikecolor: muted, spikethickness: -2, title: { ...axis.title, text: path.unit } }, yaxis: { ...axis, ticksuffix: " %", title: { ...axis.title, text: "of the capital" } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: muted, activecolor: text },
    shapes, annotations: [named(` threshold ${path.said.threshold}`, path.threshold, warn, higher ? "bottom" : "top"), named(` measured ${path.said.measured}`, path.measured, text, higher ? "top" : "bottom")],
  }, { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]] });
})();

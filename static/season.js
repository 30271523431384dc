// The season's six measures through rounds: small charts on one time axis with one crosshair, and the same in words.
// Every few seconds it is asked whether there is anything else, and drawn only if there is.
"use strict";
(() => {
  const AGAIN_MS = 5000;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const shade = (name, part) => `rgba(${colour(name).match(/[0-9a-f]{2}/gi).slice(0, 3).map((two) => parseInt(two, 16)).join(",")},${part})`;
  const MARKS = {
    halved: { tone: "--warn", symbol: "diamond" }, benched: { tone: "--bad", symbol: "square" },
    active: { tone: "--good", symbol: "circle-open" }, state: { tone: "--bad", symbol: "x" },
  };
  const ROWS = {
    delta: { axis: "y", title: "competitive delta added up, basis points of the capital, SIMULATED" },
    efficiency: { axis: "y2", title: "capital efficiency: 1 ÷ gross exposure of the capital, SIMULATED" },
    resilience: { axis: "y3", title: "challenge resilience, 1 is nothing lost, SIMULATED" },
    diversity: { axis: "y4", title: "diversity index: independent entrants ÷ entrants" },
    innovation: { axis: "y5", title: "innovation rate: variants promoted a week, up to the round" },
    recovery: { axis: "y6", title: "black-swan recovery: % of the fall in the worst family regained, SIMULATED" },
  };
  const names = Object.keys(ROWS), PITCH = 0.97 / names.length, TITLE = 0.042;
  // Share of the height, top first: [bottom, top]; above the first row is the line of the marks.
  names.forEach((name, place) => { const top = 0.97 - place * PITCH; Object.assign(ROWS[name], { domain: [top - PITCH, top - TITLE], top, legend: place ? `legend${place + 1}` : "legend" }); });

  const some = (found, row) => [found[row]].flat().some((each) => each.value.some((value) => value !== null));

  // The line breaks where nothing is known; the dots are at every round, unseen in a gap, so that the crosshair says why.
  function line(found, column, row, name, tone, more = {}) {
    const shown = colour(tone), known = column.value.find((value) => value !== null) ?? 0.5;
    const both = { x: found.at, yaxis: ROWS[row].axis, legend: ROWS[row].legend, name, ...more };
    return [
      { ...both, y: column.value, mode: "lines", line: { color: shown, width: 1.5 }, hoverinfo: "skip", showlegend: some(found, row) && more.showlegend !== false },
      {
        ...both, y: column.value.map((value) => value ?? known), mode: "markers", marker: { size: 4, color: column.value.map((value) => (value === null ? "rgba(0,0,0,0)" : shown)) }, showlegend: false,
        ...(row === "recovery" ? { hoverinfo: "skip" } : { customdata: column.said, hovertemplate: `%{customdata}<extra>${name}</extra>` }),
      },
    ];
  }
  function band(found, row) {
    const { low, high } = found[row], known = found.at.map((_, index) => index).filter((index) => low[index] !== null);
    const edge = (values, more) => ({
      x: known.map((index) => found.at[index]), y: known.map((index) => values[index]), yaxis: ROWS[row].axis, legend: ROWS[row].legend, mode: "lines", line: { width: 0, color: colour("--chart-line") }, hoverinfo: "skip", showlegend: false, legendgroup: `${row} error`, ...more,
    });
    return known.length ? [edge(low, {}), edge(high, { fill: "tonexty", fillcolor: shade("--chart-line", 0.18), name: "± error", showlegend: true })] : [];
  }
  function lines(found) {
    const own = (row) => found[row].flatMap((each) => line(found, each, row, each.title, `--tone-${each.tone}`, { legendgroup: each.title, showlegend: row === "resilience" }));
    const { axis, legend } = ROWS.diversity;
    return [
      { x: found.at, y: found.at.map(() => 0.5), name: "round", yaxis: "y7", mode: "markers", marker: { size: 1, color: "rgba(0,0,0,0)" }, showlegend: false, customdata: found.said, hovertemplate: "%{customdata}<extra>round</extra>" },
      ...band(found, "delta"), ...line(found, found.delta, "delta", "delta", "--chart-line"),
      ...line(found, found.efficiency, "efficiency", "efficiency", "--chart-line"), ...own("resilience"),
      { x: found.at, y: found.diversity.alike, name: "all alike", yaxis: axis, legend, mode: "lines", line: { color: colour("--muted"), width: 1, dash: "dash" }, hoverinfo: "skip" },
      ...line(found, found.diversity, "diversity", "diversity", "--chart-line"),
      ...band(found, "innovation"), ...line(found, found.innovation, "innovation", "promoted a week", "--chart-line"), ...own("recovery"),
    ];
  }
  function marks(given) {
    return Object.keys(MARKS).flatMap((kind) => {
      const found = given.filter((mark) => mark.kind === kind), tone = colour(MARKS[kind].tone);
      const marker = { color: tone, symbol: MARKS[kind].symbol, size: 9, line: { width: 1.5, color: tone } };
      return found.length ? [{ x: found.map((mark) => mark.at), y: found.map(() => 0.5), yaxis: "y7", mode: "markers", showlegend: false, cliponaxis: false, hoverinfo: "skip", marker }] : [];
    });
  }
  const text = (words, y, more) => ({ text: words, xref: "paper", yref: "paper", y, showarrow: false, font: { size: 11, color: colour("--muted") }, ...more });
  function annotations(found) {
    return names.flatMap((row) => [
      text(ROWS[row].title, ROWS[row].domain[1] + 0.002, { x: 0, xanchor: "left", yanchor: "bottom" }),
      ...(some(found, row) ? [] : [text(found.figures[row].words, (ROWS[row].domain[0] + ROWS[row].domain[1]) / 2, { x: 0.5 })]),
    ]);
  }
  function reach(at) {
    if (!at.length) return {};
    const first = Date.parse(`${at[0]}Z`), last = Date.parse(`${at.at(-1)}Z`), room = Math.max((last - first) * 0.015, 86_400_000 / 2);
    return { range: [first - room, last + room].map((ms) => new Date(ms).toISOString().slice(0, 19)) };
  }
  function layout(found) {
    const axis = { gridcolor: colour("--chart-grid"), zerolinecolor: colour("--line"), linecolor: colour("--line"), tickcolor: colour("--line"), fixedrange: true, nticks: 4 };
    const row = (name, more) => ({ [name === "delta" ? "yaxis" : `yaxis${ROWS[name].axis.slice(1)}`]: { ...axis, domain: ROWS[name].domain, ...(some(found, name) ? more : { showticklabels: false, range: [0, 1] }) } });
    const legends = Object.fromEntries(names.map((name) => [ROWS[name].legend, { x: 1.01, xanchor: "left", y: ROWS[name].domain[1], yanchor: "top", font: { size: 11 }, tracegroupgap: 0, bgcolor: "rgba(0,0,0,0)" }]));
    return {
      paper_bgcolor: colour("--panel"), plot_bgcolor: "rgba(0,0,0,0)", font: { family: getComputedStyle(document.body).fontFamily, size: 11, color: colour("--muted") },
      margin: { l: 44, r: 8, t: 4, b: 42 }, hovermode: "x unified", hoversubplots: "axis", hoverdistance: -1, dragmode: "zoom", uirevision: "kept",
      hoverlabel: { bgcolor: colour("--raised"), bordercolor: colour("--line"), font: { color: colour("--text"), size: 11 } },
      xaxis: { ...axis, fixedrange: false, nticks: 9, anchor: "free", position: 0, type: "date", showspikes: true, spikemode: "across", spikesnap: "data", spikethickness: 1, spikedash: "solid", spikecolor: colour("--muted"), hoverformat: "%Y-%m-%d %H:%M ET", ...reach(found.at) },
      ...row("delta", { rangemode: "tozero" }), ...row("efficiency", { rangemode: "tozero" }), ...row("resilience", { range: [0, 1.08], tickvals: [0, 0.5, 1] }),
      ...row("diversity", { range: [0, 1.08], tickvals: [0, 0.5, 1] }), ...row("innovation", { rangemode: "tozero" }), ...row("recovery", { range: [0, 108], tickvals: [0, 50, 100], ticksuffix: " %" }),
      yaxis7: { domain: [0.975, 1], range: [0, 1], visible: false, fixedrange: true }, ...legends, annotations: annotations(found),
      shapes: found.marks.map((mark) => ({ type: "line", xref: "x", yref: "paper", x0: mark.at, x1: mark.at, y0: 0, y1: 0.975, line: { color: colour(MARKS[mark.kind].tone), width: 1, dash: "dot" } })),
    };
  }

  const made = (name, words, more = {}) => Object.assign(document.createElement(name), { textContent: words }, more);
  function cell(parts, place) {
    const found = made(place ? "td" : "th", "", place ? {} : { scope: "row" });
    parts.filter(Boolean).forEach((part, nth) => found.append(...(nth ? [document.createElement("br")] : []), made("span", part, nth ? { className: "muted small" } : {})));
    return found;
  }
  function words(panel, found) {
    for (const [name, { value, words: said }] of Object.entries(found.figures)) {
      const figure = panel.querySelector(`[data-figure="${name}"]`);
      figure.querySelector(".value").textContent = value;
      figure.querySelector(".words").textContent = said;
    }
    const count = found.at.length, marked = found.marks.length;
    panel.querySelector("summary").textContent = `In words and numbers: ${count} round${count === 1 ? "" : "s"}, ${marked || "no"} mark${marked === 1 ? "" : "s"}`;
    panel.querySelector("[data-sentences]").replaceChildren(...found.sentences.map((said) => made("li", said)));
    panel.querySelector("[data-marks]").replaceChildren(...found.marks.map((mark) => made("li", `${mark.at.slice(0, 16).replace("T", " ")} ET: ${mark.text}`)));
    panel.querySelector("thead tr").replaceChildren(...found.table.head.map((title) => made("th", title, { scope: "col" })));
    panel.querySelector("tbody").replaceChildren(...found.table.rows.map((row) => { const line_of = document.createElement("tr"); line_of.append(...row.map(cell)); return line_of; }));
  }
  const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"], toImageButtonOptions: { format: "svg", filename: "season" } };

  const panel = document.getElementById("measures");
  let seen = "";
  async function load() {
    let answer = null;
    try { answer = await fetch(`${panel.dataset.url}&seen=${seen}`); } catch { /* said below */ }
    panel.querySelector("[data-chart-failed]").hidden = Boolean(answer && answer.ok) || seen !== "";
    if (!answer || answer.status !== 200) return;
    const found = await answer.json(), held = found.at.length > 0;
    panel.querySelector("[data-chart-empty]").hidden = held;
    for (const part of panel.querySelectorAll("[data-with-chart]")) part.hidden = !held;
    words(panel, found);
    if (held) await Plotly.react(panel.querySelector("[data-plot]"), [...lines(found), ...marks(found.marks)], layout(found), CONFIG);
    seen = found.digest;
  }
  load();
  setInterval(() => { if (!document.hidden && document.body.dataset.link === "live" && !Station.inUse(panel)) load(); }, AGAIN_MS);
})();

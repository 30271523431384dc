// Capital by strategy and pool as areas, and beneath it evidence, regret and diversity of the rounds, on one time axis
// with one crosshair. What is stored is asked for again every few seconds, and the charts only when it is another.
"use strict";
(() => {
  const AGAIN_MS = 5000;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const MARKS = {
    override: { tone: "--warn", symbol: "triangle-down" }, ended: { tone: "--muted", symbol: "triangle-up-open" },
    halved: { tone: "--warn", symbol: "diamond" }, benched: { tone: "--bad", symbol: "square" },
    active: { tone: "--good", symbol: "circle-open" }, state: { tone: "--bad", symbol: "x" }, settings: { tone: "--muted", symbol: "line-ns-open" },
  };
  // Share of the height, top first: [bottom, top].
  const ROWS = { capital: [0.5, 0.97], evidence: [0.33, 0.46], regret: [0.16, 0.29], diversity: [0, 0.12] };

  function areas({ at, said, areas: given }) {
    return given.map(({ title, pool, tone, share }) => {
      const shade = pool === "cash" ? colour("--line") : colour(`--tone-${tone}`);
      const competitive = pool === "competitive";
      return {
        x: at, y: share, name: competitive ? `${title}, pool` : title, stackgroup: "capital", legendgroup: pool, legend: "legend", yaxis: "y", mode: "lines", hoveron: "points",
        line: { shape: "hv", width: pool === "cash" ? 0 : 0.5, color: shade }, customdata: said,
        fillcolor: pool === "cash" ? colour("--raised") : shade,
        ...(competitive ? { fillpattern: { shape: "/", size: 5, solidity: 0.5, fgcolor: shade, bgcolor: colour("--panel"), fillmode: "replace" } } : {}),
        hovertemplate: `%{y:.2f} %${pool === "cash" ? " · %{customdata}" : ""}<extra>${competitive ? `${title}, competitive` : title}</extra>`,
      };
    });
  }
  function marks(given) {
    return Object.keys(MARKS).flatMap((kind) => {
      const found = given.filter((mark) => mark.kind === kind);
      if (!found.length) return [];
      return [{
        x: found.map((mark) => mark.at), y: found.map(() => 103), text: found.map((mark) => mark.text), yaxis: "y", mode: "markers", showlegend: false, cliponaxis: false,
        marker: { color: colour(MARKS[kind].tone), symbol: MARKS[kind].symbol, size: 9, line: { width: 1.5, color: colour(MARKS[kind].tone) } }, hovertemplate: "%{text}<extra></extra>",
      }];
    });
  }
  const line = (given, values, name, axis, legend, tone, more = {}) => ({
    x: given.at, y: values, name, yaxis: axis, legend, mode: "lines+markers", line: { color: colour(tone), width: 1.5, ...(more.line || {}) }, marker: { size: more.line ? 1 : 5, color: colour(tone) },
    hovertemplate: `%{y:.4~g}<extra>${name}</extra>`,
  });
  function rounds(given) {
    // Beside a bound many times as large, what it bounds would be one flat line.
    const most = Math.max(...given.raw.map(Math.abs), ...given.deployed.map(Math.abs)), last = given.bound.at(-1);
    const far = last !== undefined && Math.min(...given.bound) > 4 * most;
    return [
      line(given, given.evidence, "ln E", "y2", "legend2", "--chart-line"),
      line(given, given.at.map(() => given.needed), "opens fully", "y2", "legend2", "--muted", { line: { dash: "dash", width: 1 } }),
      line(given, given.raw, "raw weights", "y3", "legend3", "--tone-1"),
      { ...line(given, given.bound, far ? `bound, raw: ${last.toFixed(2)}` : "bound, raw", "y3", "legend3", "--muted", { line: { dash: "dash", width: 1 } }), visible: far ? "legendonly" : true },
      line(given, given.deployed, "deployed", "y3", "legend3", "--tone-2"),
      line(given, given.diversity, "diversity", "y4", "legend4", "--tone-3"),
    ];
  }
  function layout({ capital, decisions, marks: given }) {
    const axis = { gridcolor: colour("--chart-grid"), zerolinecolor: colour("--chart-grid"), linecolor: colour("--line"), tickcolor: colour("--line"), fixedrange: true, nticks: 4 };
    const legend = (row) => ({ x: 1.01, xanchor: "left", y: ROWS[row][1], yanchor: "top", font: { size: 11 }, tracegroupgap: 6, bgcolor: "rgba(0,0,0,0)" });
    const title = (text, row) => ({ text, xref: "paper", yref: "paper", x: 0, xanchor: "left", y: ROWS[row][1] + 0.002, yanchor: "bottom", showarrow: false, font: { size: 11, color: colour("--muted") } });
    const lines = given.map((mark) => ({ type: "line", xref: "x", yref: "paper", x0: mark.at, x1: mark.at, y0: 0, y1: ROWS.capital[1], line: { color: colour(MARKS[mark.kind].tone), width: 1, dash: "dot" } }));
    const instants = [...capital.at, ...decisions.at].sort();
    return {
      paper_bgcolor: colour("--panel"), plot_bgcolor: "rgba(0,0,0,0)", font: { family: getComputedStyle(document.body).fontFamily, size: 11, color: colour("--muted") },
      margin: { l: 44, r: 8, t: 8, b: 42 }, hovermode: "x unified", hoversubplots: "axis", hoverdistance: -1, dragmode: "zoom", uirevision: "kept",
      hoverlabel: { bgcolor: colour("--raised"), bordercolor: colour("--line"), font: { color: colour("--text"), size: 11 } },
      xaxis: { ...axis, fixedrange: false, nticks: 9, anchor: "free", position: 0, type: "date", showspikes: true, spikemode: "across", spikesnap: "data", spikethickness: 1, spikedash: "solid", spikecolor: colour("--muted"), hoverformat: "%Y-%m-%d %H:%M ET", ...(instants.length ? { range: [instants[0], instants.at(-1)] } : {}) },
      yaxis: { ...axis, domain: ROWS.capital, range: [0, 106], tickvals: [0, 25, 50, 75, 100], ticksuffix: " %" },
      yaxis2: { ...axis, domain: ROWS.evidence, rangemode: "tozero" },
      yaxis3: { ...axis, domain: ROWS.regret, rangemode: "tozero" },
      yaxis4: { ...axis, domain: ROWS.diversity, range: [0, 1.05], tickvals: [0, 0.5, 1] },
      legend: legend("capital"), legend2: legend("evidence"), legend3: legend("regret"), legend4: legend("diversity"),
      annotations: [title("share of the capital", "capital"), title("evidence for the pool, ln E", "evidence"), title("regret, losses added up", "regret"), title("diversity index", "diversity")],
      shapes: lines,
    };
  }
  function words(list, given) {
    list.querySelector("summary").textContent = `Marks in words: ${given.length || "none"}`;
    list.querySelector("ol").replaceChildren(...given.map((mark) => {
      const item = document.createElement("li");
      item.textContent = `${mark.at.slice(0, 16).replace("T", " ")} ET: ${mark.text}`;
      return item;
    }));
  }
  const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"], toImageButtonOptions: { format: "svg", filename: "allocation" } };

  function panelOf(panel) {
    const target = panel.querySelector("[data-plot]");
    return async () => {
      const found = await Station.fetched(panel.dataset.url);
      if (!found) return;
      const some = found.capital.at.length > 0 || found.decisions.at.length > 0;
      panel.querySelector("[data-chart-empty]").hidden = some;
      for (const part of panel.querySelectorAll("[data-with-chart]")) part.hidden = !some;
      words(panel.querySelector("details"), found.marks);
      if (some) await Plotly.react(target, [...areas(found.capital), ...rounds(found.decisions), ...marks(found.marks)], layout(found), CONFIG);
    };
  }

  const loads = [...document.querySelectorAll('[data-chart="allocation"]')].map(panelOf);
  const parts = ["stored", "worth", "versions"].map((id) => document.getElementById(id));
  const digest = () => document.getElementById("digest").dataset.digest;
  for (const load of loads) load();
  setInterval(async () => {
    if (document.hidden || document.body.dataset.link !== "live" || parts.some((part) => Station.inUse(document.getElementById(part.id)))) return;
    const before = digest();
    await htmx.ajax("GET", `${parts[0].dataset.url}&seen=${before}`, { target: "#stored", swap: "innerHTML" });
    if (digest() !== before) for (const load of loads) load();
  }, AGAIN_MS);
})();

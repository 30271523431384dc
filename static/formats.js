// How a value is written for people: the same table as controlroom/pages/formats.py, row for row.
"use strict";
(() => {
  const SPACE = "\u202f", MINUS = "\u2212", NOTHING = "\u2013";
  const MONTHS = { timeZone: "America/New_York", hourCycle: "h23", weekday: "short", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const ET = new Intl.DateTimeFormat("en-US", MONTHS);
  const UTC = new Intl.DateTimeFormat("en-US", { ...MONTHS, timeZone: "UTC" });

  function grouped(value, decimals) {
    const [whole, part] = Math.abs(value).toFixed(decimals).split(".");
    const thousands = whole.replace(/\B(?=(\d{3})+(?!\d))/g, SPACE);
    return part === undefined ? thousands : `${thousands}.${part}`;
  }
  const plain = (value, decimals) => {
    const text = grouped(value, decimals);
    return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
  };
  function signed(value, decimals, unit = "", arrow = true) {
    const text = grouped(value, decimals);
    if (!/[1-9]/.test(text)) return { text: (arrow ? "\u25ac " : "") + text + unit, sign: "flat" };
    if (value > 0) return { text: (arrow ? "\u25b2 +" : "+") + text + unit, sign: "up" };
    return { text: (arrow ? "\u25bc " : "") + MINUS + text + unit, sign: "down" };
  }
  const priceDecimals = (value) => (Math.abs(value) >= 10 ? 2 : Math.abs(value) >= 0.1 ? 4 : 6);
  const quantity = (value) => (Number.isInteger(value) ? plain(value, 0) : plain(value, 4).replace(/\.?0+$/, ""));
  function duration(milliseconds) {
    const seconds = Math.floor(milliseconds / 1000);
    if (milliseconds < 10000) return `${(Math.max(0, Math.floor(milliseconds / 100)) / 10).toFixed(1)}${SPACE}s`;
    if (seconds < 120) return `${seconds}${SPACE}s`;
    const minutes = Math.floor(seconds / 60), hours = Math.floor(seconds / 3600), days = Math.floor(seconds / 86400);
    if (minutes < 60) return `${minutes}${SPACE}min`;
    if (hours < 48) return `${hours}${SPACE}h ${minutes % 60}${SPACE}min`;
    return `${days}${SPACE}d ${hours % 24}${SPACE}h`;
  }
  function moment(milliseconds, zone) {
    const parts = {};
    for (const part of zone.formatToParts(milliseconds)) parts[part.type] = part.value;
    parts.clock = `${parts.hour}:${parts.minute}:${parts.second}`;
    parts.date = `${parts.year}-${parts.month}-${parts.day}`;
    return parts;
  }
  function exposure(value) {
    if (Math.abs(value) < 0.0005) return { text: "\u25ac flat", sign: "flat" };
    return `${value > 0 ? "\u25b2 long" : "\u25bc short"} ${grouped(value * 100, 1)}${SPACE}%`;
  }
  function position(value) {
    if (value === 0) return { text: "0", sign: "flat" };
    return (value > 0 ? "+" : "") + quantity(value);
  }

  const FORMATS = {
    text: (value) => String(value),
    list: (value) => (Array.isArray(value) ? value.join(", ") : String(value)),
    state: (value) => ({ text: String(value), state: String(value).toLowerCase() }),
    maybe: (value) => String(value),
    unusual: (value) => ({ text: value === "active" ? "" : String(value), state: String(value) }),
    order_type: (value) => (value === "market" ? "" : String(value)),
    fraction: (value) => `${plain(value * 100, 2)}${SPACE}%`,
    deviations: (value) => `${plain(value, 1)}${SPACE}\u03c3`,
    when: (value) => { const at = moment(value, ET); return `${at.date.slice(5)} ${at.clock}`; },
    money: (value) => plain(value, 2),
    gain: (value) => signed(value, 2),
    gain0: (value) => signed(value, 0),
    percent: (value) => `${plain(value * 100, 1)}${SPACE}%`,
    percent2: (value) => `${plain(value * 100, 2)}${SPACE}%`,
    change: (value) => signed(value * 100, 2, `${SPACE}%`),
    loss: (value) => signed(-value * 100, 2, `${SPACE}%`),
    integer: (value) => plain(value, 0),
    quantity,
    position,
    exposure,
    price: (value) => plain(value, priceDecimals(value)),
    ratio: (value) => plain(value, 2),
    points: (value) => signed(value, 1, `${SPACE}bp`, false),
    milliseconds: (value) => `${plain(value, 2)}${SPACE}ms`,
    bytes: (value) => (value >= 1e9 ? `${plain(value / 1e9, 1)}${SPACE}GB` : `${plain(value / 1e6, 1)}${SPACE}MB`),
    duration,
    et: (value) => moment(value, ET).clock,
    et_minute: (value) => moment(value, ET).clock.slice(0, 5),
    et_day: (value) => { const at = moment(value, ET); return `${at.weekday} ${at.date}`; },
    et_day_minute: (value) => { const at = moment(value, ET); return `${at.weekday} ${at.clock.slice(0, 5)}`; },
    et_short: (value) => { const at = moment(value, ET); return `${at.date.slice(5)} ${at.clock}`; },
    et_stamp: (value) => { const at = moment(value, ET); return `${at.date} ${at.clock}`; },
    et_full: (value) => { const at = moment(value, ET); return `${at.date} ${at.clock} ET`; },
    utc: (value) => moment(value, UTC).clock,
    utc_stamp: (value) => { const at = moment(value, UTC); return `${at.date} ${at.clock}`; },
    utc_full: (value) => { const at = moment(value, UTC); return `${at.date} ${at.clock} UTC`; },
  };

  const QUIET = new Set(["maybe", "unusual", "order_type", "fraction", "deviations", "when"]);

  // Returns {text, sign, state}; what is missing or not a number is a dash.
  function show(value, name) {
    if (value === undefined || value === null || value === "" || (typeof value === "number" && !Number.isFinite(value))) return { text: QUIET.has(name) ? "" : NOTHING };
    const shown = FORMATS[name](value);
    return typeof shown === "string" ? { text: shown } : shown;
  }

  window.Station = { formats: FORMATS, show, duration };
})();

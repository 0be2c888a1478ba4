// Charts: each table in a `.plot` is drawn by uPlot (explore/static/uplot). Without script there are
// the tables. A chart is a slider for keyboards: arrows move along it, Enter looks closer.
"use strict";

const HEIGHT = 220;
const SPARE = 48; // px a label of the time axis takes
const DAY_S = 86400;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const figure = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

// Figures on the axis: short. Exact ones are said as the table says them.
const AXIS = {
  count: (value) => figure.format(value),
  share: (value) => `${figure.format(value)} %`,
  ms: (value) => (!value ? "0" : value < 60000 ? `${figure.format(value / 1000)} s`
    : value < 3600000 ? `${figure.format(value / 60000)} min` : `${figure.format(value / 3600000)} h`),
};
// Steps of the axis of a time that are whole seconds, minutes and hours.
const MS_STEPS = [1, 2, 5, 10, 15, 30].flatMap((n) => [n * 1000, n * 60000])
  .concat([1, 2, 3, 6, 12, 24].map((n) => n * 3600000))
  .concat([2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000].map((n) => n * 86400000))
  .sort((a, b) => a - b);

function read(plot) {
  const rows = [...plot.querySelectorAll("tbody tr")];
  const heads = [...plot.querySelectorAll("thead th")];
  const columns = heads.flatMap((head, place) => (head.dataset.colour ? [{
    place, name: head.textContent, colour: head.dataset.colour, kind: head.dataset.kind,
  }] : []));
  const value = (row, place) => {
    const data = row.cells[place].querySelector("data");
    return data ? Number(data.value) : null;
  };
  return {
    rows, columns,
    xs: rows.map((row) => Number(row.dataset.x)),
    values: columns.map((column) => rows.map((row) => value(row, column.place))),
    isTime: plot.dataset.x === "time", step: Number(plot.dataset.step), unit: plot.dataset.unit,
    isStacked: "stacked" in plot.dataset,
  };
}

// Stacked: each series is drawn with all below it, the tallest first, so that the others lie before it.
function drawn(table) {
  if (!table.isStacked) return table.values;
  const sums = table.xs.map(() => 0);
  return table.values.map((values) => values.map((value, i) => (sums[i] += value)));
}

function series(column, table) {
  const stroke = () => colour(column.colour);
  const bars = uPlot.paths.bars({ size: [0.86, 60], align: table.isTime ? 1 : 0 });
  const common = { label: column.name, stroke, points: { show: false } };
  if (column.kind === "bars") return { ...common, width: 0, fill: stroke, paths: bars };
  if (column.kind === "marks") return { ...common, width: 0, points: { show: true, size: 9, fill: stroke } };
  const fill = () => (column.kind === "area" ? `${colour(column.colour)}33` : undefined);
  return { ...common, width: 2, fill, points: { show: table.xs.length === 1 } };
}

function options(table, width, chosen, told) {
  const quiet = () => colour("--quiet");
  const grid = { stroke: () => colour("--line"), width: 1 };
  const axis = { stroke: quiet, grid, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const all = table.columns.map((column) => series(column, table));
  const last = table.xs[table.xs.length - 1];
  const hasBars = table.columns.some((column) => column.kind === "bars") && table.isTime;
  return {
    width, height: HEIGHT, legend: { show: false }, padding: [12, 20, 0, 0],
    series: [{}, ...(table.isStacked ? all.reverse() : all)],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: {
      x: { time: table.isTime, range: [table.xs[0], hasBars ? last + table.step : Math.max(last, table.xs[0] + 1)] },
      y: { range: (_, low, high) => [0, high > 0 ? high * 1.05 : 1] },
    },
    axes: [
      { ...axis, size: 30, space: SPARE * 1.4, ...(table.isTime ? { values: times(table) } : { values: (_, at) => at.map(AXIS.share) }) },
      { ...axis, size: 62, values: (_, at) => at.map(AXIS[table.unit]),
        ...(table.unit === "ms" ? { incrs: MS_STEPS } : {}),
        ...(table.unit === "count" ? { incrs: [1, 2, 5].flatMap((n) => [...Array(10).keys()].map((p) => n * 10 ** p)).sort((a, b) => a - b) } : {}) },
    ],
    cursor: { y: false, points: { show: !hasBars }, drag: { x: table.isTime, y: false, setScale: false, dist: 6 } },
    hooks: {
      setCursor: [(u) => { if (u.cursor.idx != null) told(u.cursor.idx); }],
      setSelect: [(u) => {
        if (u.select.width < 6) return;
        chosen(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
      }],
    },
  };
}

function times(table) {
  const format = (step) => (step < DAY_S ? "{HH}:{mm}" : step < 27 * DAY_S ? "{MMM} {D}" : "{MMM} {YYYY}");
  return (u, at, _, __, step) => {
    const small = uPlot.fmtDate(format(step));
    const day = uPlot.fmtDate("{MMM} {D}");
    return at.map((x) => {
      const date = uPlot.tzDate(new Date(x * 1000), "Etc/UTC");
      return step < DAY_S && x % DAY_S === 0 ? day(date) : small(date);
    });
  };
}

// A part of the time to look at more closely: the same address with another time.
function closer(table, from, to) {
  const begin = Math.floor(from / table.step) * table.step;
  const end = Math.max(Math.ceil(to / table.step) * table.step, begin + 60);
  const address = new URL(location.href);
  for (const name of ["range", "after"]) address.searchParams.delete(name);
  const text = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16);
  address.searchParams.set("from", text(begin));
  address.searchParams.set("to", text(end));
  location.assign(address);
}

function draw(plot) {
  const table = read(plot);
  if (!table.xs.length) return;
  const place = plot.querySelector(".canvas");
  const readout = plot.querySelector(".readout");
  const hint = readout.textContent;
  const names = table.columns.map((column) => column.name);
  const words = (i) => {
    const cells = table.rows[i].cells;
    const parts = table.columns.map((column, k) => `${names[k]} ${cells[column.place].textContent.trim()}`);
    return `${cells[0].textContent.trim()}: ${parts.join(", ")}`;
  };
  let at = table.xs.length - 1;
  const told = (i) => {
    at = i;
    readout.textContent = words(i);
    place.setAttribute("aria-valuenow", i + 1);
    place.setAttribute("aria-valuetext", words(i));
  };
  const values = drawn(table);
  const data = [table.xs, ...(table.isStacked ? [...values].reverse() : values)];
  const chart = new uPlot(
    options(table, place.clientWidth, (from, to) => closer(table, from, to), told), data, place);
  Object.entries({
    role: "slider", tabindex: "0", "aria-labelledby": plot.getAttribute("aria-labelledby"), "aria-valuemin": 1, "aria-valuemax": table.xs.length,
    "aria-valuenow": at + 1, "aria-valuetext": words(at),
  }).forEach(([name, value]) => place.setAttribute(name, value));
  const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10,
    Home: -Infinity, End: Infinity };
  const show = (i) => {
    const x = table.xs[i] + (table.columns.some((c) => c.kind === "bars") && table.isTime ? table.step / 2 : 0);
    chart.setCursor({ left: chart.valToPos(x, "x"), top: 0 }, false);
    told(i);
  };
  place.addEventListener("keydown", (event) => {
    if (event.key in moves) {
      show(Math.min(table.xs.length - 1, Math.max(0, at + moves[event.key])));
    } else if (event.key === "Enter" && table.isTime) {
      closer(table, table.xs[at], table.xs[at] + table.step);
    } else {
      return;
    }
    event.preventDefault();
  });
  place.addEventListener("focus", () => { if (place.matches(":focus-visible")) show(at); });
  place.addEventListener("mouseleave", () => { readout.textContent = hint; });
  new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.redraw());
}

document.querySelectorAll(".plot").forEach(draw);

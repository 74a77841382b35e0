// One KPI: what it means, what it is beside a week ago, how it went, and whose doing it is.

import { element, keep, link, text } from "./draw.js";
import { ask, Refused } from "./session.js";
import { amount, difference, instant, second, spoken } from "./words.js";

const by = (id) => document.getElementById(id);
const kpi = decodeURIComponent(location.pathname.split("/")[2]);
const query = new URLSearchParams(location.search);
const PATH = `/v1/kpis/${encodeURIComponent(kpi)}`;
const UNITS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
const LINES = [["p95_s", "p95"], ["p90_s", "p90"], ["p50_s", "median"], ["mean_s", "mean"], ["ratio", "share"], ["mean", "mean"], ["score", "score"], ["age_s", "age"], ["count", "count"]];

const seconds = (written) => Number(written.slice(0, -1)) * UNITS[written.slice(-1)];

/** So wide that a chart has some hundred points, and whole units of what is kept so far back. */
function step(window) {
  const s = seconds(window);
  if (s <= 7200) return "1m";
  if (s <= 2 * 86400) return s > 43200 ? "15m" : "5m";
  if (s <= 35 * 86400) return s > 8 * 86400 ? "6h" : "1h";
  return "1d";
}

/** What the numbers are compared with: windows of minutes are not kept for a week. */
const ago = (window) => (seconds(window) % 3600 ? ["1d", "a day ago"] : ["1w", "a week ago"]);

const segment = () => query.get("segment") ?? "all";
const part = (reading, path) => path.split(".").reduce((found, name) => found?.[name], reading);

let definition = null;
let cuts = [];
let plot = null;

async function load() {
  const chosen = query.get("window") ?? "24h";
  text(by("line"), "Loading…");
  try {
    const asked = { window: chosen, segment: segment() };
    const [series, now] = await Promise.all([
      ask(`${PATH}/series?${new URLSearchParams({ ...asked, step: step(chosen) })}`),
      ask(`/v1/kpis?${new URLSearchParams({ ...asked, compare: ago(chosen)[0] })}`),
    ]);
    figures(now, ago(chosen)[1]);
    chart(series);
    table(series);
    text(by("line"), `As of ${second(new Date(series.as_of))}`);
    document.body.dataset.drawn = "kpi";
  } catch (error) {
    text(by("line"), error instanceof Refused ? error.message : "The API does not answer.");
  }
  parts(chosen);
  why(chosen);
}

function figures(told, before) {
  text(by("now-title"), `Now, and ${before}`);
  const reading = told.kpis[kpi], then = told.compared?.kpis[kpi];
  const rows = Object.entries(definition.statistics).filter(([path]) => part(reading, path) !== undefined);
  keep(by("now"), rows, ([path]) => path, () => element("div", {}, element("dt"), element("dd")), (made, [path, unit]) => {
    const [name, value] = made.children;
    text(name, spoken(path.replaceAll(".", ", ").replace(/_s$/, "")));
    const here = part(reading, path), there = then ? part(then, path) : null;
    const known = typeof here === "number" && typeof there === "number";
    value.replaceChildren(amount(here, unit), element("small", {}, known ? difference(here, there, unit, before) : ""));
  });
}

function lines(points) {
  return LINES.filter(([path]) => points.some((point) => point[path] !== undefined && point[path] !== null))
    .filter(([path], place, all) => path !== "count" || all.length === 1);
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function chart(told) {
  const shown = lines(told.points);
  const unit = (path) => definition.statistics[path] ?? "count";
  const times = told.points.map((point) => Date.parse(point.at) / 1000);
  const strokes = [color("--bad"), color("--now"), color("--good"), color("--quiet")];
  const dashes = [[], [8, 3], [2, 3], [10, 3, 2, 3]];
  const place = by("chart");
  plot?.destroy();
  place.replaceChildren();
  const axis = { stroke: color("--quiet"), grid: { stroke: color("--line") }, ticks: { stroke: color("--line") } };
  plot = new uPlot(
    {
      width: place.clientWidth, height: 320,
      series: [
        { label: "Time", value: (_, at) => (at === null ? "–" : instant(at * 1000)) },
        ...shown.map(([path, label], n) => ({
          label, stroke: strokes[n % 4], dash: dashes[n % 4], width: 2, spanGaps: false,
          value: (_, value) => amount(value, unit(path)),
        })),
      ],
      axes: [axis, { ...axis, size: 90, values: (_, values) => values.map((value) => amount(value, unit(shown[0]?.[0]))) }],
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 0) > 0 ? high * 1.08 : 1] } },
    },
    [times, ...shown.map(([path]) => told.points.map((point) => point[path] ?? null))],
    place,
  );
  place.setAttribute("aria-label", `${definition.label} over ${told.window} in steps of ${told.step}: ${shown.map(([, label]) => label).join(", ") || "no case"}. The table below has the numbers.`);
}

function table(told) {
  const shown = lines(told.points);
  const head = element("tr", {}, element("th", { scope: "col" }, "From"), ...shown.map(([, label]) => element("th", { scope: "col" }, label)));
  const rows = [...told.points].reverse().map((point) => element(
    "tr", {}, element("th", { scope: "row" }, instant(point.at)),
    ...shown.map(([path]) => element("td", {}, amount(point[path], definition.statistics[path] ?? "count"))),
  ));
  by("points").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
}

async function parts(chosen) {
  const cut = segment().startsWith("team:") ? "team,priority" : "team";
  if (!cuts.includes(cut)) { by("by-panel").hidden = true; return; } // not counted so
  try {
    const told = await ask(`${PATH}?${new URLSearchParams({ window: chosen, by: cut })}`);
    const usual = definition.usual, unit = definition.statistics[usual];
    const rows = told.rows.filter((row) => segment() === "all" || Object.values(row.values)[0] === segment().slice(5))
      .map((row) => [row, part(row, usual)]).filter(([, value]) => value !== null && value !== undefined)
      .sort((a, b) => (definition.better === "higher" ? a[1] - b[1] : b[1] - a[1]));
    text(by("by-title"), `By ${cut.replace(",", " and ")}, ${definition.better === "neither" ? "most" : "worst"} first`);
    const head = element("tr", {}, element("th", { scope: "col" }, spoken(cut.replace(",", ", "))), element("th", { scope: "col" }, definition.of || "Value"), element("th", { scope: "col" }, "Cases"));
    by("by").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows.slice(0, 100).map(([row, value]) => element(
      "tr", {},
      element("th", { scope: "row" }, link(`?${new URLSearchParams({ window: chosen, segment: row.segment })}`.replace(/^/, location.pathname), Object.values(row.values).map((name) => name || "none").join(", "))),
      element("td", {}, amount(value, unit)), element("td", {}, amount(row.count ?? null, "count")),
    ))));
    by("by-panel").hidden = rows.length === 0;
  } catch {
    by("by-panel").hidden = true;
  }
}

async function why(chosen) {
  try {
    const told = await ask(`${PATH}/why?${new URLSearchParams({ window: chosen, segment: segment() })}`);
    text(by("why"), told.said);
  } catch (error) {
    text(by("why"), error instanceof Refused ? error.message : "");
  }
}

async function begin() {
  try {
    const [told, board] = await Promise.all([ask(`/v1/definitions/${encodeURIComponent(kpi)}`), ask("/v1/board/about")]);
    definition = told;
    cuts = board.cuts;
    text(by("title"), told.label);
    document.title = `${told.label} · Deskpulse`;
    text(by("definition"), `${told.summary} ${told.definition}`);
    const team = segment().startsWith("team:") && !segment().includes(",") ? segment().slice(5) : "";
    by("window").replaceChildren(...board.windows.map((name) => element("option", { value: name }, name)));
    by("window").value = query.get("window") ?? (board.windows.includes("24h") ? "24h" : board.windows.at(-1));
    query.set("window", by("window").value);
    by("team").append(...board.teams.map((name) => element("option", { value: name }, name)));
    by("team").value = team;
  } catch (error) {
    text(by("title"), kpi);
    text(by("line"), error instanceof Refused ? error.message : "The API does not answer.");
    return;
  }
  const change = () => {
    query.set("window", by("window").value);
    if (by("team").value) query.set("segment", `team:${by("team").value}`);
    else query.delete("segment");
    history.replaceState(null, "", `?${query}`);
    load();
  };
  by("window").addEventListener("change", change);
  by("team").addEventListener("change", change);
  window.addEventListener("theme", load);
  window.addEventListener("resize", () => plot?.setSize({ width: by("chart").clientWidth, height: 320 }));
  await load();
  setInterval(() => document.hidden || load(), 60000);
}

begin();

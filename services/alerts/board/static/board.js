// The live board.

import { element, keep, link, set, sparkline, text, unfold } from "./draw.js";
import { Line } from "./line.js";
import { ask, Refused, send } from "./session.js";
import { amount, clock, difference, instant, second, spoken } from "./words.js";

const by = (id) => document.getElementById(id);
const LATE_MS = 15000; // without a beat for so long, what is shown is old

let ahead = 0; // what the clock of the API is ahead of this one
let lastBeat = null; // when the board was last known to be right, by the clock of the API
let up = false;
let problem = null;
let line = null;
const now = () => Date.now() + ahead;

// What is shown: in the address, so that a board can be bookmarked.
const query = new URLSearchParams(location.search);

function scoped() {
  const asked = new URLSearchParams();
  for (const name of ["team", "channel"]) if (query.get(name)) asked.set(name, query.get(name));
  for (const kpi of query.getAll("kpi")) asked.append("kpi", kpi);
  return asked.toString();
}

function connect() {
  line?.close();
  const asked = scoped();
  line = new Line("/v1/board/stream" + (asked ? `?${asked}` : ""), heard, (state) => { up = state; status(); });
}

const DRAW = { about, timers, alerts, kpis, workload };

/** What an event of the stream changes; also called by tests. */
export function heard(event, data) {
  if (event === "beat") {
    ahead = Date.parse(data.as_of) - Date.now();
    problem = data.problem;
    if (data.looked_at && !problem) lastBeat = Date.parse(data.as_of);
    status();
  } else if (event === "refused") {
    problem = data.problem;
    status();
  } else {
    DRAW[event]?.(data);
    document.body.dataset.drawn = `${(document.body.dataset.drawn ?? "").replace(` ${event}`, "")} ${event}`;
  }
}

function status() {
  const old = !up || problem || lastBeat === null || now() - lastBeat > LATE_MS;
  const since = lastBeat === null ? null : second(new Date(lastBeat));
  document.body.classList.toggle("stale", Boolean(old && lastBeat !== null));
  const shown = by("line");
  shown.dataset.state = old ? (lastBeat === null ? "waiting" : "stale") : "live";
  if (!old) text(shown, "Live");
  else if (since) text(shown, `Stale since ${since}. ${problem ?? "The line is cut; trying again."}`);
  else text(shown, problem ?? "Connecting…");
}

// --- what the board is about

function about(told) {
  text(by("title"), told.title);
  document.title = `${told.title} · Deskpulse`;
  choices(by("team"), told.teams, "All teams", query.get("team") ?? "");
  choices(by("channel"), told.channels, "All channels", query.get("channel") ?? "");
}

function choices(select, values, all, chosen) {
  const wanted = ["", ...new Set(chosen ? [chosen, ...values] : values)];
  keep(select, wanted, (value) => value, (value) => element("option", { value }), (made, value) => text(made, value || all));
  select.closest("label").hidden = wanted.length < 2;
  select.value = chosen;
}

for (const name of ["team", "channel"]) {
  by(name).addEventListener("change", () => {
    if (by(name).value) query.set(name, by(name).value);
    else query.delete(name);
    query.delete("alert");
    const rest = query.toString();
    history.replaceState(null, "", rest ? `?${rest}` : location.pathname);
    connect();
  });
}

// --- promises

let announced = null;

function timers(told) {
  group("risk", told.at_risk);
  group("broken", told.breached);
  const broken = new Set(told.breached.timers.map(named));
  if (announced) for (const timer of told.breached.timers) if (!announced.has(named(timer))) say(`Broken: ${promise(timer)}`);
  announced = broken;
  count();
}

const named = (timer) => [timer.source, timer.ticket_id, timer.metric, timer.cycle].join("\u001f");
const promise = (timer) => `${spoken(timer.metric)} of ${timer.source} ${timer.ticket_id}`;

function group(name, told) {
  text(by(`${name}-count`), `${told.timers.length}${told.more ? " and more" : ""}`);
  by(`${name}-empty`).hidden = told.timers.length > 0;
  unfold(by(`${name}-list`), told.timers, named, makeTimer, fillTimer).then(count);
}

function makeTimer() {
  const made = element("li", { class: "timer item", tabindex: "-1" });
  made.left = element("span", { class: "left" });
  made.what = element("span", { class: "what" });
  made.facts = element("span", { class: "facts" });
  made.append(made.left, made.what, made.facts);
  return made;
}

function fillTimer(made, timer) {
  made.timer = timer;
  const state = `${timer.broken_at ? "breached" : "at-risk"} ${timer.priority ?? ""}`.trim();
  set(made, { class: `timer item ${state}` });
  const ticket = `${timer.source} ${timer.ticket_id}`;
  const page = `/tickets/${encodeURIComponent(timer.source)}/${encodeURIComponent(timer.ticket_id)}`;
  const drawn = JSON.stringify([timer.url, ticket, timer.metric]);
  if (made.drawn !== drawn) {
    made.drawn = drawn;
    made.what.replaceChildren(
      element("strong", {}, spoken(timer.metric)), " ", link(timer.url ?? page, ticket), " ",
      ...(timer.url ? [link(page, "why", { class: "aside", "aria-label": `Why: ${ticket}` })] : []),
    );
  }
  const facts = [timer.priority, timer.team && `team ${timer.team}`, timer.channel, timer.tier, !timer.assigned && "unassigned"];
  text(made.facts, facts.filter(Boolean).join(" · "));
}

function count() {
  if (document.hidden) return;
  const at = now();
  for (const list of [by("risk-list"), by("broken-list")]) {
    for (const made of list.children) {
      const { broken_at, due_at, breach_after } = made.timer;
      if (broken_at) text(made.left, `${clock((at - Date.parse(broken_at)) / 1000)} over`);
      else if (!due_at) text(made.left, "paused");
      else {
        const left = (Date.parse(due_at) - at) / 1000;
        const ends = (Date.parse(breach_after ?? due_at) - at) / 1000;
        text(made.left, left > 0 ? `in ${clock(left)}` : ends > 0 ? `due; breaks in ${clock(ends)}` : "due now");
        made.classList.toggle("soon", left < 300);
      }
    }
  }
}

// --- alerts

function alerts(told) {
  const open = told.alerts;
  text(by("alerts-count"), open.length ? `${open.length}${told.more ? " and more" : ""}` : "");
  by("alerts-empty").hidden = open.length > 0;
  const there = unfold(by("alert-list"), open, (alert) => alert.alert_id, makeAlert, fillAlert);
  by("wins-empty").hidden = told.wins.length > 0;
  keep(by("win-list"), told.wins, (win) => win.alert_id, makeWin, fillWin);
  if (sought) there.then(seek);
}

// A message links to the board with the alert that it is about: ?alert=….
let sought = query.get("alert");

/** Once, when the alerts are there: shows the one that the reader came for, or says what became of it. */
async function seek() {
  const wanted = sought;
  sought = null;
  if (!wanted) return;
  const found = [...by("alert-list").children, ...by("win-list").children].find((made) => made.alert.alert_id === wanted);
  if (found) {
    found.classList.add("sought");
    found.focus({ preventScroll: true });
    found.scrollIntoView({ block: "center" });
    return;
  }
  let said;
  try {
    const alert = await ask(`/v1/alerts/${encodeURIComponent(wanted)}`);
    const over = alert.state === "resolved";
    said = over ? `Over since ${instant(alert.updated_at)}: ${alert.title}` : `Not among those shown here: ${alert.title}`;
  } catch (error) {
    said = error instanceof Refused ? error.message : "The API did not answer: reload the page to see the alert that you came for.";
  }
  text(by("sought"), said);
  by("sought").hidden = false;
}

const SNOOZES = [["15m", "15 minutes"], ["1h", "an hour"], ["4h", "4 hours"], ["24h", "a day"]];

function makeAlert() {
  const made = element("li", { class: "alert item", tabindex: "-1" });
  made.heading = element("h3");
  made.detail = element("p", { class: "detail" });
  made.why = element("p", { class: "why" });
  made.links = element("p", { class: "links" });
  made.state = element("p", { class: "state" });
  made.problem = element("p", { class: "problem", role: "alert" });
  made.acknowledge = element("button", { type: "button" }, "Acknowledge");
  made.snooze = element("select", {}, element("option", { value: "" }, "Snooze…"),
    ...SNOOZES.map(([value, words]) => element("option", { value }, `for ${words}`)));
  made.acknowledge.addEventListener("click", () => act(made, "acknowledge", {}));
  made.snooze.addEventListener("change", () => snooze(made, made.snooze.value));
  made.actions = element("p", { class: "actions" }, made.acknowledge, made.snooze);
  made.append(made.heading, made.detail, made.why, made.links, made.state, made.actions, made.problem);
  return made;
}

/** `length` is one of SNOOZES, or "" where the reader chose nothing. */
function snooze(made, length) {
  made.snooze.value = "";
  if (length) act(made, "snooze", { for: length }, `for ${Object.fromEntries(SNOOZES)[length]}`);
}

const SEVERITIES = { critical: "Critical", warning: "Warning", info: "Note" };

function fillAlert(made, alert) {
  if (made.version === alert.version && made.alert) return;
  made.version = alert.version;
  made.alert = alert;
  set(made, { class: `alert item ${alert.severity} ${alert.state}${made.matches(".sought") ? " sought" : ""}` });
  made.heading.replaceChildren(element("span", { class: `severity ${alert.severity}` }, SEVERITIES[alert.severity]), " ", alert.title);
  text(made.detail, alert.detail);
  text(made.why, alert.why ?? "");
  const links = alert.evidence.slice(0, 5).map((shown) =>
    link(shown.url ?? `/tickets/${encodeURIComponent(shown.source)}/${encodeURIComponent(shown.ticket_id)}`, `${shown.source} ${shown.ticket_id}`));
  if (alert.labels.rule && alert.labels.metric) links.push(link(`/kpis/${encodeURIComponent(alert.labels.metric)}`, "Chart"));
  if (alert.runbook && /^https?:/.test(alert.runbook)) links.push(link(alert.runbook, "Runbook"));
  made.links.replaceChildren(...links.flatMap((one, place) => (place ? [" · ", one] : [one])));
  const since = `Since ${instant(alert.starts_at)}.`;
  const states = {
    firing: since,
    acknowledged: `${since} Acknowledged by ${alert.acknowledged_by ?? "somebody"}.`,
    snoozed: `${since} Quiet until ${alert.snoozed_until ? instant(alert.snoozed_until) : "later"}.`,
  };
  text(made.state, states[alert.state] ?? since);
  made.acknowledge.hidden = alert.state === "acknowledged";
  set(made.acknowledge, { "aria-label": `Acknowledge: ${alert.title}` });
  set(made.snooze, { "aria-label": `Snooze: ${alert.title}` });
}

async function act(made, action, body, length = "") {
  const name = localStorage.getItem("deskpulse.name");
  for (const button of [made.acknowledge, made.snooze]) button.disabled = true;
  text(made.problem, "");
  try {
    await send(`/v1/alerts/${encodeURIComponent(made.alert.alert_id)}/${action}`, name ? { by: name, ...body } : body);
    say(action === "snooze" ? `Snoozed ${length}: ${made.alert.title}` : `Acknowledged: ${made.alert.title}`);
  } catch (error) {
    text(made.problem, error instanceof Refused ? error.message : "The API did not answer; nothing was changed.");
  } finally {
    for (const button of [made.acknowledge, made.snooze]) button.disabled = false;
  }
}

function makeWin() {
  const made = element("li", { class: "win", tabindex: "-1" });
  made.heading = element("h3");
  made.detail = element("p", { class: "detail" });
  made.append(made.heading, made.detail);
  return made;
}

function fillWin(made, win) {
  made.alert = win;
  text(made.heading, win.title);
  text(made.detail, win.detail);
}

// --- numbers

function kpis(told) {
  by("tiles-note").hidden = !told.note;
  text(by("tiles-note"), told.note ?? "");
  keep(by("tile-list"), told.tiles, (tile) => `${tile.kpi}.${tile.statistic}`, makeTile, (made, tile) => fillTile(made, tile, told));
}

function makeTile() {
  const made = element("li", { class: "tile panel" });
  made.heading = element("h3");
  made.figure = element("p", { class: "value" });
  made.of = element("p", { class: "of" });
  made.change = element("p", { class: "change" });
  made.chart = element("div");
  made.append(made.heading, made.figure, made.of, made.change, made.chart);
  return made;
}

function fillTile(made, tile, told) {
  const drawn = JSON.stringify([tile, told.window, told.segment]);
  if (made.drawn === drawn) return;
  made.drawn = drawn;
  const asked = new URLSearchParams({ window: told.window, ...(told.segment === "all" ? {} : { segment: told.segment }) });
  made.heading.replaceChildren(link(`/kpis/${tile.kpi}?${asked}`, tile.label));
  text(made.figure, tile.value === null ? "No case" : amount(tile.value, tile.unit));
  const cases = tile.unit === "count" || tile.value === null ? "" : ` · ${amount(tile.cases, "count")} case${tile.cases === 1 ? "" : "s"}`;
  text(made.of, tile.present ? "now" : `${tile.of ? `${tile.of} · ` : ""}last ${told.window}${cases}`);
  let change = tile.then === null || tile.value === null ? "No numbers from a week ago" : difference(tile.value, tile.then, tile.unit);
  if (tile.good !== null) change += tile.good ? ": better" : ": worse";
  text(made.change, change);
  set(made.change, { class: `change ${tile.good === null ? "" : tile.good ? "good" : "bad"}` });
  const known = tile.line.filter((value) => value !== null);
  const range = known.length ? ` From ${amount(Math.min(...known), tile.unit)} to ${amount(Math.max(...known), tile.unit)}.` : " No case.";
  made.chart.replaceChildren(sparkline(tile.line, tile.line_then, `${tile.label} over the last ${told.window}, and a week earlier (dashed).${range}`));
}

// --- workload

function workload(told) {
  by("workload").hidden = told.teams.length === 0;
  by("workload-empty").hidden = told.teams.length > 0;
  text(by("flow-title"), `New → solved, ${told.window}`);
  const most = Math.max(1, ...told.teams.map((row) => row.backlog));
  keep(by("workload-rows"), told.teams, (row) => row.team, makeTeam, (made, row) => {
    text(made.name, row.team === "none" ? "no team" : row.team);
    text(made.number, amount(row.backlog, "count"));
    made.bar.style.setProperty("--share", String(row.backlog / most));
    text(made.unassigned, amount(row.unassigned_backlog, "count"));
    text(made.overdue, amount(row.open_breached, "count"));
    made.overdue.classList.toggle("bad", row.open_breached > 0);
    text(made.flow, `${amount(row.tickets_created, "count")} → ${amount(row.tickets_solved, "count")}`);
    made.classList.toggle("chosen", row.team === query.get("team"));
  });
}

function makeTeam() {
  const made = element("tr");
  made.name = element("th", { scope: "row" });
  made.number = element("span", { class: "number" });
  made.bar = element("span", { class: "measure", "aria-hidden": "true" });
  made.unassigned = element("td");
  made.overdue = element("td");
  made.flow = element("td");
  made.append(made.name, element("td", { class: "backlog" }, made.number, made.bar), made.unassigned, made.overdue, made.flow);
  return made;
}

// --- keys and voice

function say(words) {
  text(by("said"), words);
}

const items = () => [...document.querySelectorAll("#alert-list > li, #risk-list > li, #broken-list > li")];

function move(step) {
  const all = items();
  if (!all.length) return;
  const place = all.indexOf(document.activeElement?.closest(".item"));
  const next = place < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, place + step));
  all[next].focus();
  all[next].scrollIntoView({ block: "nearest" });
}

const keysOn = () => localStorage.getItem("deskpulse.keys") !== "off";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  if (!keysOn()) return;
  const chosen = document.activeElement?.closest(".item");
  const pressed = {
    j: () => move(1),
    k: () => move(-1),
    a: () => chosen?.acknowledge && !chosen.acknowledge.hidden && act(chosen, "acknowledge", {}),
    s: () => chosen?.snooze && snooze(chosen, "1h"),
    o: () => chosen?.querySelector("a")?.click(),
    f: () => by("team").focus(),
    t: () => by("theme").click(),
    "?": help,
  }[event.key];
  if (!pressed) return;
  event.preventDefault();
  pressed();
});

function help() {
  by("keys-on").checked = keysOn();
  by("name").value = localStorage.getItem("deskpulse.name") ?? "";
  by("keys").showModal();
}

by("help").addEventListener("click", help);
by("keys").addEventListener("close", () => {
  localStorage.setItem("deskpulse.keys", by("keys-on").checked ? "on" : "off");
  localStorage.setItem("deskpulse.name", by("name").value.trim());
});

setInterval(() => { count(); status(); }, 1000);
document.addEventListener("visibilitychange", count);
connect();

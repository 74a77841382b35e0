// One ticket: its promises on a line of time, and why each reads what it reads.

import { element, keep, set, svg, text } from "./draw.js";
import { ask, Refused } from "./session.js";
import { amount, clock, duration, instant, second, spoken } from "./words.js";

const by = (id) => document.getElementById(id);
const [, , source, id] = location.pathname.split("/").map(decodeURIComponent);
const PATH = `/v1/tickets/${encodeURIComponent(source)}/${encodeURIComponent(id)}`;
const STATES = {
  running: "running", at_risk: "at risk", paused: "paused", breached: "broken", met: "kept", met_late: "kept too late", cancelled: "withdrawn",
};
let ahead = 0;
let open = [];

async function load() {
  try {
    const [ticket, told] = await Promise.all([ask(PATH), ask(`${PATH}/explain`)]);
    ahead = Date.parse(ticket.as_of) - Date.now();
    facts(ticket);
    timers(told, ticket);
    timeline(told);
    steps(told);
    text(by("line"), `As of ${second(new Date(ticket.as_of))}`);
    document.body.dataset.drawn = "ticket";
  } catch (error) {
    text(by("line"), error instanceof Refused ? error.message : "The API does not answer.");
  }
}

function facts(ticket) {
  const rows = [
    ["Status", ticket.gone ? `${ticket.status ?? ""} (${ticket.gone})` : ticket.status], ["Priority", ticket.priority], ["Channel", ticket.channel],
    ["Team", ticket.team], ["Tier", ticket.tier], ["Tags", ticket.tags?.join(", ")],
    ["Created", ticket.created_at && instant(ticket.created_at)], ["Replies by agents", String(ticket.agent_replies)], ["Reopened", String(ticket.reopens)],
    ["First response", ticket.first_response?.elapsed_s != null ? duration(ticket.first_response.elapsed_s) : null],
    ["Resolution", ticket.full_resolution?.elapsed_s != null ? duration(ticket.full_resolution.elapsed_s) : null],
  ].filter(([, value]) => value);
  by("facts").replaceChildren(...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  if (/^https?:/.test(ticket.url ?? "")) set(by("open"), { href: ticket.url, hidden: false });
}

function timers(told, ticket) {
  by("timers-empty").hidden = told.timers.length > 0;
  open = ticket.timers.filter((timer) => timer.due_at && !timer.met_at);
  keep(by("timers"), told.timers, (timer) => `${timer.metric} ${timer.cycle}`, () => {
    const made = element("li", { class: "item" });
    made.heading = element("h3");
    made.left = element("p", { class: "left" });
    made.told = element("p", { class: "detail" });
    made.append(made.heading, made.left, made.told);
    return made;
  }, (made, timer) => {
    made.timer = timer;
    const bad = timer.breached_at && timer.state !== "cancelled";
    set(made, { class: `item alert ${bad ? "critical" : timer.state === "at_risk" ? "warning" : ""}` });
    text(made.heading, `${spoken(timer.metric)}${timer.cycle > 1 ? ` (${timer.cycle})` : ""}: ${STATES[timer.state] ?? spoken(timer.state)}`);
    text(made.told, timer.summary);
  });
  by("none").replaceChildren(...told.not_promised.map((one) => element("li", {}, element("strong", {}, spoken(one.metric)), ` ${one.why}`)));
  count();
}

function count() {
  const at = Date.now() + ahead;
  for (const made of by("timers").children) {
    const running = open.find((timer) => timer.metric === made.timer.metric && timer.cycle === made.timer.cycle);
    const left = running ? (Date.parse(running.due_at) - at) / 1000 : null;
    text(made.left, left === null ? "" : left > 0 ? `${clock(left)} left of ${amount(running.target_s, "seconds")}` : `${clock(-left)} over`);
  }
}

/** Bars from the beginning of each promise to its end or to now: running, standing still, over. */
function timeline(told) {
  const bars = told.timers.filter((timer) => timer.began_at);
  if (!bars.length) { by("timeline").replaceChildren(); return; }
  const at = Date.parse(told.as_of), WIDTH = 1000, LEFT = 170, ROW = 30;
  const first = Math.min(...bars.map((timer) => Date.parse(timer.began_at)));
  const last = Math.max(...bars.map((timer) => Math.max(Date.parse(timer.ended_at ?? told.as_of), timer.due_at ? Date.parse(timer.due_at) : 0)));
  const x = (instant) => LEFT + ((Math.min(Math.max(instant, first), last) - first) / Math.max(1, last - first)) * (WIDTH - LEFT - 10);
  const height = bars.length * ROW + 34;
  const said = bars.map((timer) => `${spoken(timer.metric)} ${STATES[timer.state] ?? timer.state}`).join(", ");
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "timeline", role: "img", "aria-label": `Promises over time: ${said}` });
  const bar = (from, to, y, name) => drawn.append(svg("rect", { x: x(from), y: y + 6, width: Math.max(1.5, x(to) - x(from)), height: ROW - 12, class: name }));
  bars.forEach((timer, place) => {
    const y = place * ROW, end = Date.parse(timer.ended_at ?? told.as_of), breach = timer.breached_at ? Date.parse(timer.breached_at) : null;
    const label = svg("text", { x: 0, y: y + 20 });
    label.textContent = `${spoken(timer.metric)}${timer.cycle > 1 ? ` ${timer.cycle}` : ""}`;
    drawn.append(label);
    bar(Date.parse(timer.began_at), Math.min(end, breach ?? end), y, "run");
    if (breach !== null && end > breach) bar(breach, end, y, "over");
    for (const pause of timer.pauses) bar(Date.parse(pause.from), Date.parse(pause.to ?? told.as_of), y, "pause");
    const due = timer.due_at ?? timer.breached_at;
    if (due) drawn.append(svg("line", { x1: x(Date.parse(due)), x2: x(Date.parse(due)), y1: y + 2, y2: y + ROW - 2, class: "due" }));
  });
  const axis = bars.length * ROW + 6;
  drawn.append(svg("line", { x1: LEFT, x2: WIDTH - 10, y1: axis, y2: axis, class: "axis" }));
  const apart = (last - first) / 10; // labels closer than that would lie upon each other
  for (const [moment, anchor] of [[first, "start"], [at < last - apart && at > first + apart ? at : null, "middle"], [last, "end"]]) {
    if (moment === null) continue;
    const told = svg("text", { x: x(moment), y: axis + 18, "text-anchor": anchor, class: "quiet" });
    told.textContent = moment === at ? "now" : instant(moment);
    drawn.append(told);
  }
  by("timeline").replaceChildren(drawn, element("p", { class: "note" }, "Filled while the clock runs, pale while it stands still; the mark is when the promise is used up, and what follows it is over."));
}

function steps(told) {
  by("steps").replaceChildren(...told.steps.map((step) => element(
    "li", {}, element("time", { datetime: step.at }, instant(step.at)), step.what,
    step.ignored ? element("p", { class: "note" }, step.ignored) : "",
    step.timers.length ? element("ul", {}, ...step.timers.map((one) => element("li", {}, `${spoken(one.metric)}: ${one.why}`))) : "",
  )), ...told.notes.map((note) => element("li", { class: "note" }, note)));
}

text(by("title"), `${source} ${id}`);
document.title = `${source} ${id} · Deskpulse`;
load();
setInterval(count, 1000);
setInterval(() => document.hidden || load(), 15000);

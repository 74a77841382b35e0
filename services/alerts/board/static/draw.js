// Elements. Text is only ever set as text: what helpdesks send never becomes markup.

/** An element with properties, attributes (what has a dash, and role) and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  set(made, properties);
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export function set(made, properties) {
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key.includes("-") || ["role", "for", "scope", "datetime", "colspan", "tabindex"].includes(key)) {
      if (value === null) made.removeAttribute(key);
      else made.setAttribute(key, value);
    } else if (made[key] !== value) made[key] = value;
  }
}

/** Sets text where it changed: an element that is read aloud must not be read again for nothing. */
export function text(made, value) {
  if (made.textContent !== value) made.textContent = value;
}

/** A link that only ever leads to a web page. */
export function link(href, label, properties = {}) {
  if (!/^(https?:\/\/|\/)/.test(href ?? "")) return element("span", {}, label);
  const away = !href.startsWith("/");
  return element("a", { href, ...(away ? { target: "_blank", rel: "noopener noreferrer" } : {}), ...properties }, label);
}

/**
 * Makes the children of `list` those of `items`: what is still there keeps its element, and so the focus and whatever is
 * open in it. `make(item)` gives an element, `update(element, item)` fills it.
 */
export function keep(list, items, key, make, update) {
  const old = list.kept ?? new Map();
  const kept = new Map(items.map((item) => [key(item), item]));
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  for (const [name, made] of old) if (!kept.has(name)) made.remove();
  let place = list.firstElementChild;
  for (const [name, item] of kept) {
    const made = old.get(name) ?? make(item);
    update(made, item);
    kept.set(name, made);
    if (made === place) place = place.nextElementSibling;
    else list.insertBefore(made, place);
  }
  if (focused && list.contains(focused) && document.activeElement !== focused) focused.focus({ preventScroll: true }); // moving took it
  list.kept = kept;
}

const SCREENFUL = 25;

const idle = window.requestIdleCallback ?? ((then) => setTimeout(then, 100)); // Safari has none

/** As `keep`. A list that is long and new shows its first screenful at once, and the rest when nothing else waits to be
 *  shown. Resolves when all is there. */
export async function unfold(list, items, ...how) {
  const turn = (list.turn = (list.turn ?? 0) + 1);
  if (items.length > SCREENFUL && (list.kept?.size ?? 0) < SCREENFUL) {
    keep(list, items.slice(0, SCREENFUL), ...how);
    await new Promise((rests) => idle(rests, { timeout: 1000 }));
    if (list.turn !== turn) return;
  }
  keep(list, items, ...how);
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Two lines, the present one and that of a week ago, in one scale. Gaps stay gaps. */
export function sparkline(now, then, said) {
  const known = [...now, ...then].filter((value) => value !== null);
  const drawn = svg("svg", { viewBox: "0 0 240 56", preserveAspectRatio: "none", class: "spark", role: "img", "aria-label": said });
  if (known.length < 2) return drawn;
  const low = Math.min(...known), high = Math.max(...known), span = high - low || 1;
  const path = (values) => {
    let d = "", pen = false;
    values.forEach((value, place) => {
      if (value === null) { pen = false; return; }
      const x = (place * 240) / Math.max(1, values.length - 1), y = 52 - ((value - low) / span) * 48;
      d += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}${pen ? "" : `h0.01`}`;
      pen = true;
    });
    return d;
  };
  drawn.append(svg("path", { d: path(then), class: "then" }), svg("path", { d: path(now), class: "now" }));
  return drawn;
}

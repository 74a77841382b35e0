// Numbers and instants as people say them.

const pad = (number) => String(number).padStart(2, "0");

/** 754 → "12:34", 7384 → "2 h 03 min", 200000 → "2 d 7 h". For what counts by the second. */
export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 3600) return `${Math.floor(s / 60)}:${pad(s % 60)}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${pad(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** 840.2 → "14 min", 4000 → "1 h 7 min". For what is read once. */
export function duration(seconds) {
  const s = Math.round(Math.abs(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s < 600 && s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.round(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h` + (s % 3600 >= 60 ? ` ${Math.floor((s % 3600) / 60)} min` : "");
  return `${Math.floor(s / 86400)} d` + (s % 86400 >= 3600 ? ` ${Math.floor((s % 86400) / 3600)} h` : "");
}

/** A value in the unit that the API says. */
export function amount(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "seconds") return (value < 0 ? "−" : "") + duration(value);
  if (unit === "share") return `${(value * 100).toFixed(1).replace(/\.0$/, "")} %`;
  if (unit === "number") return value.toFixed(1).replace(/\.0$/, "");
  return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
}

/** "2 h 10 min more" of a difference; shares differ by points. */
export function difference(now, then, unit, before = "a week ago") {
  const by = now - then;
  const size = unit === "share" ? `${Math.abs(by * 100).toFixed(1).replace(/\.0$/, "")} points` : amount(Math.abs(by), unit);
  return by === 0 ? `as ${before}` : `${size} ${by > 0 ? "more" : "less"} than ${before}`;
}

/** The time of day, with the date when it is not today. */
export function instant(text, now = new Date()) {
  const at = new Date(text);
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}`;
  return at.toDateString() === now.toDateString() ? time : `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

/** The time of day to the second. */
export function second(at) {
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

/** "first_response" → "First response". */
export function spoken(name) {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

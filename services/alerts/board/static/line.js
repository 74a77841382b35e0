// The line to the API: server-sent events with the reader's token, which the browser's own EventSource cannot send.
// It comes back by itself, and goes on where it was.

import { headers, signIn } from "./session.js";

const SILENT_MS = 12000; // a beat comes every five seconds
const PAUSES_MS = [500, 1000, 2000, 5000, 10000];

export class Line {
  /** `heard(event, data)` gets each event; `state(up)` whether the line is up, at each change. */
  constructor(path, heard, state) {
    this.path = path;
    this.heard = heard;
    this.state = state;
    this.last = "";
    this.tried = 0;
    this.ended = false;
    this.wake = () => {};
    this.again = () => this.wake();
    window.addEventListener("online", this.again);
    document.addEventListener("visibilitychange", this.again);
    this.run();
  }

  close() {
    this.ended = true;
    window.removeEventListener("online", this.again);
    document.removeEventListener("visibilitychange", this.again);
    this.abort?.abort();
    this.wake();
  }

  async run() {
    while (!this.ended) {
      const clean = await this.listen();
      if (this.ended) return;
      if (!clean) {
        this.state(false);
        const pause = PAUSES_MS[Math.min(this.tried++, PAUSES_MS.length - 1)];
        await new Promise((resolve) => {
          const timer = setTimeout(resolve, pause * (0.75 + Math.random() / 2));
          this.wake = () => { clearTimeout(timer); resolve(); };
        });
        this.wake = () => {};
      }
    }
  }

  /** One connection. True when the API ended it by itself, as it does every ten minutes. */
  async listen() {
    const abort = (this.abort = new AbortController());
    let silent;
    const alive = () => { clearTimeout(silent); silent = setTimeout(() => abort.abort(), SILENT_MS); };
    alive();
    try {
      const answer = await fetch(this.path, {
        headers: headers({ accept: "text/event-stream", ...(this.last ? { "last-event-id": this.last } : {}) }),
        signal: abort.signal,
        cache: "no-store",
      });
      if (answer.status === 401) {
        clearTimeout(silent);
        await signIn();
        return true;
      }
      if (!answer.ok) return false;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "", heard = false;
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return heard;
        alive();
        rest += value;
        const blocks = rest.split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) heard = this.take(block) || heard;
      }
    } catch {
      return false;
    } finally {
      clearTimeout(silent);
    }
  }

  take(block) {
    let event = "message", id = null;
    const data = [];
    for (const row of block.split("\n")) {
      const colon = row.indexOf(":");
      const field = row.slice(0, colon), value = row.slice(colon + 1).replace(/^ /, "");
      if (field === "event") event = value;
      else if (field === "data") data.push(value);
      else if (field === "id") id = value;
    }
    if (!data.length) return false;
    if (id !== null) this.last = id;
    this.tried = 0;
    this.state(true);
    try {
      this.heard(event, JSON.parse(data.join("\n")));
    } catch (error) {
      reportError(error); // a mistake in drawing is told in the console, and is no reason to lose the line
    }
    return true;
  }
}

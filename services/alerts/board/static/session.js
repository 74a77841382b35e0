// Asking the API, with the reader's token where one is wanted.

import { element } from "./draw.js";

const KEY = "deskpulse.token";

/** What the API refused: `problem` is its document. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `The API answered ${status}.`);
    this.status = status;
    this.problem = problem;
  }
}

export const token = () => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "";

export function headers(more = {}) {
  const given = token();
  return given ? { authorization: `Bearer ${given}`, ...more } : more;
}

/** JSON of a path. Asks for a token where the API wants one, and tries again. Raises `Refused`. */
export async function ask(path, options = {}) {
  for (;;) {
    const answer = await fetch(path, { ...options, headers: headers(options.headers), cache: "no-store" });
    if (answer.status === 401) {
      await signIn();
      continue;
    }
    const told = await answer.json().catch(() => null);
    if (!answer.ok) throw new Refused(answer.status, told);
    return told;
  }
}

export const send = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

let asking = null;

/** Resolves when the reader has given a token. */
export function signIn() {
  asking ??= new Promise((resolve) => {
    const field = element("input", { type: "password", required: true, autocomplete: "off", id: "token" });
    const stay = element("input", { type: "checkbox" });
    const wrong = token() ? "This token is not accepted (any more)." : "";
    const form = element(
      "form", { method: "dialog" },
      element("h2", { id: "sign-in-title" }, "Sign in"),
      element("p", {}, "This Deskpulse wants a token: one of its ", element("code", {}, "api_tokens"), ", or one of your sign-on."),
      element("p", { class: "problem", role: "alert" }, wrong),
      element("p", {}, element("label", {}, "Token ", field)),
      element("p", {}, element("label", {}, stay, " Stay signed in on this device")),
      element("p", {}, element("button", {}, "Sign in")),
    );
    const dialog = element("dialog", { "aria-labelledby": "sign-in-title" }, form);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    form.addEventListener("submit", () => {
      sessionStorage.removeItem(KEY);
      localStorage.removeItem(KEY);
      (stay.checked ? localStorage : sessionStorage).setItem(KEY, field.value.trim());
      dialog.remove();
      asking = null;
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

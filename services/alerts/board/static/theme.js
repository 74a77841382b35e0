// Before the page is drawn, so that a dark board does not flash white. No module: those wait for the page.
(() => {
  const kept = localStorage.getItem("deskpulse.theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  window.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme")?.addEventListener("click", () => {
      const dark = document.documentElement.dataset.theme
        ? document.documentElement.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      document.documentElement.dataset.theme = dark ? "light" : "dark";
      localStorage.setItem("deskpulse.theme", document.documentElement.dataset.theme);
      window.dispatchEvent(new Event("theme"));
    });
  });
})();

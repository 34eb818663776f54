// The console's own script: times in the zone of the browser, keys, and calm refreshes.
"use strict";

(() => {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

  function showTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]:not([data-relative])")) {
      time.textContent = format.format(new Date(time.dateTime));
    }
  }

  // A refresh must not take away what someone is typing, nor a dialog that is open.
  function isBusy(part) {
    const active = document.activeElement;
    return Boolean(
      part.querySelector("dialog[open], details[data-keep][open]") ||
      (active && active.matches("input, textarea, select") && part.contains(active))
    );
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    const trigger = event.detail.requestConfig.triggeringEvent;
    if (trigger && trigger.type === "sse:poll" && (isBusy(event.detail.target) || document.hidden)) {
      event.preventDefault();
    }
  });
  document.addEventListener("htmx:afterSettle", () => showTimes(document));
  document.addEventListener("DOMContentLoaded", () => showTimes(document));

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      document.getElementById("search").focus();
    }
  });
})();

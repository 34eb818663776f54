// The console's own script: times in the zone of the browser, keys, and calm refreshes.
"use strict";

(() => {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

  const formatNear = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  const formatShort = new Intl.DateTimeFormat(undefined, { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });

  function formatOf(time, date, today) {
    if (time.dataset.short !== undefined) {
      return time.dataset.short === "day" ? formatShort : formatNear;
    }
    return time.hasAttribute("data-near") && date.toDateString() === today ? formatNear : format;
  }

  function showTimes(root) {
    const today = new Date().toDateString();
    for (const time of root.querySelectorAll("time[datetime]:not([data-relative])")) {
      const date = new Date(time.dateTime);
      time.textContent = formatOf(time, date, today).format(date);
    }
  }

  // The icon of the tab is as bad as the worst truth of the page.
  function showTone() {
    const icon = document.getElementById("icon");
    const tone = document.getElementById("content").dataset.tone;
    const address = icon.dataset[tone] || icon.dataset.ok;
    if (icon.getAttribute("href") !== address) {
      icon.setAttribute("href", address);
    }
  }

  // Of a select without a default option, the browser selects the first one.
  function isChosen(select) {
    const options = [...select.options];
    return select.selectedOptions[0] !== (options.findLast((option) => option.defaultSelected) ?? options[0]);
  }

  // A refresh must not take away what someone is typing, nor a dialog that is open.
  function isBusy(part) {
    const active = document.activeElement;
    const fields = [...part.querySelectorAll("input, textarea")];
    return Boolean(
      part.querySelector("dialog[open], details[data-keep][open]") ||
      fields.some((field) => field.value !== field.defaultValue) ||
      [...part.querySelectorAll("select")].some(isChosen) ||
      (active && active.matches("input, textarea, select") && part.contains(active))
    );
  }

  function isRefresh(event) {
    const trigger = event.detail.requestConfig.triggeringEvent;
    return Boolean(trigger && trigger.type === "sse:poll");
  }

  // A form may have been opened while the refresh was on its way.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (isRefresh(event) && isBusy(event.detail.target)) {
      event.detail.shouldSwap = false;
    }
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isRefresh(event) && (isBusy(event.detail.target) || document.hidden)) {
      event.preventDefault();
    }
  });

  // A tab in the background follows no polls: over HTTP/1.1 a browser opens six connections to a host,
  // and six tabs would leave none to a seventh. In the foreground again, it fetches what it shows.
  class Stream extends EventTarget {
    constructor(address) {
      super();
      this.address = address;
      this.source = null;
      this.ended = false;
      document.addEventListener("visibilitychange", () => this.follow());
      this.follow();
    }

    get readyState() {
      return this.ended ? EventSource.CLOSED : this.source ? this.source.readyState : EventSource.CONNECTING;
    }

    follow() {
      if (document.hidden) {
        this.source?.close();
        this.source = null;
      } else if (!this.source && !this.ended) {
        this.source = new EventSource(this.address);
        this.source.onopen = (event) => this.onopen?.(event);
        this.source.onerror = (event) => {
          this.ended = this.source?.readyState === EventSource.CLOSED; // htmx makes another stream
          this.onerror?.(event);
        };
        this.source.addEventListener("poll", () => this.dispatchEvent(new Event("poll")));
        this.dispatchEvent(new Event("poll"));
      }
    }

    close() {
      this.ended = true;
      this.source?.close();
    }
  }

  htmx.createEventSource = (address) => new Stream(address);

  // What a person has opened stays open when it is fetched again.
  let opened = [];
  document.addEventListener("htmx:beforeSwap", () => {
    opened = [...document.querySelectorAll("details[id][open]")].map((details) => details.id);
  });
  document.addEventListener("htmx:afterSettle", () => {
    for (const id of opened) {
      document.getElementById(id)?.setAttribute("open", "");
    }
    showTimes(document);
    showTone();
  });
  document.addEventListener("DOMContentLoaded", () => showTimes(document));

  // What the demo will do, counted down between two refreshes.
  function countDown() {
    for (const time of document.querySelectorAll("time[data-countdown]")) {
      const seconds = Math.round((new Date(time.dateTime) - Date.now()) / 1000);
      time.textContent = seconds > 120 ? `in ${Math.floor(seconds / 60)} min` : seconds > 0 ? `in ${seconds} s` : "now";
    }
  }
  setInterval(countDown, 1000);

  const PREFIX_MILLISECONDS = 1500;
  let prefixAt = -Infinity;

  function showKeys() {
    const dialog = document.getElementById("keys");
    if (!dialog.open) {
      dialog.showModal();
    }
  }

  // `g`, and then the letter of a page, goes there.
  function goTo(event) {
    const isSecond = event.timeStamp - prefixAt < PREFIX_MILLISECONDS;
    prefixAt = -Infinity;
    if (isSecond && /^[a-z]$/.test(event.key)) {
      const link = document.querySelector(`nav a[data-key="${event.key}"]`);
      if (link) {
        link.click();
      }
    } else if (event.key === "g") {
      prefixAt = event.timeStamp;
    }
  }

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, textarea, select");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("search").focus();
    } else if (event.key === "?") {
      showKeys();
    } else {
      goTo(event);
    }
  });
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("show-keys");
    button.hidden = false;
    button.addEventListener("click", showKeys);
  });
})();

// Charts of the resources of a VM, from the columns of the API. Without this script, a table of
// hourly means says the same.
"use strict";

(() => {
  const REFRESH_MILLISECONDS = 300000;
  const HEIGHT = 180;
  const SHORTEST = 12;

  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function percent(value) {
    return value === null || value === undefined ? "–" : `${Math.round(value * 100)} %`;
  }

  function options(width) {
    const axis = { stroke: color("--soft"), grid: { stroke: color("--rule"), width: 1 }, ticks: { show: false } };
    return {
      width,
      height: HEIGHT,
      legend: { live: true },
      cursor: { y: false },
      scales: { x: { time: true }, y: { range: [0, 1] } },
      axes: [axis, { ...axis, size: 52, values: (_, values) => values.map(percent) }],
      series: [
        {},
        {
          label: "Used", stroke: color("--link"), width: 1.5, spanGaps: false,
          fill: color("--pending-wash"), value: (_, value) => percent(value),
        },
      ],
    };
  }

  // Where the first value is: a daemon that started an hour ago shows that hour.
  function first(history) {
    const found = history.times.findIndex((_, place) => history.cpu_ratios[place] !== null || history.memory_ratios[place] !== null);
    return found < 0 ? history.times.length : found;
  }

  async function draw(charts) {
    const response = await fetch(charts.dataset.history, { headers: { Accept: "application/json" } });
    if (!response.ok) {
      return;
    }
    const history = await response.json();
    for (const element of charts.querySelectorAll(".chart")) {
      const column = history[element.dataset.column];
      const from = Math.min(first(history), history.times.length - SHORTEST);
      const data = [history.times.slice(from), column.slice(from)];
      if (element.plot) {
        element.plot.setData(data);
        continue;
      }
      if (data[1].every((value) => value === null)) {
        element.textContent = "Not reported.";
        continue;
      }
      element.textContent = "";
      element.plot = new uPlot(options(element.clientWidth), data, element);
      new ResizeObserver(() => {
        if (element.clientWidth) {
          element.plot.setSize({ width: element.clientWidth, height: HEIGHT });
        }
      }).observe(element);
    }
  }

  function begin() {
    for (const charts of document.querySelectorAll(".charts[data-history]")) {
      if (!charts.drawn) {
        charts.drawn = true;
        draw(charts);
      }
    }
  }

  document.addEventListener("DOMContentLoaded", begin);
  document.addEventListener("htmx:afterSettle", begin);
  setInterval(() => {
    for (const charts of document.querySelectorAll(".charts[data-history]")) {
      if (!document.hidden) {
        draw(charts);
      }
    }
  }, REFRESH_MILLISECONDS);
})();

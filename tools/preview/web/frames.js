// Turns answers of Prometheus into frames, as Grafana's data source does.
import { FieldType } from "@grafana/data";

const number = (text) => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : parseFloat(text));

const pointsOf = (series) => series.values ?? [series.value];

function nameOf(labels, legend) {
  if (legend) return legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? "");
  const { __name__: name = "", ...rest } = labels;
  const inside = Object.entries(rest).map(([label, value]) => `${label}="${value}"`).join(", ");
  return inside ? `${name}{${inside}}` : name || "Value";
}

// A frame for each series. Where points are missing, a null breaks the line.
function timeSeries({ ref, legend, series, step }) {
  return series.map((one) => {
    const times = [];
    const values = [];
    for (const [time, text] of pointsOf(one)) {
      const last = times.at(-1);
      if (last !== undefined && time * 1000 - last > step * 1500) {
        times.push(last + step * 1000);
        values.push(null);
      }
      times.push(time * 1000);
      values.push(number(text));
    }
    const { __name__, ...labels } = one.metric;
    return {
      refId: ref,
      length: times.length,
      fields: [
        { name: "Time", type: FieldType.time, values: times, config: {} },
        {
          name: "Value",
          type: FieldType.number,
          values,
          labels,
          config: { displayNameFromDS: nameOf(one.metric, legend) },
        },
      ],
    };
  });
}

// One frame with a column for each label.
function table({ ref, series }, alone) {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
  const column = (name, type, values) => ({ name, type, values, config: {} });
  return [
    {
      refId: ref,
      length: series.length,
      fields: [
        column("Time", FieldType.time, series.map((one) => one.value[0] * 1000)),
        ...labels.map((label) =>
          column(label, FieldType.string, series.map((one) => one.metric[label] ?? "")),
        ),
        column(
          alone ? "Value" : `Value #${ref}`,
          FieldType.number,
          series.map((one) => number(one.value[1])),
        ),
      ],
    },
  ];
}

// Cumulative buckets become counts of their own, from the lowest bound to the highest.
function heatmap(answer) {
  const bound = (frame) => number(frame.fields[1].labels.le);
  const frames = timeSeries(answer).sort((a, b) => bound(a) - bound(b));
  const raw = frames.map((frame) => frame.fields[1].values);
  return frames.map((frame, at) => {
    const [time, value] = frame.fields;
    const below = at ? raw[at - 1] : [];
    const values = raw[at].map((count, index) => count - (below[index] ?? 0));
    return { ...frame, fields: [time, { ...value, values }] };
  });
}

export function framesOf(answers) {
  return answers.flatMap((answer) => {
    if (answer.format === "table") return table(answer, answers.length === 1);
    return answer.format === "heatmap" ? heatmap(answer) : timeSeries(answer);
  });
}

// @grafana/ui has no state timeline: SVG bands with Grafana's value mappings.
import { dateTimeFormat, getFieldDisplayName } from "@grafana/data";
import { useTheme2 } from "@grafana/ui";

const AXIS = 26;
const LETTER = 6.6;

function bandsOf(times, values, end) {
  const bands = [];
  values.forEach((value, at) => {
    const open = bands.at(-1);
    if (open && open.value === value) return;
    if (open) open.until = times[at];
    bands.push({ value, since: times[at], until: end });
  });
  return bands.filter((band) => band.value !== null && band.value !== undefined);
}

export function Timeline({ frames, options, width, height, start, end }) {
  const theme = useTheme2();
  const rows = frames.map((frame) => ({
    name: getFieldDisplayName(frame.fields[1], frame, frames),
    field: frame.fields[1],
    times: frame.fields[0].values,
  }));
  const shown = rows.slice(0, options.perPage || rows.length);
  const left = Math.min(260, 16 + LETTER * Math.max(...shown.map((row) => row.name.length)));
  const x = (time) => left + ((time - start) / (end - start)) * (width - left);
  const tall = (height - AXIS) / shown.length;
  const ticks = 8;
  return (
    <svg width={width} height={height} fontFamily={theme.typography.fontFamily} fontSize={12}>
      {shown.map((row, at) => {
        const band = tall * options.rowHeight;
        const top = at * tall + (tall - band) / 2;
        return (
          <g key={at}>
            <text
              x={left - 8}
              y={top + band / 2}
              textAnchor="end"
              dominantBaseline="central"
              fill={theme.colors.text.primary}
            >
              {row.name}
            </text>
            {bandsOf(row.times, row.field.values, end).map(({ value, since, until }, index) => {
              const { text, color } = row.field.display(value);
              const from = Math.max(x(since), left);
              const wide = x(until) - from;
              return (
                <g key={index}>
                  <rect x={from} y={top} width={Math.max(wide, 1)} height={band} fill={color} opacity={0.8} />
                  {wide > text.length * LETTER + 16 && (
                    <text
                      x={from + 5}
                      y={top + band / 2}
                      dominantBaseline="central"
                      fill={theme.colors.getContrastText(color)}
                    >
                      {text}
                    </text>
                  )}
                </g>
              );
            })}
          </g>
        );
      })}
      {Array.from({ length: ticks }, (_, at) => {
        const time = start + ((at + 0.5) / ticks) * (end - start);
        return (
          <text
            key={at}
            x={x(time)}
            y={height - 6}
            textAnchor="middle"
            fill={theme.colors.text.secondary}
          >
            {dateTimeFormat(time, { format: "HH:mm:ss", timeZone: "utc" })}
          </text>
        );
      })}
    </svg>
  );
}

// Draws the dashboard of data.js: panels with Grafana's components on a plain page.
import "@fontsource/inter/400.css";
import "@fontsource/inter/500.css";
import { createRoot } from "react-dom/client";
import {
  createTheme,
  dateTime,
  dateTimeFormat,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  ThemeContext,
} from "@grafana/data";
import { BarGauge, BigValue, GlobalStyles, PanelChrome, TimeSeries, VizRepeater } from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";
import { dress } from "./fields.js";
import { framesOf } from "./frames.js";
import { Timeline } from "./timeline.jsx";

const WIDTH = 1600;
const HEAD = 64;
const CELL = 38; // 30 pixels and a gap of 8, as in Grafana
const GAP = 8;
const ZONE = "utc";

const { dashboard, answers, marks, values, start, end, span } = window.preview;
const theme = createTheme({ colors: { mode: "dark" } });
const timeRange = {
  from: dateTime(start * 1000),
  to: dateTime(end * 1000),
  raw: { from: dateTime(start * 1000), to: dateTime(end * 1000) },
};

// --- Panels ---

const displayed = (panel, frames) =>
  getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    data: frames,
    sparkline: false,
    timeZone: ZONE,
  });

function Stat({ panel, frames, width, height }) {
  const { options } = panel;
  return (
    <VizRepeater
      getValues={() => displayed(panel, frames)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, alignmentFactors, count }) => (
        <BigValue
          value={value.display}
          count={count}
          colorMode={options.colorMode}
          graphMode="none"
          justifyMode={options.justifyMode}
          textMode={options.textMode}
          alignmentFactors={alignmentFactors}
          width={width}
          height={height}
          theme={theme}
        />
      )}
      width={width}
      height={height}
      source={frames}
      itemSpacing={3}
      renderCounter={1}
      autoGrid
      orientation={options.orientation}
    />
  );
}

function Bars({ panel, frames, width, height }) {
  const { options } = panel;
  return (
    <VizRepeater
      getValues={() => displayed(panel, frames)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, orientation, alignmentFactors, count }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          width={width}
          height={height}
          orientation={orientation}
          itemSpacing={8}
          lcdCellWidth={10}
          displayMode={options.displayMode}
          showUnfilled={options.showUnfilled}
          valueDisplayMode={options.valueMode}
          namePlacement={options.namePlacement}
          text={options.text}
          alignmentFactors={count > 1 ? alignmentFactors : undefined}
          theme={theme}
        />
      )}
      width={width}
      height={height}
      source={frames}
      itemSpacing={8}
      renderCounter={1}
      minVizWidth={options.minVizWidth}
      minVizHeight={options.minVizHeight}
      maxVizHeight={options.maxVizHeight ?? 300}
      orientation={options.orientation}
    />
  );
}

// When recovery acted, in milliseconds.
const acted = marks.flatMap(({ mark, series }) =>
  series.flatMap((one) => [
    ...new Set(one.values.map(([time, value]) => (mark.useValueForTime ? +value : time * 1000))),
  ]),
);

function markIn(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = theme.visualization.getColorByName("blue");
  ctx.setLineDash([4, 4]);
  for (const time of acted.filter((one) => one >= start * 1000)) {
    const x = Math.round(plot.valToPos(time, "x", true)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function Graph({ panel, frames, width, height }) {
  return (
    <TimeSeries
      frames={frames}
      timeRange={timeRange}
      timeZone={ZONE}
      legend={panel.options.legend}
      options={panel.options}
      width={width}
      height={height}
    >
      {(config) => {
        config.addHook("draw", markIn);
        return null;
      }}
    </TimeSeries>
  );
}

const Rows = ({ panel, frames, width, height }) => (
  <TableNG
    data={frames[0]}
    width={width}
    height={height}
    sortBy={panel.options.sortBy}
    initialSortBy={panel.options.sortBy}
    cellHeight={panel.options.cellHeight}
    fieldConfig={panel.fieldConfig}
    timeRange={timeRange}
    enableVirtualization={false}
    enablePagination={panel.options.footer?.enablePagination}
    transparent
    structureRev={1}
  />
);

const Bands = ({ panel, frames, width, height }) => (
  <Timeline
    frames={frames}
    options={panel.options}
    width={width}
    height={height}
    start={start * 1000}
    end={end * 1000}
  />
);

const KINDS = { stat: Stat, bargauge: Bars, timeseries: Graph, table: Rows };
KINDS["state-timeline"] = Bands;

const Nothing = ({ panel, width, height }) => (
  <div
    style={{
      width,
      height,
      display: "grid",
      placeItems: "center",
      color: theme.colors.text.secondary,
    }}
  >
    {panel.fieldConfig.defaults.noValue}
  </div>
);

// --- The page ---

const place = ({ x, y, w, h }) => ({
  position: "absolute",
  left: GAP + (x / 24) * (WIDTH - 2 * GAP + GAP),
  top: HEAD + y * CELL,
  width: (w / 24) * (WIDTH - 2 * GAP + GAP) - GAP,
  height: h * CELL - GAP,
});

function Panel({ panel, frames }) {
  const box = place(panel.gridPos);
  const empty = !frames.some((frame) => frame.length > 0);
  const Kind = empty ? Nothing : KINDS[panel.type];
  return (
    <div style={box}>
      <PanelChrome
        title={panel.title}
        description={panel.description}
        width={box.width}
        height={box.height}
        padding={panel.type === "table" ? "none" : "md"}
      >
        {(width, height) => <Kind panel={panel} frames={frames} width={width} height={height} />}
      </PanelChrome>
    </div>
  );
}

const Row = ({ panel }) => (
  <div
    style={{
      ...place(panel.gridPos),
      display: "flex",
      alignItems: "center",
      fontSize: 16,
      color: theme.colors.text.primary,
    }}
  >
    {panel.collapsed ? "\u203a" : "\u2304"}&ensp;{panel.title}
    {panel.collapsed && (
      <span style={{ color: theme.colors.text.secondary, fontSize: 13 }}>
        &ensp;({panel.panels.length} panel{panel.panels.length > 1 ? "s" : ""})
      </span>
    )}
  </div>
);

const chip = {
  border: `1px solid ${theme.colors.border.medium}`,
  borderRadius: 2,
  padding: "4px 10px",
  marginRight: 8,
  background: theme.colors.background.primary,
};

function Head() {
  const shown = dashboard.templating.list.filter((one) => one.type === "query");
  const at = (time) => dateTimeFormat(time * 1000, { format: "HH:mm:ss", timeZone: ZONE });
  return (
    <div
      style={{
        position: "absolute",
        left: GAP + 4,
        right: GAP + 4,
        top: 0,
        height: HEAD,
        display: "flex",
        alignItems: "center",
        color: theme.colors.text.primary,
      }}
    >
      <span style={{ fontSize: 20, marginRight: 24 }}>{dashboard.title}</span>
      {shown.map((one) => (
        <span key={one.name} style={chip}>
          <span style={{ color: theme.colors.text.secondary }}>{one.label}</span>&ensp;
          {values[one.name]}
        </span>
      ))}
      <span style={{ ...chip, marginLeft: "auto", marginRight: 0 }}>
        {at(start)} to {at(end)} UTC, {span}
      </span>
    </div>
  );
}

async function draw() {
  const panels = await Promise.all(
    dashboard.panels.map(async (panel) => ({
      panel,
      frames:
        panel.type === "row"
          ? []
          : await dress(panel, framesOf(answers[panel.id]), theme, ZONE),
    })),
  );
  await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 12px Inter`)));
  document.body.style.background = theme.colors.background.canvas;
  createRoot(document.getElementById("page")).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Head />
      {panels.map(({ panel, frames }) =>
        panel.type === "row" ? (
          <Row key={panel.id} panel={panel} />
        ) : (
          <Panel key={panel.id} panel={panel} frames={frames} />
        ),
      )}
    </ThemeContext.Provider>,
  );
}

draw();

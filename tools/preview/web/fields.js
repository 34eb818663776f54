// Prepares frames for panels as Grafana does: transformations, units, colors.
import { firstValueFrom } from "rxjs";
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from "@grafana/data";

const { mergeTransformer, organizeFieldsTransformer } = standardTransformers;
standardTransformersRegistry.setInit(() =>
  [mergeTransformer, organizeFieldsTransformer].map((transformer) => ({
    id: transformer.id,
    name: transformer.name,
    transformation: async () => transformer,
    editor: () => null,
  })),
);

// Defaults that are set by the plugins of the panels.
const PLUGIN_DEFAULTS = {
  timeseries: {
    axisBorderShow: false,
    axisGridShow: true,
    axisPlacement: "auto",
    barAlignment: 0,
    barWidthFactor: 0.6,
    drawStyle: "line",
    fillOpacity: 0,
    gradientMode: "none",
    lineInterpolation: "linear",
    lineStyle: { fill: "solid" },
    lineWidth: 1,
    pointSize: 5,
    showPoints: "auto",
    spanNulls: false,
    stacking: { group: "A", mode: "none" },
    thresholdsStyle: { mode: "off" },
  },
};

// A property of a field is applied only if it is registered.
const STANDARD = [
  "unit",
  "min",
  "max",
  "decimals",
  "mappings",
  "thresholds",
  "color",
  "links",
  "displayName",
  "noValue",
];
const CUSTOM = [
  ...Object.keys(PLUGIN_DEFAULTS.timeseries),
  "axisSoftMax",
  "cellOptions",
  "minWidth",
  "width",
];
const property = (id, path, isCustom) => ({
  id,
  path,
  name: id,
  isCustom,
  process: (value) => value,
  shouldApply: () => true,
  override: () => null,
  editor: () => null,
});
standardFieldConfigEditorRegistry.setInit(() => [
  ...STANDARD.map((id) => property(id, id, false)),
  ...CUSTOM.map((id) => property(`custom.${id}`, id, true)),
]);

export async function dress(panel, frames, theme, timeZone) {
  const transformed = panel.transformations?.length
    ? await firstValueFrom(
        transformDataFrame(panel.transformations, frames, { interpolate: (text) => text }),
      )
    : frames;
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const custom = { ...PLUGIN_DEFAULTS[panel.type], ...defaults.custom };
  const dressed = applyFieldOverrides({
    data: transformed,
    fieldConfig: { defaults: { ...defaults, custom }, overrides },
    fieldConfigRegistry: standardFieldConfigEditorRegistry,
    replaceVariables: (text) => text,
    theme,
    timeZone,
  });
  cacheFieldDisplayNames(dressed);
  for (const frame of dressed) {
    for (const field of frame.fields) {
      const links = field.config.links ?? [];
      field.getLinks = () =>
        links.map(({ title }) => ({ href: "#", title, target: "_self", origin: field }));
    }
  }
  return dressed;
}

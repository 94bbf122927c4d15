"use strict";
// Draws the figures that plotting/interactive.py describes, with the Plotly that stands before it in the page.
const candlemill = (() => {
  const COLOURS = {/*colours*/};
  const NARROW = 640; // pixels: a telephone
  const LEAST = 20; // bars that the axis of time has room for, so that a few do not become walls
  const AT_FIRST = 60; // bars that a telephone shows before its reader asks for more

  const isNumber = (value) => value === null || typeof value === "number";

  // A copy of what a figure has, with colours for their names. Lists of numbers stay as they are.
  const painted = (value, colours) => {
    if (typeof value === "string") return value[0] === "$" ? (colours[value.slice(1)] ?? value) : value;
    if (Array.isArray(value)) return value.every(isNumber) ? value : value.map((one) => painted(one, colours));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, painted(one, colours)]));
  };

  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/%/g, "&#37;");

  // A trace of plotly: with the times of its values, and in the key the newest of them.
  const traced = (trace, figure) => {
    const { at, shift = 0, height, words, key, ...plain } = trace;
    const times = at ? at.map((place) => figure.times[place]) : figure.times;
    const x = shift ? times.map((time) => time + shift * figure.step) : times;
    if (plain.type === "bar" && !plain.orientation) plain.width = (words ? 1 : 0.75) * figure.step;
    if (plain.marker?.which) {
      const { which, colours, ...look } = plain.marker;
      plain.marker = { ...look, color: which.map((place) => colours[place] ?? colours[0]) };
      if (words) {
        plain.y = which.map((place) => (place < 0 ? null : height));
        plain.text = which.map((place) => words[place] ?? "");
      }
    }
    plain.name = escaped(plain.name ?? "");
    if (key) {
      plain.hovertemplate = `${plain.name} %{y}<extra></extra>`;
      plain.name = `${escaped(key[0])} <b>${key[1]}</b>`;
    }
    return plain.orientation === "h" ? plain : { ...plain, x };
  };

  // An annotation of plotly: at the time of its bar; the words of a strip after squares in their colours.
  const annotated = ({ at, words, ...plain }, times) => {
    if (at !== undefined) plain.x = times[at];
    if (words) {
      const key = words.map(([word, colour]) => `<span style="color:${colour}">\u25a0</span> ${escaped(word)}`);
      plain.text = [escaped(plain.text), ...key].join("&nbsp;&nbsp; ");
    }
    return plain;
  };

  const extremes = (values, inside) => {
    let low = Infinity;
    let high = -Infinity;
    values.forEach((value, place) => {
      if (value === null || value === undefined || !inside(place)) return;
      if (value < low) low = value;
      if (value > high) high = value;
    });
    return [low, high];
  };

  const joined = (ranges) => [Math.min(...ranges.map(([low]) => low)), Math.max(...ranges.map(([, high]) => high))];

  // The ranges of the axes of values that show what is in a range of times, each with a little room. What lies over the
  // candles leaves them half of the height.
  const fitted = (data, layout, { room, levels }, from, to) => {
    const found = {};
    const axes = new Set(data.map((trace) => trace.yaxis));
    for (const axis of axes) {
      const name = axis.replace("y", "yaxis");
      if (layout[name].fixedrange) continue;
      const bars = [];
      const others = [];
      for (const trace of data) {
        if (trace.yaxis !== axis || trace.orientation === "h" || trace.visible === "legendonly") continue;
        const inside = (place) => trace.x[place] >= from && trace.x[place] <= to;
        if (trace.type === "candlestick") bars.push(extremes(trace.low, inside), extremes(trace.high, inside));
        else others.push(extremes(trace.y, inside));
        if (trace.type === "bar") others.push([0, 0]);
      }
      const own = bars.length ? joined(bars) : joined(others);
      if (!(own[0] <= own[1])) continue;
      let [low, high] = own;
      if (bars.length) {
        if (levels.length) others.push(extremes(levels, () => true));
        const half = 0.5 * (high - low) || 0.01 * Math.abs(high) || 1;
        const around = joined([...others, own]);
        low = Math.max(around[0], low - half);
        high = Math.min(around[1], high + half);
      }
      const margin = (bars.length ? room : 0.06) * (high - low) || 0.01 * Math.abs(high) || 1;
      const onZero = layout[name].rangemode === "tozero" && low >= 0;
      found[`${name}.range`] = [onZero ? 0 : low - margin, high + margin];
    }
    return found;
  };

  // What a telephone has no room for: names at candles, which a touch shows, and keys in one row.
  const narrowed = (layout, data) => {
    const keys = data.filter((trace) => trace.yaxis === "y" && trace.showlegend !== false).length;
    const rows = 18 * Math.ceil(keys / 2);
    layout.height += rows;
    layout.margin = { ...layout.margin, t: layout.margin.t + rows, r: 64, l: 2 };
    layout.font = { ...layout.font, size: 10 };
    layout.dragmode = false; // a finger scrolls the page; the buttons above turn on what a mouse does
    layout.annotations = layout.annotations.filter((one) => one.textangle === undefined);
    for (const name of Object.keys(layout)) {
      if (!name.startsWith("legend")) continue;
      Object.assign(layout[name], { yanchor: name === "legend" ? "bottom" : "top", font: { size: 9 } });
    }
  };

  const milliseconds = (value) => (typeof value === "number" ? value : Date.parse(`${value.replace(" ", "T")}Z`));

  /** Draw a figure into an element, in the colours of a theme ("light" or "dark"); a promise that it is there. */
  const draw = async (element, figure, theme) => {
    const narrow = element.clientWidth < NARROW;
    const colours = COLOURS[theme];
    const data = figure.data.map((trace) => traced(painted(trace, colours), figure));
    const layout = painted(figure.layout, colours);
    const { times, step } = figure;
    const last = times[times.length - 1] + (Math.max(2, figure.ahead + 1) * step);
    const all = Math.min(times[0] - step, last - LEAST * step);
    const first = narrow ? Math.max(all, times[times.length - 1] - AT_FIRST * step) : all;
    layout.xaxis.range = [first, last];
    layout.annotations = layout.annotations.map((one) => annotated(one, times));
    if (narrow) narrowed(layout, data);
    for (const [name, range] of Object.entries(fitted(data, layout, figure, first, last))) {
      layout[name.split(".")[0]].range = range;
    }
    const config = {
      responsive: true, displaylogo: false, scrollZoom: true, doubleClick: "reset",
      displayModeBar: narrow ? true : "hover",
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    };
    await Plotly.react(element, data, layout, config);
    element.removeAllListeners("plotly_relayout");
    element.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((name) => name.startsWith("xaxis."))) return;
      const [from, to] = element.layout.xaxis.range.map(milliseconds);
      Plotly.relayout(element, fitted(element.data, element.layout, figure, from, to));
    });
  };

  return { draw };
})();

"use strict";
// Draws the figures that plotting/interactive.py describes, with the Plotly that stands before it in the page.
const candlemill = (() => {
  const COLOURS = {/*colours*/};
  const NARROW = 640; // pixels: a telephone
  const LEAST = 20; // bars that the axis of time has room for, so that a few do not become walls
  const AT_FIRST = 60; // bars that a telephone shows before its reader asks for more
  const FONT = '"Open Sans", verdana, arial, sans-serif'; // plotly's own
  const GAP = 24; // pixels between panes whose key needs no more
  const [STRIP, LINE] = [34, 13]; // pixels of a strip with its key, and of one more line of the key

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

  const canvas = document.createElement("canvas").getContext("2d");

  const widthOf = (text, size) => {
    canvas.font = `${size}px ${FONT}`;
    return canvas.measureText(text).width;
  };

  // The key of a strip, in as many lines as it needs: its name, and its words after squares in their colours.
  const keyOf = (name, words, size, room) => {
    const lines = [];
    let left = 0;
    for (const [word, colour] of [[name], ...words]) {
      const width = widthOf(colour ? `\u25a0 ${word}\u00a0\u00a0 ` : `${word}\u00a0\u00a0 `, size);
      if (width > left) lines.push([]);
      left = (width > left ? room : left) - width;
      lines.at(-1).push(colour ? `<span style="color:${colour}">\u25a0</span> ${escaped(word)}` : escaped(word));
    }
    return lines.map((line) => line.join("&nbsp;&nbsp; "));
  };

  // Gives each strip the height that its key needs in a room of some pixels; their axis counts in strips of one line.
  const stripped = (layout, data, room) => {
    const strips = data.filter((trace) => trace.base !== undefined);
    let down = 0;
    layout.annotations = layout.annotations.map(({ words, ...plain }) => {
      if (!words) return plain;
      const lines = keyOf(plain.text, words, plain.font.size, room);
      const strip = strips.shift();
      const y = -down;
      down += 1 + ((lines.length - 1) * LINE) / STRIP;
      strip.base = 0.05 - down;
      layout[strip.yaxis.replace("y", "yaxis")].range = [-down, 0];
      return { ...plain, y, text: lines.join("<br>"), align: "left" };
    });
  };

  // An annotation of plotly: at the time of its bar.
  const annotated = ({ at, ...plain }, times) => (at === undefined ? plain : { ...plain, x: times[at] });

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

  // What a telephone has no room for: names at candles, which a touch shows, and large keys.
  const narrowed = (layout) => {
    layout.margin = { ...layout.margin, r: 0, l: 2 };
    layout.font = { ...layout.font, size: 10 };
    layout.dragmode = false; // a finger scrolls the page; the buttons above turn on what a mouse does
    layout.annotations = layout.annotations.filter((one) => one.textangle === undefined);
    for (const name of Object.keys(layout)) if (name.startsWith("legend")) layout[name].font = { size: 9 };
  };

  const observers = new WeakMap(); // of the widths of elements

  const axesOf = (layout) => Object.keys(layout).filter((name) => name.startsWith("yaxis"));

  // Heights of the panes in pixels, from the highest to the lowest, which the strips are.
  const heightsOf = (layout) => {
    const inner = layout.height - layout.margin.t - layout.margin.b;
    return axesOf(layout).map((name) => {
      const { domain, fixedrange, range } = layout[name];
      return fixedrange ? -range[0] * STRIP : inner * (domain[1] - domain[0]);
    });
  };

  // Changes of a layout that put panes of some heights below each other, each under its key; the first under the buttons.
  const stacked = (layout, heights, keys, buttons) => {
    const gaps = keys.map((key, place) => (place ? Math.max(GAP, key) : 0));
    const inner = [...heights, ...gaps].reduce((sum, one) => sum + one, 0);
    const top = buttons + keys[0];
    const change = { height: top + inner + layout.margin.b, "margin.t": top };
    let down = 0;
    axesOf(layout).forEach((name, place) => {
      down += gaps[place];
      const above = 1 - down / inner;
      down += heights[place];
      change[`${name}.domain`] = [Math.max(0, 1 - down / inner), above];
      change[`${name.replace("yaxis", "legend")}.y`] = above;
    });
    return change;
  };

  // Makes room for the keys and the buttons as large as they have become; a chart that was taken away has none.
  const settle = async (element) => {
    if (!element.layout) return;
    const keys = axesOf(element.layout).map((name) => {
      const key = element.querySelector(`.infolayer > .${name.replace("yaxis", "legend")}`);
      return Math.ceil(key?.getBoundingClientRect().height ?? 0);
    });
    const above = element.querySelector(".main-svg").getBoundingClientRect().top;
    const buttons = Math.ceil(element.querySelector(".modebar").getBoundingClientRect().bottom - above) + 2;
    await Plotly.relayout(element, stacked(element.layout, heightsOf(element.layout), keys, buttons));
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
    if (narrow) narrowed(layout);
    // The last price stands in the right margin.
    const tag = layout.annotations.find((one) => one.x === 1);
    layout.margin.r = Math.max(layout.margin.r, Math.ceil(widthOf(tag.text, tag.font.size)) + 10);
    stripped(layout, data, element.clientWidth - layout.margin.r - layout.margin.l);
    for (const [name, range] of Object.entries(fitted(data, layout, figure, first, last))) {
      layout[name.split(".")[0]].range = range;
    }
    layout.width = element.clientWidth;
    const config = {
      displaylogo: false, scrollZoom: true, doubleClick: "reset",
      displayModeBar: narrow ? true : "hover",
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    };
    // A window that is made smaller, a telephone that is turned: one step after the other.
    const follow = async () => {
      const width = element.clientWidth;
      if (!element.layout || !width || width === element.layout.width) return;
      if (narrow !== width < NARROW) return void draw(element, figure, theme);
      await Plotly.relayout(element, { width });
      await settle(element);
    };
    let done = Promise.resolve();
    const observer = new ResizeObserver(() => (done = done.then(follow)));
    observers.get(element)?.disconnect();
    observers.set(element, observer);
    await Plotly.react(element, data, layout, config);
    await settle(element);
    // Another figure may have come meanwhile, or this one been taken away.
    if (!element.layout || observers.get(element) !== observer) return;
    element.removeAllListeners("plotly_relayout");
    element.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((name) => name.startsWith("xaxis."))) return;
      const [from, to] = element.layout.xaxis.range.map(milliseconds);
      Plotly.relayout(element, fitted(element.data, element.layout, figure, from, to));
    });
    observer.observe(element);
  };

  return { draw };
})();

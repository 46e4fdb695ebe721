"use strict";
// Plots by uPlot. Each is remembered with how it is made, so that a change of theme or width makes or sizes it anew.

const plots = [];
const cssColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A colour of the stylesheet (#rrggbb) at this share of its strength.
function faded(colour, share) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return `rgba(${r}, ${g}, ${b}, ${share})`;
}

// `make()` gives {series, data, …}; the plot fills `box` and reads out what is under the cursor into `readout`.
function addPlot(box, make, height = 200) {
  const entry = {box, make, height, plot: null};
  plots.push(entry);
  const draw = () => {
    const width = Math.floor(box.clientWidth);
    if (width < 40) return;
    if (entry.plot === null) {
      const {options, data} = make();
      entry.plot = new uPlot({width, height, ...options}, data, box);
    } else if (entry.plot.width !== width) entry.plot.setSize({width, height});
  };
  entry.redraw = () => { if (entry.plot) { entry.plot.destroy(); entry.plot = null; } draw(); };
  new ResizeObserver(draw).observe(box);
  draw();
}

const redrawAll = () => plots.forEach((entry) => entry.redraw());

// Between two marks below a plot: whole steps, however few there are.
const WHOLE = [1, 10, 100, 1e3, 1e4, 1e5].flatMap((ten) => [ten, 2 * ten, 5 * ten]);

function axes(format, grid = true) {
  const common = {stroke: cssColour("--muted"), font: "11px system-ui, sans-serif", ticks: {show: false}};
  return [
    {...common, grid: {show: false}, space: 56, size: 26, incrs: WHOLE},
    {...common, grid: {show: grid, stroke: cssColour("--line"), width: 1}, size: 46, space: 34,
     values: (_, ticks) => ticks.map(format)},
  ];
}

function frame(format, series, extra = {}) {
  return {
    padding: [8, 10, 0, 0], legend: {show: false}, series,
    cursor: {points: {size: 7, fill: (u, i) => u.series[i].stroke(u, i)}, drag: {x: false, y: false}, y: false,
             sync: {key: extra.alone ? null : "steps"}},
    scales: {x: {time: false}, y: {range: (_, low, high) => extra.range ? extra.range(low, high) : [Math.min(0, low), high * 1.08 || 1]}},
    axes: axes(format),
    hooks: {setCursor: extra.read ? [(u) => extra.read(u.cursor.idx)] : [], draw: extra.draw ? [extra.draw] : []},
  };
}

// A line with its band. `columns` are value, low and high; gaps stay gaps.
function bandPlot(box, steps, columns, colourName, format, extra = {}) {
  addPlot(box, () => {
    const colour = cssColour(colourName), none = {stroke: "transparent", points: {show: false}, spanGaps: true};
    const few = steps.length < 40;
    const series = [{}, {stroke: colour, width: 2, spanGaps: true, points: {show: few, size: 5, fill: colour}}, none, none];
    const options = frame(format, series, {...extra, draw: extra.rule === undefined ? null : (u) => rule(u, extra.rule)});
    options.bands = [{series: [3, 2], fill: faded(colour, 0.16)}];
    return {options, data: [steps, columns.value, columns.low, columns.high]};
  }, extra.height || 190);
}

// Columns on top of each other, each filled; `parts` are [name, values, colour name] from the bottom up.
function stackPlot(box, steps, parts, format, extra = {}) {
  addPlot(box, () => {
    const sums = [];
    parts.forEach(([, values], i) => sums.push(values.map((v, x) => (i ? sums[i - 1][x] : 0) + (v || 0))));
    const few = steps.length < 60, bars = uPlot.paths.bars({size: [0.82, 90]});
    const series = [{}, ...parts.map(([, , colour]) => {
      const c = cssColour(colour);
      return {stroke: c, width: 1, fill: c, points: {show: false}, paths: few ? bars : undefined};
    }).reverse()];
    const options = frame(format, series, extra);
    options.cursor.points = {show: false};
    if (few) options.scales.x.range = [steps[0] - 0.55, steps[steps.length - 1] + 0.55];
    return {options, data: [steps, ...sums.reverse()]};
  }, extra.height || 190);
}

function rule(u, value) {
  const y = u.valToPos(value, "y", true);
  if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) return;
  const c = u.ctx;
  c.save();
  c.strokeStyle = cssColour("--muted"); c.setLineDash([4, 4]); c.lineWidth = 1;
  c.beginPath(); c.moveTo(u.bbox.left, y); c.lineTo(u.bbox.left + u.bbox.width, y); c.stroke();
  c.restore();
}

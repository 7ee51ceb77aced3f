"use strict";
// Makes charts interactive: each figure with data-chart gets a uPlot over its SVG. Its values are read with the pointer
// or the arrow keys; the SVG stays for printing and for screen readers.
{
  const LINES = ["a", "b", "c", "d", "e", "f"];
  const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [10, 4], [1, 3]];
  const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
  const short = (value) => String(Number(value.toPrecision(6))).replace("-", "−");
  const drawn = new Map(); // figure -> uPlot
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const written = (value) => {
    if (value === null || value === undefined) return "–";
    const text = Number.isInteger(value) ? String(value) : value.toPrecision(4);
    return text.replace("-", "−");
  };

  const nameOf = (chart, index) => chart.names[index] || `${chart.x_label} ${written(chart.x[index])}`;
  const valuesAt = (chart, index) => {
    if (chart.notes.length) return chart.notes[index];
    const values = chart.series.filter((one) => one.kind !== "thin" && one.values[index] !== null);
    return [nameOf(chart, index), ...values.map((one) => `${one.label} ${written(one.values[index])}`)].join("; ");
  };

  const lineOf = (one) => {
    const number = (one.color - 1 + LINES.length) % LINES.length;
    const stroke = one.color ? color(`--line-${LINES[number]}`) : color("--faint");
    const thin = one.kind === "thin";
    return {
      label: one.label,
      stroke,
      width: thin ? 1 : 1.8,
      dash: one.color ? DASHES[number] : [],
      points: { show: one.kind === "points" || (one.kind === "line" && one.values.length <= 30), size: 6, stroke, fill: color("--paper") },
      paths: one.kind === "points" ? () => null : one.kind === "step" ? uPlot.paths.stepped({ align: 1 }) : undefined,
    };
  };

  const axisOf = (label, more) => ({
    label,
    labelFont: "12px system-ui, sans-serif",
    labelSize: 18,
    font: "11px system-ui, sans-serif",
    stroke: color("--soft"),
    grid: { stroke: color("--rule"), width: 1 },
    ticks: { show: false },
    ...more,
  });

  const drawDiagonal = (plot) => {
    const [low, high] = [Math.max(plot.scales.x.min, plot.scales.y.min), Math.min(plot.scales.x.max, plot.scales.y.max)];
    if (low >= high) return;
    const at = (value) => [plot.valToPos(value, "x", true), plot.valToPos(value, "y", true)];
    plot.ctx.save();
    plot.ctx.strokeStyle = color("--faint");
    plot.ctx.setLineDash([4, 3]);
    plot.ctx.beginPath();
    plot.ctx.moveTo(...at(low));
    plot.ctx.lineTo(...at(high));
    plot.ctx.stroke();
    plot.ctx.restore();
  };

  const optionsOf = (chart, size, readout) => ({
    ...size,
    legend: { show: false },
    padding: chart.names.length ? [null, 48, null, null] : undefined,
    cursor: { y: false, points: { size: 9, fill: (plot, index) => lineOf(chart.series[index - 1]).stroke } },
    scales: {
      x: { time: false, range: (plot, low, high) => [low - 0.02 * (high - low || 1), high + 0.02 * (high - low || 1)] },
      y: { range: chart.range },
    },
    series: [{}, ...chart.series.map(lineOf)],
    axes: [
      axisOf(chart.x_label, chart.names.length ? {
        space: 90,
        incrs: WHOLE,
        size: 30,
        values: (plot, splits) => splits.map((at) => (chart.names[chart.x.indexOf(at)] || "").slice(0, 18)),
      } : {
        size: 30,
        incrs: chart.x.every(Number.isInteger) ? WHOLE : undefined,
        values: (plot, splits) => splits.map(short),
      }),
      axisOf(chart.y_label, { size: 56, values: (plot, splits) => splits.map(short) }),
    ],
    hooks: {
      drawAxes: chart.diagonal ? [drawDiagonal] : [],
      setCursor: [(plot) => {
        const index = plot.cursor.idx;
        if (index !== null && index !== undefined) readout.textContent = valuesAt(chart, index);
      }],
    },
  });

  const move = (plot, index) => {
    const values = plot.data.slice(1).map((line) => line[index]).filter((value) => value !== null);
    const top = values.length ? plot.valToPos(values[0], "y") : 0;
    plot.setCursor({ left: plot.valToPos(plot.data[0][index], "x"), top });
  };

  const onKey = (event, plot, chart) => {
    const last = chart.x.length - 1;
    const at = plot.cursor.idx;
    const none = at === null || at === undefined || plot.cursor.left < 0;
    const targets = {
      ArrowRight: none ? 0 : Math.min(last, at + 1), ArrowLeft: none ? last : Math.max(0, at - 1), Home: 0, End: last,
    };
    if (event.key in targets) move(plot, targets[event.key]);
    else if (event.key === "Enter" && !none && chart.links[at]) location.assign(chart.links[at]);
    else return;
    event.preventDefault();
  };

  const draw = (figure) => {
    const chart = JSON.parse(figure.dataset.chart);
    if (!chart.x.length) return;
    const svg = figure.querySelector("svg");
    const box = svg.viewBox.baseVal;
    const holder = document.createElement("div");
    const readout = document.createElement("output");
    const keys = `left and right arrow keys read its values${chart.links.length ? ", Enter opens the run" : ""}`;
    holder.className = "plotted";
    holder.tabIndex = 0;
    holder.setAttribute("role", "group");
    holder.setAttribute("aria-label", `${chart.title}: ${keys}`);
    readout.textContent = chart.links.length ? "Point at a value; click to open the run." : "Point at a value to read it.";
    const sizeOf = () => {
      const width = Math.max(240, figure.clientWidth);
      return { width, height: Math.max(200, Math.round((width * box.height) / box.width)) };
    };
    figure.classList.add("interactive");
    svg.before(holder);
    holder.after(readout);
    const size = sizeOf();
    const plot = new uPlot(optionsOf(chart, size, readout), [chart.x, ...chart.series.map((one) => one.values)], holder);
    drawn.set(figure, { plot, holder, readout, observer: new ResizeObserver(() => plot.setSize(sizeOf())) });
    drawn.get(figure).observer.observe(figure);
    holder.addEventListener("keydown", (event) => onKey(event, plot, chart));
    plot.over.addEventListener("click", () => {
      const at = plot.cursor.idx;
      if (at !== null && at !== undefined && chart.links[at]) location.assign(chart.links[at]);
    });
  };

  const erase = (figure) => {
    const { plot, holder, readout, observer } = drawn.get(figure);
    observer.disconnect();
    plot.destroy();
    holder.remove();
    readout.remove();
    drawn.delete(figure);
  };

  const drawAll = () => {
    for (const figure of [...drawn.keys()]) if (!figure.isConnected) erase(figure);
    for (const figure of document.querySelectorAll("figure[data-chart]")) if (!drawn.has(figure)) draw(figure);
  };
  const redraw = () => {
    for (const figure of [...drawn.keys()]) erase(figure);
    drawAll();
  };

  document.addEventListener("mlnb-update", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  drawAll();
}

// The pipeline as a graph: a box for each stage, colored by its state, and arrows to the stages that read its results.

const WIDTH = 92; // of a box
const HEIGHT = 26;
const ACROSS = 104; // from one box to the next
const DOWN = 46;
const LETTERS = 12;

const shape = (tag, properties, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

/** Return the graph; Enter or a click on a stage calls `show(name)`. Null without stages. */
export function stageGraph(state, show) {
  const { places, arrows, parents } = state.graph;
  const stages = state.stages.filter((stage) => places[stage.name]);
  if (!stages.length) return null;
  const points = [...Object.values(places), ...arrows.flat()];
  const wide = Math.max(...points.map(([, column]) => column)) * ACROSS + WIDTH + 4;
  const high = Math.max(...points.map(([row]) => row)) * DOWN + HEIGHT + 4;
  const properties = { class: "mlnb-graph", viewBox: `0 0 ${wide} ${high}`, role: "group", "aria-label": "Graph of the stages" };
  const svg = shape("svg", properties, ...arrows.map(arrow), ...stages.map((stage) => box(stage, places[stage.name], parents, show)));
  svg.style.maxWidth = `${wide}px`;
  return svg;
}

function arrow(places) {
  const at = ([row, column]) => [2 + column * ACROSS + WIDTH / 2, 2 + row * DOWN];
  const [first, ...others] = places;
  let [x, y] = at(first);
  y += HEIGHT;
  let path = `M${x} ${y}`;
  others.forEach((place, index) => {
    const [left, top] = at(place);
    const middle = (top - y) / 2;
    path += `C${x} ${y + middle} ${left} ${top - middle} ${left} ${top}`;
    [x, y] = [left, top];
    if (index < others.length - 1) {
      y += HEIGHT;
      path += `L${x} ${y}`;
    }
  });
  return shape("path", { class: "mlnb-arrow", d: path });
}

function box(stage, [row, column], parents, show) {
  const [x, y] = [2 + column * ACROSS, 2 + row * DOWN];
  const { name } = stage;
  const after = parents[name].length ? `, after ${parents[name].join(" and ")}` : "";
  const text = name.length > LETTERS ? `${name.slice(0, LETTERS - 1)}…` : name;
  const label = [`${name}: ${stage.state}${after}`, stage.activity || stage.error || stage.reason].filter(Boolean).join("; ");
  const press = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    show(name);
  };
  return shape(
    "g",
    {
      class: "mlnb-box", id: `mlnb-box-${name}`, "data-state": stage.state, role: "button", tabindex: 0,
      "aria-label": label, click: press, keydown: press,
    },
    shape("title", {}, label),
    shape("rect", { x, y, width: WIDTH, height: HEIGHT, rx: 5 }),
    shape("text", { x: x + WIDTH / 2, y: y + HEIGHT / 2 + 4 }, text),
  );
}

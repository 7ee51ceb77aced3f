// The stages of the pipeline: state, reason, what runs now, why one failed, and the buttons of each.

import { button, element } from "./dom.js";

/** Return the list of stages. `actions` has open(path), run({upto, force}) and debug(run, stage). */
export function stageList(state, actions) {
  return element(
    "ol",
    { class: "mlnb-stages", "aria-label": "Stages" },
    state.stages.map((stage) => stageItem(stage, state, actions)),
  );
}

function stageItem(stage, state, actions) {
  const { name } = stage;
  const title = stage.notebook
    ? button(name, () => actions.open(stage.notebook), {
        class: "mlnb-name",
        id: `mlnb-open-${name}`,
        title: `${stage.title}: open ${stage.notebook}`,
      })
    : element("span", { class: "mlnb-name", title: stage.title }, name);
  const disabled = state.running;
  const tools = element(
    "span",
    { class: "mlnb-tools" },
    button("to here", () => actions.run({ upto: name }), {
      id: `mlnb-upto-${name}`,
      "aria-label": `Run up to here: ${name}`,
      title: `mlnb run --upto ${name}`,
      disabled,
    }),
    button("force", () => actions.run({ force: name }), {
      id: `mlnb-force-${name}`,
      "aria-label": `Force: run ${name} though it is unchanged`,
      title: `mlnb run --force ${name}`,
      disabled,
    }),
  );
  return element(
    "li",
    { class: "mlnb-stage", "data-state": stage.state, "data-stage": name },
    element(
      "div",
      { class: "mlnb-row" },
      title,
      element("span", { class: "mlnb-state" }, stage.state),
      element("span", { class: "mlnb-soft mlnb-duration" }, stage.duration),
    ),
    element("div", { class: "mlnb-row" }, element("span", { class: "mlnb-soft mlnb-reason" }, stage.reason), tools),
    stage.activity && element("div", { class: "mlnb-activity" }, stage.activity),
    stage.line && element("div", { class: "mlnb-line" }, stage.line),
    stage.error && element("div", { class: "mlnb-error" }, stage.error),
    stage.state === "failed" &&
      state.failed &&
      button("debug", () => actions.debug(state.failed, name), {
        id: `mlnb-debug-${name}`,
        "aria-label": `Debug: open the failed cell of ${name}`,
        title: "Open the failed cell, with the variables of the run while they are kept",
      }),
  );
}

// The newest runs: reports, and the comparison of those that are checked.

import { button, element } from "./dom.js";

const MOST = 6; // runs that a comparison has columns for

/** Return the list of runs. `actions` has report(id) and compare(ids); `checked` is a set of ids that it changes. */
export function runList(state, checked, actions) {
  if (!state.runs.length) return element("p", { class: "mlnb-soft" }, "No runs yet.");
  const known = state.runs.map((run) => run.id);
  for (const id of checked) if (!known.includes(id)) checked.delete(id);
  const compare = button("Compare", () => actions.compare(known.filter((id) => checked.has(id)).reverse()), {
    id: "mlnb-compare",
    title: `Compare two to ${MOST} runs; the oldest one with the others`,
  });
  const count = element("span", { class: "mlnb-soft", id: "mlnb-checked" });
  const refresh = () => {
    compare.disabled = checked.size < 2 || checked.size > MOST;
    count.textContent = checked.size > MOST ? `at most ${MOST}` : `${checked.size} checked`;
  };
  const toggle = (event) => {
    if (event.target.checked) checked.add(event.target.value);
    else checked.delete(event.target.value);
    refresh();
  };
  const items = state.runs.map((run) =>
    element(
      "li",
      { class: "mlnb-run", "data-state": run.state },
      element("input", {
        type: "checkbox",
        value: run.id,
        id: `mlnb-check-${run.id}`,
        "aria-label": `Compare run ${run.id}`,
        checked: checked.has(run.id),
        change: toggle,
      }),
      button(run.id, () => actions.report(run.id), {
        class: "mlnb-name",
        id: `mlnb-report-${run.id}`,
        title: `Open the report of ${run.id}`,
      }),
      element("span", { class: "mlnb-state" }, run.state),
      element("span", { class: "mlnb-metric" }, run.metric),
      element("span", { class: "mlnb-soft" }, [run.started, run.pipeline].join(", ")),
    ),
  );
  refresh();
  return element(
    "div",
    {},
    element("div", { class: "mlnb-row" }, compare, count),
    element("ul", { class: "mlnb-runs", "aria-label": "Runs" }, items),
  );
}

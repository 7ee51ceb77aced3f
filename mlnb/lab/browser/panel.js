// The side panel: requests the state at intervals, shows it, and starts and stops runs.

import { button, element, update } from "./dom.js";
import { stageGraph } from "./graph.js";
import { runList } from "./runs.js";
import { stageList } from "./stages.js";

const LIVE = 1000; // milliseconds between two requests while a run goes on
const IDLE = 5000;
const OUTSIDE = 60000; // where there is no project

export class Panel {
  /** `actions` has open(path), debug(run, stage), page(path, query, title) and changed(state). */
  constructor(api, actions) {
    this.api = api;
    this.actions = {
      ...actions,
      run: (options) => this.act("start", { profile: this.state.profile, ...options }),
      report: (id) => actions.page(`runs/${encodeURIComponent(id)}/report.html`, [], `Report ${id}`),
      compare: (ids) => actions.page("compare", ids.map((id) => ["run", id]), `Comparison of ${ids.length} runs`),
      debug: (run, stage) => this.attempt(() => actions.debug(run, stage)),
    };
    this.profile = null; // null: that of the last run
    this.version = "";
    this.state = null;
    this.checked = new Set();
    this.error = "";
    this.timer = 0;
    this.body = element("div", { class: "mlnb-body" });
    this.announced = element("div", { role: "status", class: "mlnb-status" });
    this.alert = element("div", { role: "alert", class: "mlnb-alert", hidden: true });
    this.sections = element("div", {});
    this.node = element("div", { class: "mlnb-panel" }, this.announced, this.alert, this.body, this.sections);
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  /** Request the state now, and again after the interval. */
  async refresh() {
    clearTimeout(this.timer);
    const asked = (this.asked = {});
    try {
      if (!document.hidden) {
        const query = [["version", this.version]];
        if (this.profile !== null) query.push(["profile", this.profile]);
        const state = await this.api.get("state", query);
        if (asked !== this.asked) return; // another request has been sent meanwhile
        if (state || this.lost) this.show(state || this.state);
        this.lost = false;
      }
    } catch (error) {
      if (asked !== this.asked) return;
      this.lost = true;
      this.version = "";
      this.report(error.message);
    }
    this.timer = setTimeout(() => this.refresh(), this.interval());
  }

  interval() {
    if (this.state?.running) return LIVE;
    return this.state && !this.state.project ? OUTSIDE : IDLE;
  }

  /** Send a button's request, then show what has changed. */
  async act(path, body) {
    await this.attempt(() => this.api.post(path, body));
    await this.refresh();
  }

  async attempt(action) {
    this.error = "";
    try {
      await action();
    } catch (error) {
      this.error = error.message;
    }
    this.report(this.error || this.state?.problem || "");
  }

  report(text) {
    this.alert.hidden = !text;
    if (this.alert.textContent !== text) this.alert.textContent = text;
  }

  show(state) {
    this.state = state;
    this.version = state.version;
    if (this.announced.textContent !== state.status) this.announced.textContent = state.status;
    this.report(this.error || state.problem);
    if (state.project) update(this.body, this.head(), stageGraph(state, this.reveal), stageList(state, this.actions), this.runs());
    else update(this.body);
    this.actions.changed(state);
  }

  /** Scroll the list to a stage, and focus it. */
  reveal = (name) => {
    const item = this.node.querySelector(`[data-stage="${CSS.escape(name)}"]`);
    item.scrollIntoView({ block: "nearest" });
    item.querySelector("button").focus({ preventScroll: true });
  };

  head() {
    const { state } = this;
    const last = state.runs[0];
    const choose = (event) => {
      this.profile = event.target.value;
      this.refresh();
    };
    const option = (name) =>
      element("option", { value: name, selected: name === state.profile }, name || "no profile");
    const { result } = state;
    const tone = result && { true: "mlnb-better", false: "mlnb-worse" }[result.better];
    return element(
      "div",
      { class: "mlnb-head" },
      result &&
        element(
          "div",
          { class: "mlnb-result" },
          element("strong", {}, result.text),
          element(
            "div",
            { class: tone || "mlnb-soft" },
            result.change + (tone ? (result.better ? " (better)" : " (worse)") : ""),
          ),
        ),
      element(
        "div",
        { class: "mlnb-actions" },
        button("Run", () => this.actions.run({}), { id: "mlnb-run", title: state.command, disabled: state.running }),
        button("Stop", () => this.act("stop", {}), {
          id: "mlnb-stop",
          title: "Interrupt the run, as Ctrl-C does",
          disabled: !state.running,
        }),
        last && button("Report", () => this.actions.report(last.id), { id: "mlnb-report", title: `Report of ${last.id}` }),
        element(
          "select",
          { id: "mlnb-profile", "aria-label": "Profile of the next run", change: choose },
          ["", ...state.profiles].map(option),
        ),
      ),
      state.notes.length > 0 &&
        element(
          "ul",
          { class: "mlnb-notes", "aria-label": "Notes" },
          state.notes.map((note) => element("li", {}, note)),
        ),
    );
  }

  runs() {
    const details = element(
      "details",
      { id: "mlnb-run-list", open: this.runsOpen ?? true },
      element("summary", { id: "mlnb-run-summary" }, "Runs"),
      runList(this.state, this.checked, this.actions),
    );
    details.addEventListener("toggle", () => (this.runsOpen = details.open));
    return details;
  }
}

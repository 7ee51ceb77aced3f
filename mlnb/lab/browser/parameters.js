// The parameters of the open stage notebook as a form: a change is checked by the server, then written into the cell.

import { element, update } from "./dom.js";

const PAUSE = 400; // milliseconds after which an edit of the cell is read

export class ParameterForm {
  /** `profile` returns the selected profile. */
  constructor(api, profile) {
    this.api = api;
    this.panel = null; // of the open stage notebook
    this.profile = profile;
    this.fields = element("div", {});
    this.summary = element("summary", { id: "mlnb-parameters-summary" }, "Parameters");
    this.node = element("details", { class: "mlnb-parameters", open: true, hidden: true }, this.summary, this.fields);
    this.cell = null;
    this.typed = {}; // texts that are not written yet, or were not accepted
    this.edited = () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.refresh(), PAUSE);
    };
  }

  /** Show the parameters of a stage notebook; null: of none. */
  open(panel) {
    this.panel = panel;
    return this.refresh();
  }

  /** Read the parameters cell again, and write what was typed into it. */
  async refresh() {
    const { panel } = this;
    const cell = panel && !panel.isDisposed ? parametersCell(panel) : null;
    this.follow(cell);
    this.node.hidden = !cell;
    if (!cell) return;
    const asked = (this.asked = {});
    const source = cell.getSource();
    const { path } = panel.context;
    const texts = { ...this.typed };
    let form;
    try {
      form = await this.api.post("parameters", { path, source, texts, profile: this.profile() });
    } catch (error) {
      if (asked === this.asked) update(this.fields, element("p", { class: "mlnb-error" }, error.message));
      return;
    }
    if (asked !== this.asked || panel.isDisposed) return; // the next response has what was typed, too
    if (cell.getSource() !== source) return this.edited();
    const refused = form.fields.filter((field) => field.problem).map((field) => field.name);
    for (const name of Object.keys(texts)) if (!refused.includes(name)) delete this.typed[name];
    this.show(path, form.fields);
    if (form.source === source) return;
    cell.setSource(form.source);
    await panel.context.save();
  }

  /** Listen to the edits of a cell alone. */
  follow(cell) {
    if (this.cell === cell) return;
    this.cell?.changed.disconnect(this.edited);
    cell?.changed.connect(this.edited);
    this.cell = cell;
    this.typed = {};
  }

  show(path, fields) {
    const text = JSON.stringify([path, fields]);
    if (this.shown === text) return;
    this.shown = text;
    this.summary.textContent = `Parameters of ${path.split("/").pop()}`;
    update(this.fields, fields.length ? fields.map((field) => this.row(field)) : element("p", {}, "None."));
  }

  row(field) {
    const id = `mlnb-parameter-${field.name}`;
    const described = [field.description, field.expected].filter(Boolean).join("; ");
    const input = inputOf(field, id, (value) => {
      this.typed[field.name] = value;
      this.refresh();
    });
    input.setAttribute("aria-describedby", `${id}-about`);
    if (field.problem) input.setAttribute("aria-invalid", "true");
    return element(
      "div",
      { class: "mlnb-field" },
      element("label", { for: id }, field.name),
      input,
      element(
        "div",
        { id: `${id}-about`, class: "mlnb-soft" },
        described,
        field.override && element("div", { class: "mlnb-warning" }, `The next run uses ${field.override}`),
        field.problem && element("div", { class: "mlnb-error", role: "alert" }, field.problem),
      ),
    );
  }
}

/** Return the control of a field, which calls `change` with a text. */
function inputOf(field, id, change) {
  const listener = (event) => change(event.target.value);
  if (field.kind === "choice") {
    const choices = field.optional ? ["", ...field.choices] : field.choices;
    return element(
      "select",
      { id, change: listener },
      choices.map((value) => element("option", { value, selected: value === field.text }, value || "none")),
    );
  }
  const numeric = field.kind === "integer" || field.kind === "number";
  return element("input", {
    id,
    type: numeric ? "number" : "text",
    step: field.kind === "number" ? "any" : null,
    min: numeric ? field.low : null,
    max: numeric ? field.high : null,
    value: field.text,
    placeholder: field.optional ? "none" : null,
    spellcheck: "false",
    change: listener,
  });
}

/** Return the shared model of the cell tagged `parameters`; null in a notebook without one. */
function parametersCell(panel) {
  const cells = panel.content.model?.sharedModel.cells ?? [];
  return cells.find((cell) => (cell.getMetadata("tags") ?? []).includes("parameters")) ?? null;
}

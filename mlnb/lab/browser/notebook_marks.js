// In the open notebook: the draft banner, the cell that failed in the last run, and the way to debug it.

import { button, element } from "./dom.js";

const FAILED = "mlnb-failed-cell";

export class NotebookMarks {
  /** `actions` has report(id), debug(run, stage) and stage(panel), with null for a notebook that is no stage. */
  constructor(api, tracker, Widget, actions) {
    this.api = api;
    this.tracker = tracker;
    this.Widget = Widget;
    this.actions = actions;
    this.banners = new WeakMap(); // by notebook panel
    tracker.currentChanged.connect(() => this.refresh());
  }

  /** Show what is about the current notebook. */
  async refresh() {
    const panel = this.tracker.currentWidget;
    if (!panel || panel.isDisposed) return this.actions.stage(null);
    const asked = (this.asked = {});
    let found = { stage: "", inputs: [], failed: null };
    try {
      await panel.context.ready;
      found = await this.api.get("notebook", [["path", panel.context.path]]);
    } catch {
      // the panel at the side reports why
    }
    if (asked !== this.asked || panel.isDisposed) return;
    this.showBanner(panel, found);
    this.markFailed(panel, found.failed);
    this.actions.stage(found.stage ? panel : null);
  }

  showBanner(panel, { stage, inputs }) {
    let banner = this.banners.get(panel);
    if (!banner) {
      if (!inputs.length) return;
      banner = new this.Widget();
      banner.addClass("mlnb-banner");
      banner.node.setAttribute("role", "note");
      banner.text = element("div", { class: "mlnb-banner-text" });
      banner.node.append(banner.text);
      panel.contentHeader.addWidget(banner);
      new ResizeObserver(() => this.fit(panel, banner)).observe(banner.text);
      this.banners.set(panel, banner);
    }
    banner.node.setAttribute("aria-label", `What the draft of ${stage} reads`);
    const parts = inputs.map(({ source, run, artifacts, warning }) =>
      element(
        "span",
        { class: "mlnb-input" },
        `${artifacts.join(", ")} from `,
        run ? button(source, () => this.actions.report(run), { class: "mlnb-link", title: `Report of ${run}` }) : source,
        warning && element("strong", { class: "mlnb-warning" }, ` (${warning})`),
      ),
    );
    banner.text.replaceChildren(
      element("strong", {}, "Draft"),
      " reads ",
      ...parts.flatMap((part, index) => (index ? ["; ", part] : [part])),
    );
    banner.setHidden(!inputs.length);
    this.fit(panel, banner);
  }

  /** Make the banner as high as its text: its layout reads the minimum height alone. */
  fit(panel, banner) {
    const height = `${Math.min(banner.text.offsetHeight + 1, 200)}px`;
    if (banner.isDisposed || banner.node.style.minHeight === height) return;
    banner.node.style.minHeight = height;
    panel.contentHeader.fit();
  }

  markFailed(panel, failed) {
    const index = failed ? failedIndex(panel.content, failed) : -1;
    panel.content.widgets.forEach((cell, position) => {
      const note = cell.node.querySelector(":scope > .mlnb-failure");
      if (position !== index) {
        cell.removeClass(FAILED);
        note?.remove();
        return;
      }
      cell.addClass(FAILED);
      const changed = cell.model.sharedModel.getSource() !== failed.source ? " The cell has changed since." : "";
      const text = `Failed in run ${failed.run}: ${failed.message}${changed}`;
      if (note?.dataset.text === text) return;
      note?.remove();
      cell.node.prepend(
        element(
          "div",
          { class: "mlnb-failure", role: "note", "aria-label": "Failed cell", "data-text": text },
          element("span", { class: "mlnb-error" }, text),
          button("debug", () => this.actions.debug(failed.run, failed.stage), {
            "aria-label": `Debug: restore the state before this cell of ${failed.stage}`,
          }),
        ),
      );
    });
  }
}

/** Return the index of the cell that failed in an open notebook; -1 when it is not there any more. */
function failedIndex(notebook, failed) {
  const index = notebook.widgets.findIndex((cell) => failed.cell && cell.model.sharedModel.id === failed.cell);
  if (index >= 0) return index;
  return notebook.widgets.findIndex((cell) => failed.source && cell.model.sharedModel.getSource() === failed.source);
}

/** Open the failed cell of a run, with the outputs before it and, while it is kept, the state before it. */
export async function debugRun(api, app, apputils, run, stage) {
  const session = await api.post("debug", { run, stage });
  const { failed, outputs, kernel, note } = session;
  if (!failed.notebook) throw new Error(`The notebook of stage ${failed.stage} is not in the folder of JupyterLab.`);
  const panel = await app.commands.execute("docmanager:open", { path: failed.notebook });
  await Promise.all([panel.context.ready, panel.revealed]);
  if (kernel) {
    await app.serviceManager.kernelspecs.refreshSpecs();
    await panel.sessionContext.ready;
    if (panel.sessionContext.session?.kernel?.name === kernel) await panel.sessionContext.restartKernel();
    else await panel.sessionContext.changeKernel({ name: kernel });
  }
  const notebook = panel.content;
  for (const cell of notebook.widgets) {
    const earlier = outputs[cell.model.sharedModel.id];
    if (earlier && cell.model.type === "code") cell.model.outputs.fromJSON(earlier);
  }
  const index = failedIndex(notebook, failed);
  if (index >= 0) {
    notebook.activeCellIndex = index;
    await notebook.scrollToItem(index, "center");
  }
  apputils.Notification.info(note, { autoClose: 8000 });
  return panel;
}

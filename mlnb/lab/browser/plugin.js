// The plugin: adds the panel, its commands and the launcher tile to JupyterLab.

import { Api } from "./api.js";
import { element } from "./dom.js";
import { NotebookMarks, debugRun } from "./notebook_marks.js";
import { Panel } from "./panel.js";
import { ParameterForm } from "./parameters.js";

const NAME = "mlnb";
const SHOW = "mlnb:show-panel";
const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16"><g class="jp-icon3" fill="#616161">' +
  '<circle cx="5" cy="6" r="3"/><circle cx="5" cy="18" r="3"/><circle cx="19" cy="12" r="3"/>' +
  '<path d="M7 7l9 4-.8 1.8-9-4zM7 17l9-4-.8-1.8-9 4z"/></g></svg>';

/** Return the plugin. `shared` is the scope of module federation with the libraries of JupyterLab. */
export async function createPlugin(shared) {
  const load = async (name) => {
    const versions = Object.values(shared[name]);
    const own = versions.find((version) => version.from === "CORE_FEDERATION") ?? versions[0]; // that of JupyterLab
    return (await own.get())();
  };
  const names = {
    application: "@jupyterlab/application",
    apputils: "@jupyterlab/apputils",
    coreutils: "@jupyterlab/coreutils",
    launcher: "@jupyterlab/launcher",
    notebook: "@jupyterlab/notebook",
    services: "@jupyterlab/services",
    components: "@jupyterlab/ui-components",
    widgets: "@lumino/widgets",
  };
  const libraries = {};
  for (const [key, name] of Object.entries(names)) libraries[key] = await load(name);
  const { application, apputils, launcher, notebook } = libraries;
  return {
    id: `${NAME}:panel`,
    description: "Pipeline, runs and parameters of an mlnb project.",
    autoStart: true,
    requires: [application.ILabShell, notebook.INotebookTracker],
    optional: [application.ILayoutRestorer, apputils.ICommandPalette, launcher.ILauncher],
    activate: (app, shell, tracker, restorer, palette, tiles) =>
      activate(libraries, { app, shell, tracker, restorer, palette, tiles }),
  };
}

function activate(libraries, { app, shell, tracker, restorer, palette, tiles }) {
  const { widgets, components } = libraries;
  const api = new Api(libraries.services, libraries.coreutils);
  const icon = new components.LabIcon({ name: "mlnb:pipeline", svgstr: ICON });
  document.head.append(element("link", { rel: "stylesheet", href: new URL("./panel.css", import.meta.url).href }));

  const panel = new Panel(api, {
    open: (path) => app.commands.execute("docmanager:open", { path }),
    page: (path, query, title) => showPage(libraries, shell, icon, api.address(path, query), title),
    debug: async (run, stage) => {
      await debugRun(api, app, libraries.apputils, run, stage);
      await marks.refresh();
    },
    changed: () => marks.refresh(),
  });
  const form = new ParameterForm(api, () => panel.state?.profile ?? "");
  panel.sections.append(form.node);
  const marks = new NotebookMarks(api, tracker, widgets.Widget, {
    ...panel.actions,
    stage: (opened) => form.open(opened),
  });
  const widget = new widgets.Widget({ node: panel.node });
  widget.id = "mlnb-panel";
  widget.title.caption = "mlnb pipeline";
  widget.title.icon = icon;
  widget.node.setAttribute("role", "region");
  widget.node.setAttribute("aria-label", "mlnb pipeline");
  shell.add(widget, "left", { rank: 150, type: "mlnb" });
  restorer?.add(widget, widget.id);

  const commands = {
    [SHOW]: ["Show the pipeline", () => shell.activateById(widget.id)],
    "mlnb:run": ["Run the pipeline", () => panel.actions.run({})],
    "mlnb:stop": ["Stop the run", () => panel.act("stop", {})],
    "mlnb:debug": ["Debug the failed stage", () => panel.actions.debug("latest", "")],
  };
  for (const [id, [label, execute]] of Object.entries(commands)) {
    app.commands.addCommand(id, { label, caption: `${label} (mlnb)`, icon: id === SHOW ? icon : undefined, execute });
    palette?.addItem({ command: id, category: NAME });
  }
  tiles?.add({ command: SHOW, category: "Other", rank: 5 });
  tracker.widgetAdded.connect((_, opened) =>
    opened.context.saveState.connect((__, saved) => saved === "completed" && panel.refresh()),
  );
  panel.refresh();
}

/** Show a page of the server in a tab. */
function showPage({ widgets, apputils }, shell, icon, address, title) {
  const frame = element("iframe", { src: address, title, class: "mlnb-page", sandbox: "allow-same-origin" });
  const content = new widgets.Widget({ node: element("div", { class: "mlnb-page" }, frame) });
  const page = new apputils.MainAreaWidget({ content });
  page.title.label = title;
  page.title.icon = icon;
  page.title.closable = true;
  shell.add(page, "main");
  shell.activateById(page.id);
}

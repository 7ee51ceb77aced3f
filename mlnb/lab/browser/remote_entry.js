"use strict";
// The container that JupyterLab loads (module federation): it keeps the libraries that JupyterLab shares.
{
  let shared;
  const container = {
    init(scope) {
      shared = scope;
    },
    async get() {
      const { createPlugin } = await import("./plugin.js");
      const plugin = await createPlugin(shared);
      return () => plugin;
    },
  };
  (window._JUPYTERLAB ??= {}).mlnb = container;
}

"""The JupyterLab extension: side panel, draft banner, parameter form and clean saves, and the handlers they call."""

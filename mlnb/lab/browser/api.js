// Requests to the handlers of mlnb in the Jupyter server, with its token.

export class Api {
  constructor({ ServerConnection }, { URLExt }) {
    this.server = ServerConnection;
    this.settings = ServerConnection.makeSettings();
    this.join = URLExt.join;
  }

  /** Return the address of a path, with a query. */
  address(path, query = []) {
    const text = new URLSearchParams(query).toString();
    return this.join(this.settings.baseUrl, "mlnb", path) + (text && `?${text}`);
  }

  /** Return the JSON of a path; null when nothing has changed. Throws an error with a sentence for the user. */
  get(path, query = []) {
    return this.request(this.address(path, query), { method: "GET", cache: "no-store" });
  }

  /** Send a JSON body; return the JSON of the response. */
  post(path, body = {}) {
    return this.request(this.address(path), { method: "POST", body: JSON.stringify(body) });
  }

  async request(address, options) {
    let response;
    try {
      response = await this.server.makeRequest(address, options, this.settings);
    } catch {
      throw new Error("The Jupyter server does not answer. Start it again: mlnb lab");
    }
    if (response.status === 204) return null;
    const content = await response.json().catch(() => ({}));
    if (!response.ok) {
      const missing = "This Jupyter server has no mlnb extension. Start it by: mlnb lab";
      throw new Error(response.status === 404 && !content.message ? missing : content.message || response.statusText);
    }
    return content;
  }
}

// Elements without HTML strings: every text of a project or a run is a text node.

/** Return an element; a property with a function is a listener, one that is null or false is left out. */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child || child === 0));
  return node;
}

/** Return a button. */
export function button(text, action, properties = {}) {
  return element("button", { type: "button", class: "mlnb-button", click: action, ...properties }, text);
}

/** Replace the children of a node; the focus, the scroll position and open details stay where they are. */
export function update(node, ...children) {
  const focused = node.contains(document.activeElement) ? document.activeElement.id : "";
  const top = node.scrollTop;
  node.replaceChildren(...children.flat().filter(Boolean));
  node.scrollTop = top;
  if (focused) node.querySelector(`#${CSS.escape(focused)}`)?.focus({ preventScroll: true });
}

// What is shown, as the fragment of the address: #/NAMESPACE/NAME?view=timeline&at=12&step=load. So a view can be
// reloaded, and the browser's Back works.

export function read() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [, namespace, name] = path.split("/").map(decodeURIComponent);
  const asked = new URLSearchParams(query);
  const at = Number.parseInt(asked.get("at") ?? "", 10);
  return {
    namespace: namespace || null, name: name || null, view: asked.get("view") ?? "graph",
    at: Number.isNaN(at) ? null : at, step: asked.get("step"),
  };
}

export function address({ namespace, name, view = "graph", at = null, step = null }) {
  const query = new URLSearchParams();
  if (view !== "graph") query.set("view", view);
  if (at !== null) query.set("at", String(at));
  if (step) query.set("step", step);
  const text = query.toString();
  return `#/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}${text ? `?${text}` : ""}`;
}

/** Write it down: as a new entry of the browser's history, or over the current one. */
export function write(route, { isNew = false } = {}) {
  const to = address(route);
  if (to === location.hash) return;
  if (isNew) history.pushState(null, "", to);
  else history.replaceState(null, "", to);
}

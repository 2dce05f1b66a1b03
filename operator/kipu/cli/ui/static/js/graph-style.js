// How the graph's nodes and edges look, in the colours that the page has now.

import { WIDTH } from "./layout.js";
import { colour } from "./phases.js";

/** `isPlain`: with the edges that cost least. */
export function graphStyle(isPlain) {
  const font = getComputedStyle(document.body).fontFamily;
  return [
    {
      selector: "node",
      style: {
        shape: "round-rectangle", "corner-radius": 9, width: WIDTH, height: "data(height)",
        "background-color": colour("raised"), "background-image": "data(picture)", "background-fit": "none",
        "background-width": "100%", "background-height": "100%", "background-image-containment": "inside",
        "border-width": 1.5, "border-color": colour("line-strong"), label: "data(label)", color: colour("ink"),
        "font-family": font, "font-size": 13, "font-weight": 500, "text-valign": "center", "text-halign": "center",
        "text-margin-x": 11, "text-wrap": "ellipsis", "text-max-width": WIDTH - 50, "min-zoomed-font-size": 5,
        "overlay-opacity": 0, "underlay-opacity": 0,
      },
    },
    { selector: "node[border]", style: { "border-color": "data(border)" } },
    {
      selector: "node.many",
      style: {
        "text-wrap": "wrap", "text-max-width": WIDTH - 46, "text-margin-y": -7, "line-height": 1.2, "font-size": 12,
        ghost: "yes", "ghost-offset-x": 4, "ghost-offset-y": 4, "ghost-opacity": 0.35,
      },
    },
    { selector: "node[phase = 'Skipped'], node[phase = 'Cancelled']", style: { color: colour("ink-2"), "border-style": "dashed" } },
    {
      selector: "node.far[fill]",
      style: {
        "background-color": "data(fill)", "background-image": "none", "border-width": 0, "corner-radius": 14, "text-opacity": 0,
        "background-opacity": 0.85, ghost: "no",
      },
    },
    { selector: "node.selected", style: { "border-width": 3, "border-color": colour("accent"), "border-style": "solid" } },
    { selector: "node.far[phase = 'Pending']", style: { "background-opacity": 0.6 } },
    { selector: "node.far[phase = 'Skipped']", style: { "background-opacity": 0.35 } },
    { selector: "node.far.selected", style: { "border-width": 16 } },
    {
      selector: "edge",
      style: {
        width: 1.4, "line-color": colour("line-strong"), "target-arrow-color": colour("line-strong"), "target-arrow-shape": "triangle",
        "arrow-scale": 0.8, "curve-style": isPlain ? "haystack" : "bezier", "overlay-opacity": 0, "line-opacity": 0.75,
      },
    },
    { selector: "edge.finally", style: { "line-style": "dashed", "line-opacity": 0.5 } },
  ];
}

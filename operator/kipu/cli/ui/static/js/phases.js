// The phases as people see them: a sign for each, so that colour alone says nothing; colours are in base.css.

const PATHS = {
  Pending: '<circle cx="8" cy="8" r="5" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.2 2"/>',
  Scheduled: '<circle cx="8" cy="8" r="5.2" fill="none" stroke="currentColor" stroke-width="1.7"/><path d="M8 5v3.2l2.2 1.4" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round"/>',
  Running: '<circle cx="8" cy="8" r="6.4" fill="currentColor"/><path d="M6.4 5v6l4.8-3z" fill="var(--surface)"/>',
  Retrying: '<path d="M12.6 8a4.6 4.6 0 1 1-1.5-3.4M11.6 1.8v3.1H8.5" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"/>',
  Unknown: '<circle cx="8" cy="8" r="6.4" fill="currentColor"/><path d="M6.2 6.4A1.9 1.9 0 1 1 8 8.4v1M8 11.6v.1" fill="none" stroke="var(--surface)" stroke-width="1.6" stroke-linecap="round"/>',
  Suspended: '<circle cx="8" cy="8" r="6.4" fill="currentColor"/><path d="M6.3 5.4v5.2M9.7 5.4v5.2" stroke="var(--surface)" stroke-width="1.8" stroke-linecap="round"/>',
  Succeeded: '<circle cx="8" cy="8" r="6.4" fill="currentColor"/><path d="M5 8.3l2.1 2.1L11.2 6" fill="none" stroke="var(--surface)" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/>',
  Failed: '<circle cx="8" cy="8" r="6.4" fill="currentColor"/><path d="M5.7 5.7l4.6 4.6M10.3 5.7l-4.6 4.6" stroke="var(--surface)" stroke-width="1.8" stroke-linecap="round"/>',
  Skipped: '<circle cx="8" cy="8" r="5.6" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="M5.4 8h5.2" stroke="currentColor" stroke-width="1.6" stroke-linecap="round"/>',
  Cancelled: '<circle cx="8" cy="8" r="5.6" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="M4.2 11.8l7.6-7.6" stroke="currentColor" stroke-width="1.6"/>',
};
PATHS.Finalizing = PATHS.Running;
PATHS.Cancelling = PATHS.Retrying;
PATHS.Rejected = PATHS.Failed;

// What is drawn on a canvas where no picture fits.
export const SIGNS = {
  Pending: "○", Scheduled: "◔", Running: "▶", Retrying: "↻", Unknown: "?", Suspended: "‖",
  Succeeded: "✓", Failed: "✕", Skipped: "–", Cancelled: "⊘",
};

// In the order in which they are shown: what is over first, so that bars grow from the left.
export const ORDER = [
  "Succeeded", "Failed", "Unknown", "Retrying", "Running", "Scheduled", "Suspended", "Pending", "Skipped", "Cancelled",
];
export const WORKFLOW_ORDER = [
  "Pending", "Running", "Suspended", "Finalizing", "Cancelling", "Succeeded", "Failed", "Cancelled", "Rejected",
];
export const OVER = new Set(["Succeeded", "Failed", "Skipped", "Cancelled", "Rejected"]);

/** The colour of a phase, or of any other custom property, as the page has it now. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The sign of a phase as an element; its name stands beside it, so readers pass over it. */
export function sign(phase) {
  const element = document.createElement("span");
  element.className = "sign";
  element.setAttribute("aria-hidden", "true");
  element.style.color = `var(--${phase})`;
  element.innerHTML = `<svg viewBox="0 0 16 16">${PATHS[phase] ?? PATHS.Pending}</svg>`;
  return element;
}

/** A phase in full. */
export function chip(phase, boxed = false) {
  const element = document.createElement("span");
  element.className = boxed ? "chip boxed" : "chip";
  element.append(sign(phase), phase);
  return element;
}

/** Counts by phase as a bar. */
export function fillBar(element, counts) {
  const parts = ORDER.filter((phase) => counts[phase]).map((phase) => {
    const part = document.createElement("span");
    part.style.flexGrow = String(counts[phase]);
    part.style.background = phase === "Pending" ? "transparent" : `var(--${phase})`;
    return part;
  });
  element.replaceChildren(...parts);
}

/** The same sign as it is drawn, without its frame. */
export const drawing = (phase) => PATHS[phase] ?? PATHS.Pending;

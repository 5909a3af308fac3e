/** Makes elements. */

export const PAGE = "M4 2h5l3 3v9H4zM9 2v3h3M6 8h4M6 11h4"; // the path of a document, in a box of 16
const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

export function make(name, className = "", text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** An element of a drawing. */
export function makeSvg(name, attributes = {}, ...inside) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

/** A drawing of one path in a box of 16 by 16, for the eye only. */
export function icon(d) {
  return makeSvg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, makeSvg("path", { d }));
}
